package main

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
)

// spellDataKeys makes a reference into data find a member by a number, and an element by its index as a string: OPA's
// evaluator looks for paths of strings in its store. It does so for references that begin with `data` alone; what a
// variable holds is looked into as any value is.
func spellDataKeys(policy *ir.Policy, numbers *locals) {
	for _, plan := range policy.Plans.Plans {
		spellKeys(plan.Blocks, ir.Data, numbers)
	}
	for _, function := range policy.Funcs.Funcs {
		spellKeys(function.Blocks, function.Params[1], numbers)
	}
}

func spellKeys(blocks []*ir.Block, data ir.Local, numbers *locals) {
	lookups := lookupsInData(blocks, data)
	for _, block := range blocks {
		rewriteBlock(block, func(statement ir.Stmt) []ir.Stmt {
			if dot, ok := statement.(*ir.DotStmt); ok && lookups[dot] {
				return lookupByEither(dot, numbers)
			}
			return []ir.Stmt{statement}
		})
	}
}

// lookupsInData are the steps of references that begin with `data` where a key is no constant string. The steps of one
// reference lie in one expression, and so have one location; a variable that holds a part of data got it in another.
func lookupsInData(blocks []*ir.Block, data ir.Local) map[*ir.DotStmt]bool {
	type place struct{ file, row, col int }
	within := map[ir.Local]place{}
	lookups := map[*ir.DotStmt]bool{}
	follow := func(source ir.Val, target ir.Local, at ir.Location) bool {
		here := place{at.File, at.Row, at.Col}
		local, ok := source.(ir.Local)
		if !ok || (local != data && within[local] != here) {
			return false
		}
		within[target] = here
		return true
	}
	for _, block := range blocks {
		visitBlock(block, func(statement ir.Stmt) {
			switch statement := statement.(type) {
			case *ir.ScanStmt:
				follow(statement.Source, statement.Value, statement.Location)
			case *ir.DotStmt:
				_, isVariable := statement.Key.Value.(ir.Local)
				lookups[statement] = follow(statement.Source.Value, statement.Target, statement.Location) && isVariable
			}
		})
	}
	return lookups
}

func lookupByEither(dot *ir.DotStmt, numbers *locals) []ir.Stmt {
	at, yes := dot.Location, numbers.add()
	spelt, index, respelt := numbers.add(), numbers.add(), numbers.add()
	call := func(name string, argument ir.Operand, result ir.Local) ir.Stmt {
		return &ir.CallStmt{Func: name, Args: []ir.Operand{argument}, Result: result, Location: at}
	}
	equal := func(local ir.Local, value ir.Operand) ir.Stmt {
		return &ir.EqualStmt{A: operand(local), B: value, Location: at}
	}
	lookUp := func(key ir.Local) ir.Stmt {
		return &ir.DotStmt{Source: dot.Source, Key: operand(key), Target: dot.Target, Location: at}
	}
	missed := func() ir.Stmt { return &ir.IsUndefinedStmt{Source: dot.Target, Location: at} }
	return []ir.Stmt{
		&ir.ResetLocalStmt{Target: dot.Target, Location: at},
		&ir.BlockStmt{Location: at, Blocks: []*ir.Block{
			{Stmts: []ir.Stmt{dot}},
			{Stmts: []ir.Stmt{
				missed(),
				&ir.IsObjectStmt{Source: dot.Source, Location: at},
				call(ast.IsNumber.Name, dot.Key, yes),
				equal(yes, operand(ir.Bool(true))),
				call(ast.JSONMarshal.Name, dot.Key, spelt),
				lookUp(spelt),
			}},
			{Stmts: []ir.Stmt{
				missed(),
				&ir.IsArrayStmt{Source: dot.Source, Location: at},
				call(ast.IsString.Name, dot.Key, yes),
				equal(yes, operand(ir.Bool(true))),
				// of `1.0` the integer is written in another way
				call(ast.ToNumber.Name, dot.Key, spelt),
				call(ast.Floor.Name, operand(spelt), index),
				call(ast.JSONMarshal.Name, operand(index), respelt),
				equal(respelt, dot.Key),
				lookUp(index),
			}},
		}},
		&ir.IsDefinedStmt{Source: dot.Target, Location: at},
	}
}
