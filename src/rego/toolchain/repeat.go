package main

import (
	"context"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

type repeatRequest struct {
	Source
	Entrypoint string `json:"entrypoint"`
	// JSON text
	Input string `json:"input"`
	// the least time that is measured
	ForMs int `json:"forMs"`
}

type repeatResult struct {
	Evaluations int   `json:"evaluations"`
	DurationNs  int64 `json:"durationNs"`
}

// repeat measures OPA's evaluator, here in the toolchain: one query, prepared once, with the input parsed each time.
func repeat(request repeatRequest) Answer {
	parsed, issues := request.parse()
	if issues != nil {
		return Answer{Issues: issues}
	}
	store, err := request.store()
	if err != nil {
		return Answer{Issues: []Issue{{Code: codeError, Message: "data: " + err.Error()}}}
	}
	compiler, issues := compileChecked(withoutTests(parsed), ast.CapabilitiesForThisVersion(), store)
	if issues != nil {
		return Answer{Issues: issues}
	}
	ctx := context.Background()
	query, err := rego.New(
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(toRef(request.Entrypoint))))),
		rego.Compiler(compiler),
		rego.Store(store),
	).PrepareForEval(ctx)
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	result := repeatResult{}
	for start := time.Now(); time.Since(start) < time.Duration(request.ForMs)*time.Millisecond; result.Evaluations++ {
		input, err := ast.ValueFromReader(strings.NewReader(request.Input))
		if err != nil {
			return Answer{Issues: []Issue{{Code: "input_error", Message: "the input is not JSON: " + err.Error()}}}
		}
		began := time.Now()
		if _, err := query.Eval(ctx, rego.EvalParsedInput(input)); err != nil {
			return Answer{Issues: []Issue{*toEvaluationIssue(err)}}
		}
		result.DurationNs += time.Since(began).Nanoseconds()
	}
	return Answer{Result: result}
}
