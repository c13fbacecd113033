package main

import "github.com/open-policy-agent/opa/v1/ir"

// rewritePlan replaces each statement by others, those within it first.
func rewritePlan(policy *ir.Policy, rewrite func(ir.Stmt) []ir.Stmt) {
	for _, blocks := range bodies(policy) {
		for _, block := range blocks {
			rewriteBlock(block, rewrite)
		}
	}
}

func rewriteBlock(block *ir.Block, rewrite func(ir.Stmt) []ir.Stmt) {
	statements := make([]ir.Stmt, 0, len(block.Stmts))
	for _, statement := range block.Stmts {
		for _, inner := range blocksOf(statement) {
			rewriteBlock(inner, rewrite)
		}
		statements = append(statements, rewrite(statement)...)
	}
	block.Stmts = statements
}

// visitBlock sees each statement before those within it.
func visitBlock(block *ir.Block, visit func(ir.Stmt)) {
	for _, statement := range block.Stmts {
		visit(statement)
		for _, inner := range blocksOf(statement) {
			visitBlock(inner, visit)
		}
	}
}

// bodies are the blocks of each plan and of each function.
func bodies(policy *ir.Policy) [][]*ir.Block {
	all := make([][]*ir.Block, 0, len(policy.Plans.Plans)+len(policy.Funcs.Funcs))
	for _, plan := range policy.Plans.Plans {
		all = append(all, plan.Blocks)
	}
	for _, function := range policy.Funcs.Funcs {
		all = append(all, function.Blocks)
	}
	return all
}

func blocksOf(statement ir.Stmt) []*ir.Block {
	switch statement := statement.(type) {
	case *ir.BlockStmt:
		return statement.Blocks
	case *ir.ScanStmt:
		return []*ir.Block{statement.Block}
	case *ir.NotStmt:
		return []*ir.Block{statement.Block}
	case *ir.WithStmt:
		return []*ir.Block{statement.Block}
	}
	return nil
}

// locals gives numbers to new variables of a plan: all steps that change it share one, or a variable of an outer statement
// would be one of an inner statement, too.
type locals struct{ next ir.Local }

// A plan numbers its variables from 0; what a policy of this size could use is far below.
const firstNewLocal = 1 << 24

func (l *locals) add() ir.Local {
	l.next++
	return firstNewLocal + l.next
}

func operand(value ir.Val) ir.Operand { return ir.Operand{Value: value} }
