package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

type evaluateRequest struct {
	Source
	Entrypoint string `json:"entrypoint"`
	// JSON texts, one evaluation each
	Inputs []string `json:"inputs"`
}

type evaluateResult struct {
	Outcomes []outcome `json:"outcomes"`
}

// outcome of one evaluation: a value as JSON text, an error, or neither (undefined).
type outcome struct {
	Text  *string `json:"text,omitempty"`
	Error *Issue  `json:"error,omitempty"`
}

// evaluate asks OPA's own evaluator, which is what our evaluation in WASM is compared with.
func evaluate(request evaluateRequest) Answer {
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
	result := evaluateResult{Outcomes: make([]outcome, 0, len(request.Inputs))}
	for _, text := range request.Inputs {
		result.Outcomes = append(result.Outcomes, evaluateOne(ctx, query, text))
	}
	return Answer{Result: result}
}

func evaluateOne(ctx context.Context, query rego.PreparedEvalQuery, text string) outcome {
	input, err := ast.ValueFromReader(strings.NewReader(text))
	if err != nil {
		return outcome{Error: &Issue{Code: "input_error", Message: err.Error()}}
	}
	results, err := query.Eval(ctx, rego.EvalParsedInput(input))
	if err != nil {
		return outcome{Error: toEvaluationIssue(err)}
	}
	if len(results) == 0 {
		return outcome{}
	}
	value, err := json.Marshal(results[0].Expressions[0].Value)
	if err != nil {
		return outcome{Error: &Issue{Code: codeError, Message: err.Error()}}
	}
	encoded := string(value)
	return outcome{Text: &encoded}
}
