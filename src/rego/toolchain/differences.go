//go:build !wasip1

package main

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What a host says of calls of a built-in is held against OPA's own implementation, for tests.

type differencesRequest struct {
	Name  string      `json:"name"`
	NowNs json.Number `json:"nowNs"`
	Calls []madeCall  `json:"calls"`
}

type madeCall struct {
	// Rego text
	Args []string `json:"args"`
	// the set of results, as Rego text
	Got string `json:"got"`
	// what ended the evaluation
	Failed string `json:"failed"`
}

type differencesResult struct {
	// how many calls OPA says something of
	Defined     int      `json:"defined"`
	Differences []string `json:"differences"`
}

func findDifferences(request differencesRequest) Answer {
	result := differencesResult{Differences: []string{}}
	for _, made := range request.Calls {
		answer := callBuiltin(builtinRequest{Name: request.Name, Args: made.Args, NowNs: request.NowNs})
		said, ok := answer.Result.(builtinResult)
		if !ok {
			return answer
		}
		if said.Text != nil {
			result.Defined++
		}
		if wrong := difference(ast.BuiltinMap[request.Name], said, made); wrong != "" {
			result.Differences = append(result.Differences, fmt.Sprintf("%s%v: %s", request.Name, made.Args, wrong))
		}
	}
	return Answer{Result: result}
}

func difference(declared *ast.Builtin, said builtinResult, made madeCall) string {
	if made.Failed != "" || said.Halt != nil {
		if made.Failed != "" && said.Halt != nil {
			return ""
		}
		return fmt.Sprintf("OPA says %s, the host failed: %s", said.describe(), made.Failed)
	}
	got, err := readTerm(made.Got)
	if err != nil {
		return fmt.Sprintf("OPA says %s, the host what cannot be read: %s", said.describe(), made.Got)
	}
	want := ast.NewSet()
	if said.Text != nil {
		value, err := readTerm(*said.Text)
		if err != nil {
			return err.Error()
		}
		if declared.Relation {
			value = setOf(value.Value.(*ast.Array))
		}
		want.Add(ast.ObjectTerm(ast.Item(ast.StringTerm("result"), value)))
	}
	if want.Compare(got.Value) != 0 {
		return fmt.Sprintf("OPA says %s, the host %s", said.describe(), made.Got)
	}
	return ""
}

func setOf(array *ast.Array) *ast.Term {
	set := ast.NewSet()
	array.Foreach(set.Add)
	return ast.NewTerm(set)
}

func (said builtinResult) describe() string {
	switch {
	case said.Text != nil:
		return *said.Text
	case said.Halt != nil:
		return "that it ends: " + said.Halt.Message
	case said.Error != nil:
		return "nothing: " + said.Error.Message
	}
	return "nothing"
}
