package main

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// checkedPolicy is a source without issues.
type checkedPolicy struct {
	// parsed modules without the tests
	modules  map[string]*ast.Module
	compiler *ast.Compiler
	store    storage.Store
}

func check(source Source) Answer {
	if _, issues := source.check(); issues != nil {
		return Answer{Issues: issues}
	}
	return Answer{Result: map[string]bool{"ok": true}}
}

// check parses all; then it type-checks the policy with the evaluator's built-ins, and the policy with its tests
// with all built-ins, since OPA itself runs the tests.
func (s Source) check() (*checkedPolicy, []Issue) {
	parsed, issues := s.parse()
	if issues != nil {
		return nil, issues
	}
	store, err := s.store()
	if err != nil {
		return nil, []Issue{{Code: codeError, Message: "data: " + err.Error()}}
	}
	policy := withoutTests(parsed)
	compiler, issues := compileChecked(policy, s.capabilities(), store)
	if issues != nil {
		return nil, issues
	}
	if len(policy) < len(parsed) {
		if _, issues := compileChecked(parsed, ast.CapabilitiesForThisVersion(), store); issues != nil {
			return nil, issues
		}
	}
	return &checkedPolicy{modules: policy, compiler: compiler, store: store}, nil
}

func isFunction(target ast.Ref, compiler *ast.Compiler) bool {
	if !target.HasPrefix(ast.DefaultRootRef) {
		return !target.HasPrefix(ast.InputRootRef)
	}
	for _, rule := range compiler.GetRulesExact(target) {
		if len(rule.Head.Args) > 0 {
			return true
		}
	}
	return false
}
