package main

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/util"
)

type formatRequest struct {
	Modules map[string]string `json:"modules"`
}

type formatResult struct {
	Modules map[string]string `json:"modules"`
}

// formatModules writes each module as `opa fmt` does, and reads the result once more: what is written back to a file
// must parse.
func formatModules(request formatRequest) Answer {
	result := formatResult{Modules: make(map[string]string, len(request.Modules))}
	options := ast.ParserOptions{RegoVersion: ast.RegoV1}
	var issues []Issue
	for _, name := range util.KeysSorted(request.Modules) {
		text, err := format.SourceWithOpts(name, []byte(request.Modules[name]), format.Opts{
			RegoVersion:   ast.RegoV1,
			ParserOptions: &options,
			Capabilities:  ast.CapabilitiesForThisVersion(),
		})
		if err == nil {
			_, err = ast.ParseModuleWithOpts(name, string(text), options)
		}
		if err != nil {
			issues = append(issues, toIssues(err)...)
			continue
		}
		result.Modules[name] = string(text)
	}
	if issues != nil {
		return Answer{Issues: issues}
	}
	return Answer{Result: result}
}
