package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/types"
	"github.com/open-policy-agent/opa/v1/util"
	opa "github.com/open-policy-agent/opa/v1/version"
)

// Source is the policy that a request is about.
type Source struct {
	// file name to Rego text; names that end in `_test.rego` are tests
	Modules map[string]string `json:"modules"`
	// static data, kept as text so that numbers keep every digit
	Data json.RawMessage `json:"data"`
	// the built-in functions that the modules may call; tests may call all of OPA's
	Builtins []string `json:"builtins"`
	// of these: which the host answers although the compiled module could itself
	Host []string `json:"host"`
}

const (
	// More issues than this help nobody.
	maxIssues = 100
	codeError = "toolchain_error"
	// what the compiler itself puts into a policy
	builtinPrint = "print"
)

func version() any {
	return map[string]string{"opa": opa.Version, "go": runtime.Version()}
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }

// parse reads every module as Rego v1; the issues are those of all files.
func (s Source) parse() (map[string]*ast.Module, []Issue) {
	parsed := make(map[string]*ast.Module, len(s.Modules))
	var issues []Issue
	for _, name := range util.KeysSorted(s.Modules) {
		module, err := ast.ParseModuleWithOpts(name, s.Modules[name], ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			issues = append(issues, toIssues(err)...)
			continue
		}
		parsed[name] = module
	}
	return parsed, issues
}

func withoutTests(modules map[string]*ast.Module) map[string]*ast.Module {
	kept := make(map[string]*ast.Module, len(modules))
	for name, module := range modules {
		if !isTest(name) {
			kept[name] = module
		}
	}
	return kept
}

// capabilities restricts OPA's to the built-ins that the evaluator has.
func (s Source) capabilities() *ast.Capabilities {
	restricted := ast.CapabilitiesForThisVersion()
	restricted.Builtins = slices.DeleteFunc(restricted.Builtins, func(builtin *ast.Builtin) bool {
		return builtin.Name != builtinPrint && !slices.Contains(s.Builtins, builtin.Name)
	})
	for index, builtin := range restricted.Builtins {
		if builtin.Name == ast.Concat.Name && !slices.Contains(s.Host, builtin.Name) {
			restricted.Builtins[index] = concatOfArray()
		}
	}
	restricted.AllowNet = []string{}
	return restricted
}

// concatOfArray is `concat` without sets, where the host does not answer it: WASM takes their members in another order
// than OPA's evaluator.
func concatOfArray() *ast.Builtin {
	narrowed := *ast.Concat
	narrowed.Decl = types.NewFunction(types.Args(types.S, types.NewArray(nil, types.S)), types.S)
	return &narrowed
}

// store holds the static data.
func (s Source) store() (storage.Store, error) {
	document := map[string]any{}
	if len(s.Data) > 0 {
		decoder := util.NewJSONDecoder(bytes.NewReader(s.Data))
		if err := decoder.Decode(&document); err != nil {
			return nil, err
		}
	}
	return inmem.NewFromObjectWithOpts(document, inmem.OptRoundTripOnWrite(false)), nil
}

// compileChecked type-checks modules under the given capabilities, and against rules that data would hide.
func compileChecked(modules map[string]*ast.Module, capabilities *ast.Capabilities, store storage.Store) (*ast.Compiler, []Issue) {
	ctx := context.Background()
	txn := storage.NewTransactionOrDie(ctx, store)
	defer store.Abort(ctx, txn)
	copies := make(map[string]*ast.Module, len(modules))
	for name, module := range modules {
		copies[name] = module.Copy()
	}
	compiler := ast.NewCompiler().
		WithCapabilities(capabilities).
		WithDefaultRegoVersion(ast.RegoV1).
		WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn)).
		SetErrorLimit(maxIssues)
	compiler.Compile(copies)
	if compiler.Failed() {
		return nil, toIssues(compiler.Errors)
	}
	return compiler, nil
}

func toIssues(err error) []Issue {
	var many ast.Errors
	if !errors.As(err, &many) {
		var one *ast.Error
		if !errors.As(err, &one) {
			return []Issue{{Code: codeError, Message: err.Error()}}
		}
		many = ast.Errors{one}
	}
	many.Sort()
	issues := make([]Issue, 0, len(many))
	for _, each := range many {
		issue := Issue{Code: each.Code, Message: explain(each)}
		if each.Location != nil {
			// of an empty module OPA knows no row
			issue.File, issue.Row, issue.Col = each.Location.File, max(each.Location.Row, 1), max(each.Location.Col, 1)
			issue.Text = firstLine(each.Location.Text)
		}
		issues = append(issues, issue)
	}
	return issues
}

// explain says of a function that OPA has and this evaluator has not that it is missing here, not misspelt.
func explain(err *ast.Error) string {
	if name, found := strings.CutPrefix(err.Message, "undefined function "); found && ast.BuiltinMap[name] != nil {
		return "built-in function " + name + " is not supported"
	}
	return err.Message
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return string(line[:min(len(line), 200)])
}
