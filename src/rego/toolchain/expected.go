package main

import (
	"context"
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// expected is what OPA's evaluator answers, in a form in which a set is not an array: a compiled module writes the
// members of a set in an order of its own.
type expected struct {
	// absent: undefined
	Value any    `json:"value,omitempty"`
	Error *Issue `json:"error,omitempty"`
}

// expect evaluates a rule as production does: without strict errors of built-in functions, and with an input.
func expect(entrypoint string, compiler *ast.Compiler, store storage.Store, input *ast.Term) expected {
	ctx := context.Background()
	txn := storage.NewTransactionOrDie(ctx, store)
	defer store.Abort(ctx, txn)
	if input == nil {
		input = ast.ObjectTerm()
	}
	answer := ast.VarTerm("answer")
	results, err := topdown.NewQuery(ast.NewBody(ast.Equality.Expr(ast.NewTerm(toRef(entrypoint)), answer))).
		WithCompiler(compiler).
		WithStore(store).
		WithTransaction(txn).
		WithInput(input).
		Run(ctx)
	if err != nil {
		return expected{Error: toEvaluationIssue(err)}
	}
	if len(results) == 0 {
		return expected{}
	}
	return expected{Value: tagged(results[0][answer.Value.(ast.Var)].Value)}
}

// tagged is a value as JSON with its kind: scalars are in `json`, so that `null` is a value as well.
func tagged(value ast.Value) any {
	switch value := value.(type) {
	case *ast.Array:
		members := make([]any, 0, value.Len())
		value.Foreach(func(term *ast.Term) { members = append(members, tagged(term.Value)) })
		return map[string]any{"array": members}
	case ast.Set:
		members := make([]any, 0, value.Len())
		value.Foreach(func(term *ast.Term) { members = append(members, tagged(term.Value)) })
		return map[string]any{"set": members}
	case ast.Object:
		members := make(map[string]any, value.Len())
		value.Foreach(func(key, term *ast.Term) { members[keyText(key)] = tagged(term.Value) })
		return map[string]any{"object": members}
	}
	plain, err := ast.JSON(value)
	if err != nil {
		return map[string]any{"unknown": err.Error()}
	}
	return map[string]any{"json": plain}
}

// keyText is a key as JSON output has it: what is no string is written as JSON.
func keyText(key *ast.Term) string {
	if text, ok := key.Value.(ast.String); ok {
		return string(text)
	}
	plain, err := ast.JSON(key.Value)
	if err != nil {
		return key.String()
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return key.String()
	}
	return string(text)
}
