//go:build !wasip1

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/internal/planner"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/types"
	"github.com/open-policy-agent/opa/v1/util"
)

// OPA's compliance cases, for tests: what each asks and wants is read here, with the digits of its numbers, and what a
// host answered is judged here, by OPA's own comparison.

type casesRequest struct {
	Folder string `json:"folder"`
}

type caseSummary struct {
	Note        string            `json:"note"`
	StrictError bool              `json:"strictError"`
	Env         map[string]string `json:"env"`
	Data        json.RawMessage   `json:"data"`
	// Rego text
	Input *string `json:"input,omitempty"`
}

var loaded []cases.TestCase

func loadCases(request casesRequest) Answer {
	set, err := cases.Load(request.Folder)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	loaded = set.Sorted().Cases
	summaries := make([]caseSummary, 0, len(loaded))
	for _, each := range loaded {
		summary := caseSummary{Note: each.Note, StrictError: each.StrictError, Env: each.Env, Data: json.RawMessage("{}")}
		if each.Data != nil {
			summary.Data = util.MustMarshalJSON(*each.Data)
		}
		if each.InputTerm != nil {
			text := writeTerm(ast.MustParseTerm(*each.InputTerm))
			summary.Input = &text
		} else if each.Input != nil {
			text := writeTerm(ast.NewTerm(ast.MustInterfaceToValue(*each.Input)))
			summary.Input = &text
		}
		summaries = append(summaries, summary)
	}
	return Answer{Result: summaries}
}

// testSleep is a built-in that OPA's own runner of the cases has. The host need not sleep.
var testSleep = &ast.Builtin{
	Name: "test.sleep",
	Decl: types.NewFunction(types.Args(types.S), types.NewNull()),
}

func init() { ast.RegisterBuiltin(testSleep) }

// listBuiltins has them as OPA declares them.
func listBuiltins(struct{}) Answer {
	return Answer{Result: slices.DeleteFunc(ast.CapabilitiesForThisVersion().Builtins, func(each *ast.Builtin) bool {
		return each == testSleep
	})}
}

type compileCaseRequest struct {
	Index int      `json:"index"`
	Host  []string `json:"host"`
}

// compileCase compiles the query itself: each of its results is an object of its variables.
func compileCase(request compileCaseRequest) Answer {
	each := loaded[request.Index]
	for name, value := range each.Env {
		if err := os.Setenv(name, value); err != nil {
			return Answer{Error: err.Error()}
		}
	}
	modules := map[string]string{}
	for index, module := range each.Modules {
		modules[fmt.Sprintf("test-%d.rego", index)] = module
	}
	capabilities := ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(each.ExperimentalKeywords))
	options := ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities}
	compiler, err := ast.CompileModulesWithOpt(modules, ast.CompileOpts{ParserOptions: options})
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	query, err := compileQuery(compiler, "query", ast.MustParseBody(each.Query))
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	return emit(compiler, []planner.QuerySet{query}, capabilities.Builtins, request.Host)
}

type judgeCaseRequest struct {
	Index int `json:"index"`
	// the set of results, as Rego text
	Got string `json:"got"`
	// what ended the evaluation
	Failed *Issue `json:"failed"`
}

// judgeCase says what is wrong: nothing, if the text is empty.
func judgeCase(request judgeCaseRequest) Answer {
	each := loaded[request.Index]
	switch {
	case each.WantError != nil && request.Failed == nil:
		return judged("wants error text %q, got %s", *each.WantError, request.Got)
	case each.WantErrorCode != nil && request.Failed == nil:
		return judged("wants error code %q, got %s", *each.WantErrorCode, request.Got)
	case each.WantErrorCode != nil && *each.WantErrorCode != request.Failed.Code:
		return judged("wants error code %q, got %s: %s", *each.WantErrorCode, request.Failed.Code, request.Failed.Message)
	case each.WantError != nil && !strings.Contains(request.Failed.Code+": "+request.Failed.Message, *each.WantError):
		return judged("wording: wants error text %q, got %s: %s", *each.WantError, request.Failed.Code, request.Failed.Message)
	case each.WantError != nil || each.WantErrorCode != nil:
		return judged("")
	case request.Failed != nil:
		return judged("failed: %s: %s", request.Failed.Code, request.Failed.Message)
	case each.WantResult == nil:
		return Answer{Error: "the case wants nothing"}
	}
	got, err := readTerm(request.Got)
	if err != nil {
		return judged("unreadable: %s: %s", err, request.Got)
	}
	want, have := ast.NewSet(), ast.NewSet()
	for _, bindings := range *each.WantResult {
		want.Add(ast.NewTerm(ast.MustInterfaceToValue(map[string]any(bindings))))
	}
	for _, bindings := range got.Value.(ast.Set).Slice() {
		normal, err := normalBindings(bindings.Value.(ast.Object), each.SortBindings)
		if err != nil {
			return Answer{Error: err.Error()}
		}
		have.Add(normal)
	}
	if want.Compare(have) != 0 {
		return judged("wants %v, got %v", want, have)
	}
	return judged("")
}

// normalBindings are those of JSON: sets are sorted arrays.
func normalBindings(bindings ast.Object, sortArrays bool) (*ast.Term, error) {
	normal := ast.NewObject()
	err := bindings.Iter(func(name, term *ast.Term) error {
		value, err := ast.JSON(term.Value)
		if err != nil {
			return err
		}
		if array, ok := value.([]any); ok && sortArrays {
			slices.SortFunc(array, util.Compare)
		}
		normal.Insert(name, ast.NewTerm(ast.MustInterfaceToValue(value)))
		return nil
	})
	return ast.NewTerm(normal), err
}

func judged(format string, values ...any) Answer {
	return Answer{Result: fmt.Sprintf(format, values...)}
}
