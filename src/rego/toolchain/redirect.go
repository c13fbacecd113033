package main

import (
	"cmp"
	"slices"

	"github.com/open-policy-agent/opa/internal/compiler/wasm"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
)

// The name under which a module imports a built-in that it could bring itself.
const hostPrefix = "host."

// reachedBuiltin is one that the module calls.
type reachedBuiltin struct {
	Name string `json:"name"`
	// under which the module asks the host for it, if it does
	Import string `json:"import,omitempty"`
}

// redirect makes the module ask the host for the built-ins that it could answer itself but should not. It changes the
// plan, not the policy: a call in the plan is one of that very built-in, whatever the policy's names, imports and
// replacements are.
func redirect(policy *ir.Policy, host []string) []reachedBuiltin {
	redirected := map[string]string{}
	reached := make([]reachedBuiltin, 0, len(policy.Static.BuiltinFuncs))
	for _, builtin := range policy.Static.BuiltinFuncs {
		each := reachedBuiltin{Name: builtin.Name}
		switch {
		case !wasm.IsWasmEnabled(builtin.Name):
			each.Import = builtin.Name
		case slices.Contains(host, builtin.Name):
			each.Import = hostPrefix + builtin.Name
			redirected[builtin.Name] = each.Import
			builtin.Name = each.Import
		}
		reached = append(reached, each)
	}
	if len(redirected) > 0 {
		rewritePlan(policy, func(statement ir.Stmt) []ir.Stmt {
			call, ok := statement.(*ir.CallStmt)
			if !ok || redirected[call.Func] == "" {
				return []ir.Stmt{statement}
			}
			name := redirected[call.Func]
			switch call.Func {
			case ast.Concat.Name:
				return concatByType(call, name)
			case ast.Minus.Name:
				return minusByType(call, name)
			case ast.ObjectUnionN.Name:
				return unionWhereUndefined(call, name)
			}
			call.Func = name
			return []ir.Stmt{call}
		})
	}
	slices.SortFunc(reached, func(a, b reachedBuiltin) int { return cmp.Compare(a.Name, b.Name) })
	return reached
}

// concatByType asks the host for `concat` of a set alone: of an array the module's own is right.
func concatByType(call *ir.CallStmt, name string) []ir.Stmt {
	collection := call.Args[1]
	isArray := &ir.IsArrayStmt{Source: collection, Location: call.Location}
	isSet := &ir.IsSetStmt{Source: collection, Location: call.Location}
	return oneOf(call, name, []ir.Stmt{isArray}, []ir.Stmt{isSet})
}

// minusByType asks the host for `minus` of anything but two sets: of these the module's own is right.
func minusByType(call *ir.CallStmt, name string) []ir.Stmt {
	areSets := make([]ir.Stmt, len(call.Args))
	for index, argument := range call.Args {
		areSets[index] = &ir.IsSetStmt{Source: argument, Location: call.Location}
	}
	areNot := &ir.NotStmt{Block: &ir.Block{Stmts: areSets}, Location: call.Location}
	return oneOf(call, name, areSets, []ir.Stmt{areNot})
}

// unionWhereUndefined asks the host for `object.union_n` of what the module says nothing of: of no objects OPA does. Of a
// set the module says something, and OPA nothing.
func unionWhereUndefined(call *ir.CallStmt, name string) []ir.Stmt {
	isUndefined := &ir.IsUndefinedStmt{Source: call.Result, Location: call.Location}
	isArray := &ir.IsArrayStmt{Source: call.Args[0], Location: call.Location}
	return oneOf(call, name, []ir.Stmt{isArray}, []ir.Stmt{isUndefined})
}

// oneOf asks the module or the host, by what the arguments are or the module has said. It is looked at where the call is
// made, as only there it is known. At most one of the two conditions holds.
func oneOf(call *ir.CallStmt, name string, isNative, isAsked []ir.Stmt) []ir.Stmt {
	native, asked := *call, *call
	asked.Func = name
	return []ir.Stmt{
		&ir.ResetLocalStmt{Target: call.Result, Location: call.Location},
		&ir.BlockStmt{Location: call.Location, Blocks: []*ir.Block{
			{Stmts: append(slices.Clone(isNative), &native)},
			{Stmts: append(slices.Clone(isAsked), &asked)},
		}},
		&ir.IsDefinedStmt{Source: call.Result, Location: call.Location},
	}
}
