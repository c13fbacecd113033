package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
)

// compiledTests is one module that has each test as an entrypoint, and what OPA's evaluator answers to the same
// question: the value of the rule where the input is `{}`. Which tests passed is not asked again: of a table test a
// compiled module gives only the cases that pass, so the values are compared, and not the verdicts.
type compiledTests struct {
	Wasm  []byte         `json:"wasm,omitempty"`
	Tests []compiledTest `json:"tests"`
}

type compiledTest struct {
	File       string `json:"file"`
	Row        int    `json:"row"`
	Col        int    `json:"col"`
	Entrypoint string `json:"entrypoint"`
	// why the test cannot be compiled; then nothing else is there
	Reason   string   `json:"reason,omitempty"`
	Expected expected `json:"expected"`
}

// compileTests is about the tests that have been run, and those that had to be ended are not begun again.
func compileTests(source Source, parsed map[string]*ast.Module, store storage.Store, run []testCase) (*compiledTests, []Issue) {
	finished := map[place]testCase{}
	for _, test := range run {
		finished[place{test.File, test.Row, test.Col}] = test
	}
	compiler, issues := compileChecked(parsed, ast.CapabilitiesForThisVersion(), store)
	if issues != nil {
		return nil, issues
	}
	result := &compiledTests{Tests: []compiledTest{}}
	var entrypoints []string
	for _, name := range util.KeysSorted(parsed) {
		for _, rule := range parsed[name].Rules {
			path, found := testPath(rule)
			verdict, wasRun := finished[place{name, rule.Loc().Row, rule.Loc().Col}]
			if !found || !wasRun {
				continue
			}
			test := compiledTest{File: name, Row: rule.Loc().Row, Col: rule.Loc().Col, Entrypoint: strings.Join(path, "/")}
			test.Reason = reasonAgainst(path, compiler, source.Builtins)
			if verdict.Error != nil && verdict.Error.Code == topdown.CancelErr {
				test.Reason = "it did not end in time"
			}
			if test.Reason == "" {
				test.Expected = expect(test.Entrypoint, compiler, store, nil)
				entrypoints = append(entrypoints, test.Entrypoint)
			}
			result.Tests = append(result.Tests, test)
		}
	}
	if len(entrypoints) == 0 {
		return result, nil
	}
	slices.Sort(entrypoints)
	result.Wasm, issues = buildWasm(compiler, source, slices.Compact(entrypoints))
	return result, issues
}

type place struct {
	file     string
	row, col int
}

// testPath is the path of a test below `data`, without the keys of a table test.
func testPath(rule *ast.Rule) ([]string, bool) {
	path := segments(rule.Module.Package.Path[1:])
	for _, name := range segments(rule.Head.Ref().GroundPrefix()) {
		path = append(path, name)
		if strings.HasPrefix(name, tester.TestPrefix) {
			return path, true
		}
	}
	return nil, false
}

func segments(ref ast.Ref) []string {
	names := make([]string, 0, len(ref))
	for _, term := range ref {
		switch value := term.Value.(type) {
		case ast.Var:
			names = append(names, string(value))
		case ast.String:
			names = append(names, string(value))
		default:
			names = append(names, value.String())
		}
	}
	return names
}

// reasonAgainst says why a rule cannot be compiled so that it means the same, or nothing.
func reasonAgainst(path []string, compiler *ast.Compiler, builtins []string) string {
	if slices.ContainsFunc(path, func(name string) bool { return strings.Contains(name, "/") }) {
		return "its path has a slash"
	}
	walk := reasonWalk{compiler: compiler, builtins: builtins, seen: map[*ast.Rule]bool{}}
	for _, rule := range compiler.GetRules(toRef(strings.Join(path, "/"))) {
		walk.visit(rule)
	}
	return walk.reason
}

type reasonWalk struct {
	compiler *ast.Compiler
	builtins []string
	seen     map[*ast.Rule]bool
	reason   string
}

func (w *reasonWalk) visit(rule *ast.Rule) {
	if w.seen[rule] || w.reason != "" {
		return
	}
	w.seen[rule] = true
	ast.WalkWiths(rule, func(with *ast.With) bool {
		if target, ok := with.Target.Value.(ast.Ref); ok && isFunction(target, w.compiler) {
			w.reason = fmt.Sprintf("it replaces the function %s by `with`", target)
		}
		return w.reason != ""
	})
	ast.WalkExprs(rule, func(expr *ast.Expr) bool {
		if !expr.IsCall() {
			return false
		}
		name := expr.Operator().String()
		if ast.BuiltinMap[name] != nil && !slices.Contains(w.builtins, name) && w.reason == "" {
			w.reason = fmt.Sprintf("it calls the built-in function %s", name)
		}
		return false
	})
	ast.WalkRefs(rule, func(ref ast.Ref) bool {
		if ref.HasPrefix(ast.DefaultRootRef) {
			for _, each := range w.compiler.GetRulesDynamic(ref) {
				w.visit(each)
			}
		}
		return false
	})
}

// buildWasm compiles modules with the tests among them, for a comparison and never for a release.
func buildWasm(compiler *ast.Compiler, source Source, entrypoints []string) ([]byte, []Issue) {
	queries, err := entrypointQueries(compiler, entrypoints)
	if err != nil {
		return nil, toIssues(err)
	}
	answer := emit(compiler, queries, ast.CapabilitiesForThisVersion().Builtins, source.Host)
	if result, ok := answer.Result.(compileResult); ok {
		return result.Wasm, nil
	}
	return nil, answer.Issues
}
