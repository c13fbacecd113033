package main

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// checkStrictly finds what `opa check --strict` finds besides errors: unused variables and imports, and the like.
func checkStrictly(source Source) Answer {
	parsed, issues := source.parse()
	if issues != nil {
		return Answer{Issues: issues}
	}
	store, err := source.store()
	if err != nil {
		return Answer{Issues: []Issue{{Code: codeError, Message: "data: " + err.Error()}}}
	}
	ctx := context.Background()
	txn := storage.NewTransactionOrDie(ctx, store)
	defer store.Abort(ctx, txn)
	compiler := ast.NewCompiler().
		WithCapabilities(ast.CapabilitiesForThisVersion()).
		WithDefaultRegoVersion(ast.RegoV1).
		WithStrict(true).
		WithEnablePrintStatements(true).
		SetErrorLimit(maxIssues)
	if compiler.Compile(parsed); compiler.Failed() {
		return Answer{Issues: toIssues(compiler.Errors)}
	}
	return Answer{Result: map[string]bool{"ok": true}}
}
