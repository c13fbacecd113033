package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/util"
)

type compileRequest struct {
	Source
	// slash paths below `data`, for example `envoy/authz/allow`
	Entrypoints []string `json:"entrypoints"`
}

type compileResult struct {
	Wasm        []byte   `json:"wasm"`
	Entrypoints []string `json:"entrypoints"`
}

// compileToWasm never optimises: above level 0 the optimiser takes data for constant, and data is set at run time.
func compileToWasm(request compileRequest) Answer {
	checked, issues := request.check()
	if issues != nil {
		return Answer{Issues: issues}
	}
	if issues := missingEntrypoints(request.Entrypoints, checked.compiler); issues != nil {
		return Answer{Issues: issues}
	}
	source := &bundle.Bundle{Data: map[string]any{}}
	source.SetRegoVersion(ast.RegoV1)
	source.Manifest.Init()
	for _, name := range util.KeysSorted(checked.modules) {
		source.Modules = append(source.Modules, bundle.ModuleFile{
			URL: name, Path: name, Parsed: checked.modules[name], Raw: []byte(request.Modules[name]),
		})
	}
	compiler := compile.New().
		WithTarget(compile.TargetWasm).
		WithRegoVersion(ast.RegoV1).
		WithCapabilities(request.capabilities()).
		WithEntrypoints(request.Entrypoints...).
		WithPruneUnused(true).
		WithOptimizationLevel(0).
		WithBundle(source)
	if err := compiler.Build(context.Background()); err != nil {
		return Answer{Issues: toIssues(err)}
	}
	built := compiler.Bundle()
	result := compileResult{Wasm: built.WasmModules[0].Raw}
	for _, resolver := range built.Manifest.WasmResolvers {
		result.Entrypoints = append(result.Entrypoints, resolver.Entrypoint)
	}
	return Answer{Result: result}
}

func missingEntrypoints(entrypoints []string, compiler *ast.Compiler) []Issue {
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
