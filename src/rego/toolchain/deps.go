package main

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
)

type depsRequest struct {
	Source
	Query string `json:"query"`
}

type depsResult struct {
	// `data` and `input` that no rule defines
	Base []dependency `json:"base"`
	// rules
	Virtual []dependency `json:"virtual"`
}

type dependency struct {
	Text string  `json:"text"`
	Ref  ast.Ref `json:"ref"`
}

func deps(request depsRequest) Answer {
	query, err := ast.ParseBodyWithOpts(request.Query, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	parsed, issues := request.parse()
	if issues != nil {
		return Answer{Issues: issues}
	}
	store, err := request.store()
	if err != nil {
		return Answer{Issues: []Issue{{Code: codeError, Message: "data: " + err.Error()}}}
	}
	compiler, issues := compileChecked(parsed, ast.CapabilitiesForThisVersion(), store)
	if issues != nil {
		return Answer{Issues: issues}
	}
	base, err := dependencies.Base(compiler, query)
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	virtual, err := dependencies.Virtual(compiler, query)
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	return Answer{Result: depsResult{Base: toDependencies(base), Virtual: toDependencies(virtual)}}
}

func toDependencies(refs []ast.Ref) []dependency {
	slices.SortFunc(refs, ast.RefCompare)
	result := make([]dependency, 0, len(refs))
	for _, ref := range refs {
		result = append(result, dependency{Text: ref.String(), Ref: ref})
	}
	return result
}
