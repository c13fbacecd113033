package main

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
)

// orderIterations makes the module visit the members of sets, the keys of objects and what `walk` finds in OPA's order
// where an array comprehension shows in which order they are visited. OPA's WASM visits them as its hash tables hold
// them, which is an order that OPA's own evaluator never has.
func orderIterations(policy *ir.Policy, numbers *locals) {
	for _, blocks := range bodies(policy) {
		walked := walkResults(blocks)
		for _, block := range blocks {
			rewriteBlock(block, func(statement ir.Stmt) []ir.Stmt {
				scan, ok := statement.(*ir.ScanStmt)
				if !ok || !fillsArray(scan) {
					return []ir.Stmt{statement}
				}
				return orderScan(scan, walked[scan.Source], numbers)
			})
		}
	}
}

// walkResults are the variables of one plan or function that hold nothing else: each is assigned once.
func walkResults(blocks []*ir.Block) map[ir.Local]bool {
	results := map[ir.Local]bool{}
	for _, block := range blocks {
		visitBlock(block, func(statement ir.Stmt) {
			if call, ok := statement.(*ir.CallStmt); ok && call.Func == ast.WalkBuiltin.Name {
				results[call.Result] = true
			}
		})
	}
	return results
}

// fillsArray says whether an iteration appends to an array that was there before.
func fillsArray(scan *ir.ScanStmt) bool {
	made, appended := map[ir.Local]bool{}, map[ir.Local]bool{}
	visitBlock(scan.Block, func(statement ir.Stmt) {
		switch statement := statement.(type) {
		case *ir.MakeArrayStmt:
			made[statement.Target] = true
		case *ir.ArrayAppendStmt:
			appended[statement.Array] = true
		}
	})
	for array := range appended {
		if !made[array] {
			return true
		}
	}
	return false
}

// orderScan goes through an array instead: the sorted keys of an object, the sorted members of a set, or the array that
// the source is. What `walk` found is an array of paths and values, and sorted it has OPA's order.
func orderScan(scan *ir.ScanStmt, isWalked bool, numbers *locals) []ir.Stmt {
	at, sequence, keys, index, member := scan.Location, numbers.add(), numbers.add(), numbers.add(), numbers.add()
	source := operand(scan.Source)
	call := func(name string, argument ir.Local, result ir.Local) ir.Stmt {
		return &ir.CallStmt{Func: name, Args: []ir.Operand{operand(argument)}, Result: result, Location: at}
	}
	assign := func(from ir.Local, to ir.Local) ir.Stmt {
		return &ir.AssignVarStmt{Source: operand(from), Target: to, Location: at}
	}
	isArray := func() ir.Stmt { return &ir.IsArrayStmt{Source: source, Location: at} }
	isSet := func() ir.Stmt { return &ir.IsSetStmt{Source: source, Location: at} }
	isObject := func() ir.Stmt { return &ir.IsObjectStmt{Source: source, Location: at} }
	choose := func(array, set, object []ir.Stmt) ir.Stmt {
		return &ir.BlockStmt{Location: at, Blocks: []*ir.Block{
			{Stmts: append([]ir.Stmt{isArray()}, array...)},
			{Stmts: append([]ir.Stmt{isSet()}, set...)},
			{Stmts: append([]ir.Stmt{isObject()}, object...)},
		}}
	}
	ofArray := assign(scan.Source, sequence)
	if isWalked {
		ofArray = call(ast.Sort.Name, scan.Source, sequence)
	}
	take := choose(
		[]ir.Stmt{assign(index, scan.Key), assign(member, scan.Value)},
		[]ir.Stmt{assign(member, scan.Key), assign(member, scan.Value)},
		[]ir.Stmt{assign(member, scan.Key), &ir.DotStmt{
			Source: source, Key: operand(member), Target: scan.Value, Location: at,
		}},
	)
	return []ir.Stmt{
		&ir.MakeArrayStmt{Target: sequence, Location: at},
		choose(
			[]ir.Stmt{ofArray},
			[]ir.Stmt{call(ast.Sort.Name, scan.Source, sequence)},
			[]ir.Stmt{call(ast.ObjectKeys.Name, scan.Source, keys), call(ast.Sort.Name, keys, sequence)},
		),
		&ir.ScanStmt{
			Source: sequence, Key: index, Value: member, Location: at,
			Block: &ir.Block{Stmts: append([]ir.Stmt{take}, scan.Block.Stmts...)},
		},
	}
}
