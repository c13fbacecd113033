package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

type builtinRequest struct {
	Name string `json:"name"`
	// Rego text
	Args []string `json:"args"`
	// since the epoch, in decimal digits
	NowNs json.Number `json:"nowNs"`
	// what the built-in takes for randomness; without it the system's
	Seed []byte `json:"seed"`
}

type builtinResult struct {
	// Rego text; without it the call is undefined
	Text *string `json:"text,omitempty"`
	// ends the evaluation
	Halt *Issue `json:"halt,omitempty"`
	// why the call is undefined, which OPA says in strict mode only
	Error *Issue `json:"error,omitempty"`
}

var withoutNetwork = func() *ast.Capabilities {
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.AllowNet = []string{}
	return capabilities
}()

// callBuiltin asks OPA's own implementation. Nothing is kept from one call to the next.
func callBuiltin(request builtinRequest) Answer {
	implementation, declared := topdown.GetBuiltin(request.Name), ast.BuiltinMap[request.Name]
	if implementation == nil || declared == nil {
		return Answer{Error: "unknown built-in " + request.Name}
	}
	operands := make([]*ast.Term, len(request.Args))
	for index, text := range request.Args {
		operand, err := readTerm(text)
		if err != nil {
			return Answer{Error: err.Error()}
		}
		operands[index] = operand
	}
	results, err := invoke(implementation, request.context(), operands)
	var halt topdown.Halt
	switch {
	case errors.As(err, &halt):
		return Answer{Result: builtinResult{Halt: toEvaluationIssue(halt.Err)}}
	case err != nil:
		return Answer{Result: builtinResult{Error: toEvaluationIssue(err)}}
	case declared.Relation:
		results = []*ast.Term{ast.ArrayTerm(results...)}
	case len(results) == 0:
		return Answer{Result: builtinResult{}}
	}
	text := writeTerm(results[0])
	return Answer{Result: builtinResult{Text: &text}}
}

// invoke ends the evaluation where OPA's own evaluator would panic: within a built-in, or for a result that is not there
// (json.patch that removes all).
func invoke(implementation topdown.BuiltinFunc, ctx topdown.BuiltinContext, operands []*ast.Term) (results []*ast.Term, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			results, err = nil, panicHalt(panicked)
		}
	}()
	err = implementation(ctx, operands, func(result *ast.Term) error {
		if result == nil {
			return panicHalt("no result")
		}
		results = append(results, result)
		return nil
	})
	return results, err
}

func panicHalt(reason any) error {
	return topdown.Halt{Err: &topdown.Error{Code: topdown.InternalErr, Message: fmt.Sprint("panic: ", reason)}}
}

func (request builtinRequest) context() topdown.BuiltinContext {
	var seed io.Reader = rand.Reader
	if request.Seed != nil {
		seed = bytes.NewReader(request.Seed)
	}
	return topdown.BuiltinContext{
		Context:      context.Background(),
		Metrics:      metrics.New(),
		Seed:         seed,
		Time:         ast.NumberTerm(request.NowNs),
		Cancel:       topdown.NewCancel(),
		Runtime:      ast.ObjectTerm(),
		Cache:        builtins.Cache{},
		Capabilities: withoutNetwork,
	}
}
