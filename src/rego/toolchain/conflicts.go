package main

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ir"
)

// nameConflicts lets an evaluation that ends with a conflict say of what, in OPA's words. The module knows no more than
// `file:row:col: var assignment conflict`; so the name of the file begins with those words.
func nameConflicts(policy *ir.Policy) {
	indices := map[string]int{}
	said := func(at *ir.Location, what string) {
		text := what + " at " + policy.Static.Files[at.File].Value
		index, known := indices[text]
		if !known {
			index = len(policy.Static.Files)
			indices[text] = index
			policy.Static.Files = append(policy.Static.Files, &ir.StringConst{Value: text})
		}
		at.File = index
	}
	for _, function := range policy.Funcs.Funcs {
		for _, block := range function.Blocks {
			visitBlock(block, func(statement ir.Stmt) {
				switch statement := statement.(type) {
				case *ir.AssignVarOnceStmt:
					said(&statement.Location, assignmentConflict(function))
				case *ir.ObjectInsertOnceStmt:
					said(&statement.Location, "object keys must be unique")
				}
			})
		}
	}
}

// The first two parameters are input and data.
const documentParams = 2

func assignmentConflict(function *ir.Func) string {
	name := strings.TrimPrefix(function.Name, "g0.")
	if len(function.Params) > documentParams {
		return "function " + name + " produced conflicting values for the same inputs"
	}
	return "rule " + name + " produced conflicting values"
}
