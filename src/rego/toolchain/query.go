package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

type queryRequest struct {
	Source
	Query string `json:"query"`
	// JSON text; nil: the input is undefined
	Input *string `json:"input"`
	// a mode of `--explain`; empty: no trace
	Explain string `json:"explain"`
	// errors of built-in functions end the evaluation
	StrictBuiltinErrors bool `json:"strictBuiltinErrors"`
	// compile the query too, and say what it must answer
	Compiled bool `json:"compiled"`
}

type queryResult struct {
	// as `opa eval --format json` prints it
	Results rego.ResultSet `json:"results"`
	Error   *Issue         `json:"error,omitempty"`
	Trace   string         `json:"trace,omitempty"`
	// what `print` wrote
	Output   string         `json:"output,omitempty"`
	Compiled *compiledQuery `json:"compiled,omitempty"`
}

// query asks OPA's evaluator.
func query(request queryRequest) Answer {
	options := ast.ParserOptions{RegoVersion: ast.RegoV1}
	body, err := ast.ParseBodyWithOpts(request.Query, options)
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
	var input *ast.Term
	if request.Input != nil {
		value, err := ast.ValueFromReader(strings.NewReader(*request.Input))
		if err != nil {
			return Answer{Issues: []Issue{{Code: "input_error", Message: "the input is not JSON: " + err.Error()}}}
		}
		input = ast.NewTerm(value)
	}
	if _, issues := compileChecked(parsed, ast.CapabilitiesForThisVersion(), store); issues != nil {
		return Answer{Issues: issues}
	}
	result, issues := request.run(body, parsed, store, input)
	if issues != nil {
		return Answer{Issues: issues}
	}
	if request.Compiled {
		result.Compiled = compileAsRule(request, body, parsed, store, input)
	}
	return Answer{Result: result}
}

func (q queryRequest) run(body ast.Body, parsed map[string]*ast.Module, store storage.Store, input *ast.Term) (*queryResult, []Issue) {
	ctx := context.Background()
	var printed bytes.Buffer
	compiler := ast.NewCompiler().WithDefaultRegoVersion(ast.RegoV1).WithEnablePrintStatements(true)
	if compiler.Compile(parsed); compiler.Failed() {
		return nil, toIssues(compiler.Errors)
	}
	prepared, err := rego.New(
		rego.ParsedQuery(body.Copy()),
		rego.Compiler(compiler),
		rego.Store(store),
		rego.SetRegoVersion(ast.RegoV1),
		rego.EnablePrintStatements(true),
		rego.PrintHook(topdown.NewPrintHook(&printed)),
		rego.StrictBuiltinErrors(q.StrictBuiltinErrors),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, toIssues(err)
	}
	var evalOptions []rego.EvalOption
	if input != nil {
		evalOptions = append(evalOptions, rego.EvalParsedInput(input.Value))
	}
	tracer := topdown.NewBufferTracer()
	if q.Explain != "" {
		evalOptions = append(evalOptions, rego.EvalQueryTracer(tracer))
	}
	results, err := prepared.Eval(ctx, evalOptions...)
	result := &queryResult{Results: results, Output: printed.String()}
	if err != nil {
		result.Error = toEvaluationIssue(err)
	}
	if q.Explain != "" {
		var text bytes.Buffer
		topdown.PrettyTraceWithOpts(&text, explained(q.Explain, *tracer), topdown.PrettyTraceOptions{Locations: true})
		result.Trace = text.String()
	}
	return result, nil
}

// compiledQuery is the query as the body of a rule that gives the values of its expressions and its bindings.
type compiledQuery struct {
	Wasm       []byte `json:"wasm,omitempty"`
	Entrypoint string `json:"entrypoint"`
	// why the query cannot be compiled; then nothing else is there
	Reason   string   `json:"reason,omitempty"`
	Expected expected `json:"expected"`
	// what each expression is called in the results, and which of the values is its own; -1: none, it is true
	Expressions []queryExpression `json:"expressions"`
}

type queryExpression struct {
	Text     string         `json:"text"`
	Location *rego.Location `json:"location"`
	Value    int            `json:"value"`
}

const (
	queryFile       = "(query).rego"
	queryEntrypoint = "chancery_query/results"
)

func compileAsRule(request queryRequest, body ast.Body, parsed map[string]*ast.Module, store storage.Store, input *ast.Term) *compiledQuery {
	text, expressions := ruleOfQuery(body)
	result := &compiledQuery{Entrypoint: queryEntrypoint, Expressions: expressions}
	module, err := ast.ParseModuleWithOpts(queryFile, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		result.Reason = "it cannot be written as a rule: " + oneLine(err)
		return result
	}
	modules := map[string]*ast.Module{queryFile: module}
	maps.Copy(modules, parsed)
	compiler, issues := compileChecked(modules, ast.CapabilitiesForThisVersion(), store)
	if issues != nil {
		result.Reason = "it cannot be written as a rule: " + issues[0].Message
		return result
	}
	if result.Reason = reasonAgainst(strings.Split(queryEntrypoint, "/"), compiler, request.Builtins); result.Reason != "" {
		return result
	}
	result.Expected = expect(queryEntrypoint, compiler, store, input)
	result.Wasm, issues = buildWasm(compiler, request.Source, []string{queryEntrypoint})
	if issues != nil {
		result.Reason = "it cannot be compiled: " + issues[0].Message
	}
	return result
}

// ruleOfQuery writes a query as a rule. As `opa eval` does it takes the value of each expression that has one; where
// there is more than one expression each value must be true, so that it counts as a condition.
func ruleOfQuery(body ast.Body) (string, []queryExpression) {
	var conditions, values []string
	expressions := make([]queryExpression, 0, len(body))
	for _, expr := range body {
		expression := queryExpression{Text: string(expr.Location.Text), Value: -1}
		expression.Location = &rego.Location{Row: expr.Location.Row, Col: expr.Location.Col}
		if term := valueOf(expr); term != nil {
			name := fmt.Sprintf("chancery_value_%d", len(values))
			captured := expr.Copy()
			captured.Terms = ast.Assign.Expr(ast.VarTerm(name), term).Terms
			conditions = append(conditions, captured.String())
			if len(body) > 1 {
				conditions = append(conditions, name)
			}
			expression.Value = len(values)
			values = append(values, name)
		} else {
			conditions = append(conditions, expr.String())
		}
		expressions = append(expressions, expression)
	}
	var bindings []string
	for _, name := range boundVars(body) {
		bindings = append(bindings, fmt.Sprintf("%q: %s", name, name))
	}
	head := fmt.Sprintf("results contains [[%s], {%s}] if {", strings.Join(values, ", "), strings.Join(bindings, ", "))
	lines := append([]string{"package chancery_query", "", head}, conditions...)
	return strings.Join(append(lines, "}", ""), "\n"), expressions
}

// valueOf is the value of an expression, or nil when it has none but being true.
func valueOf(expr *ast.Expr) *ast.Term {
	if expr.Negated || expr.IsAssignment() || expr.IsEquality() {
		return nil
	}
	switch terms := expr.Terms.(type) {
	case *ast.Term:
		return terms
	case []*ast.Term:
		builtin := ast.BuiltinMap[terms[0].String()]
		if builtin == nil || (builtin.Decl.Result() != nil && len(terms)-1 == builtin.Decl.Arity()) {
			return ast.CallTerm(terms...)
		}
	}
	return nil
}

func boundVars(body ast.Body) []string {
	visitor := ast.NewVarVisitor().WithParams(ast.VarVisitorParams{SkipClosures: true, SkipRefCallHead: true, SkipRefHead: true})
	for _, expr := range body {
		if _, isEvery := expr.Terms.(*ast.Every); !isEvery {
			visitor.Walk(expr)
		}
	}
	var names []string
	for _, name := range visitor.Vars().Sorted() {
		if !name.IsWildcard() && !name.IsGenerated() && !ast.RootDocumentNames.Contains(ast.NewTerm(name)) {
			names = append(names, string(name))
		}
	}
	return names
}
