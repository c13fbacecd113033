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
	if said.Text != nil && !declared.Relation && made.Got == `{{"result": `+*said.Text+`}}` {
		return "" // also of a number that no JSON has
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
	if want.Compare(got.Value) != 0 || !isSpeltAs(want, got.Value) {
		return fmt.Sprintf("OPA says %s, the host %s", said.describe(), made.Got)
	}
	return ""
}

// isSpeltAs compares two equal values by how their numbers are written, since that is printed. Keys of objects are left
// out: of two objects with the key 1, one of which says 1.0, a union may take either.
func isSpeltAs(want, got ast.Value) bool {
	switch want := want.(type) {
	case ast.Number:
		return want == got
	case *ast.Array:
		for index := range want.Len() {
			if !isSpeltAs(want.Elem(index).Value, got.(*ast.Array).Elem(index).Value) {
				return false
			}
		}
	case ast.Set:
		members := got.(ast.Set).Slice()
		for index, member := range want.Slice() {
			if !isSpeltAs(member.Value, members[index].Value) {
				return false
			}
		}
	case ast.Object:
		for _, key := range want.Keys() {
			if !isSpeltAs(want.Get(key).Value, got.(ast.Object).Get(key).Value) {
				return false
			}
		}
	}
	return true
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
