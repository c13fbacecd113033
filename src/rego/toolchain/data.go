package main

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

type dataRequest struct {
	Files []dataFile `json:"files"`
}

// dataFile is a `data.json` or `data.yaml`, in the order in which they are read.
type dataFile struct {
	Name string `json:"name"`
	// of its folder, below the root
	Path []string `json:"path"`
	Text string   `json:"text"`
}

// mergeData puts each document below the path of its folder; two files may fill one object, never one value of it.
func mergeData(request dataRequest) Answer {
	document := map[string]any{}
	var issues []Issue
	for _, file := range request.Files {
		var value any
		if err := util.Unmarshal([]byte(file.Text), &value); err != nil {
			issues = append(issues, Issue{Code: "data_error", Message: oneLine(err), File: file.Name})
			continue
		}
		for index := len(file.Path) - 1; index >= 0; index-- {
			value = map[string]any{file.Path[index]: value}
		}
		object, ok := value.(map[string]any)
		if !ok {
			issues = append(issues, Issue{Code: "data_error", Message: "is not an object", File: file.Name})
			continue
		}
		if conflict := merge(document, object, nil); conflict != nil {
			message := fmt.Sprintf("says %s a second time", conflict)
			issues = append(issues, Issue{Code: "data_conflict", Message: message, File: file.Name})
		}
	}
	if issues != nil {
		return Answer{Issues: issues}
	}
	return Answer{Result: map[string]any{"data": document}}
}

func merge(into, more map[string]any, at []string) ast.Ref {
	for _, key := range util.KeysSorted(more) {
		there, found := into[key]
		if !found {
			into[key] = more[key]
			continue
		}
		path := append(at[:len(at):len(at)], key)
		thereObject, thereOk := there.(map[string]any)
		moreObject, moreOk := more[key].(map[string]any)
		if !thereOk || !moreOk {
			ref := ast.DefaultRootRef.Copy()
			for _, segment := range path {
				ref = ref.Append(ast.StringTerm(segment))
			}
			return ref
		}
		if conflict := merge(thereObject, moreObject, path); conflict != nil {
			return conflict
		}
	}
	return nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
