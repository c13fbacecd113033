package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/internal/planner"
	"github.com/open-policy-agent/opa/v1/ast"
)

type compileRequest struct {
	Source
	// slash paths below `data`, for example `envoy/authz/allow`
	Entrypoints []string `json:"entrypoints"`
}

type compileResult struct {
	Wasm        []byte   `json:"wasm"`
	Entrypoints []string `json:"entrypoints"`
	// by name
	Builtins []reachedBuiltin `json:"builtins"`
	// paths below `input` that can be read: of strings, none a prefix of another
	Inputs [][]string `json:"inputs"`
}

func compileToWasm(request compileRequest) Answer {
	checked, issues := request.check()
	if issues != nil {
		return Answer{Issues: issues}
	}
	if issues := missingEntrypoints(request.Entrypoints, checked.compiler); issues != nil {
		return Answer{Issues: issues}
	}
	entrypoints := withoutRepetition(request.Entrypoints)
	queries, err := entrypointQueries(checked.compiler, entrypoints)
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	answer := emit(checked.compiler, queries, request.capabilities().Builtins, request.Host)
	if result, ok := answer.Result.(compileResult); ok {
		result.Entrypoints = entrypoints
		result.Inputs = inputPaths(checked.compiler, entrypoints)
		answer.Result = result
	}
	return answer
}

// emit plans the queries, redirects built-ins and writes the module.
func emit(compiler *ast.Compiler, queries []planner.QuerySet, builtins []*ast.Builtin, host []string) Answer {
	policy, err := planPolicy(compiler, queries, builtins)
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	nameConflicts(policy)
	reached := redirect(policy, host)
	numbers := &locals{}
	// What these call is the module's own in any case.
	spellDataKeys(policy, numbers)
	orderIterations(policy, numbers)
	wasm, err := writeWasm(policy)
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	return Answer{Result: compileResult{Wasm: wasm, Builtins: reached}}
}

// withoutRepetition keeps the first of each.
func withoutRepetition(entrypoints []string) []string {
	kept := make([]string, 0, len(entrypoints))
	for _, entrypoint := range entrypoints {
		if !slices.Contains(kept, entrypoint) {
			kept = append(kept, entrypoint)
		}
	}
	return kept
}

func missingEntrypoints(entrypoints []string, compiler *ast.Compiler) []Issue {
	if len(entrypoints) == 0 {
		return []Issue{{Code: "entrypoint_undefined", Message: "an entrypoint is needed"}}
	}
	var issues []Issue
	for index, entrypoint := range entrypoints {
		if len(compiler.GetRules(toRef(entrypoint))) == 0 {
			issues = append(issues, Issue{
				Code:       "entrypoint_undefined",
				Message:    fmt.Sprintf("entrypoint %s does not refer to a rule", entrypoint),
				Entrypoint: &index,
			})
		}
	}
	return issues
}

func toRef(entrypoint string) ast.Ref {
	ref := ast.DefaultRootRef.Copy()
	for segment := range strings.SplitSeq(entrypoint, "/") {
		ref = ref.Append(ast.StringTerm(segment))
	}
	return ref
}
