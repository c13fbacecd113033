package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

type testRequest struct {
	Source
	Coverage bool `json:"coverage"`
	// regular expression on the full names; empty: all
	Run string `json:"run"`
	// of one test; 0: none
	TimeoutMs int `json:"timeoutMs"`
	// what a command prints; nil: nothing
	Report *reportRequest `json:"report"`
	// compile the tests too, and say what each must answer
	Compiled bool `json:"compiled"`
}

type testResult struct {
	Tests    []testCase      `json:"tests"`
	Coverage *coverageResult `json:"coverage,omitempty"`
	// as `opa test` prints it
	Pretty   string         `json:"pretty,omitempty"`
	Compiled *compiledTests `json:"compiled,omitempty"`
}

type testCase struct {
	// for example `data.envoy.authz_test.test_public_is_allowed`
	Name    string `json:"name"`
	File    string `json:"file"`
	Row     int    `json:"row"`
	Col     int    `json:"col"`
	Outcome string `json:"outcome"`
	// what `print` wrote
	Output string `json:"output,omitempty"`
	// why it ended with an error, and where
	Error *Issue `json:"error,omitempty"`
	// names of the failed cases of a table test
	FailedCases []string `json:"failedCases,omitempty"`
	DurationNs  int64    `json:"durationNs"`
	// as `opa test --format json` prints it
	Report json.RawMessage `json:"report,omitempty"`
}

type coverageResult struct {
	// percent of the lines of the modules that are not tests
	Percent    float64     `json:"percent"`
	NotCovered []lineRange `json:"notCovered"`
	// of all modules, as `opa test --coverage` prints it
	Report *cover.Report `json:"report,omitempty"`
}

type lineRange struct {
	File  string `json:"file"`
	First int    `json:"first"`
	Last  int    `json:"last"`
}

// Go on WebAssembly has one thread and does not preempt: a deadline inside counts only with a yielder, and at last the
// host ends the worker.
const never = 24 * time.Hour

func runTests(request testRequest) Answer {
	parsed, issues := request.parse()
	if issues != nil {
		return Answer{Issues: issues}
	}
	store, err := request.store()
	if err != nil {
		return Answer{Issues: []Issue{{Code: codeError, Message: "data: " + err.Error()}}}
	}
	ctx := context.Background()
	txn := storage.NewTransactionOrDie(ctx, store)
	defer store.Abort(ctx, txn)
	coverage := cover.New()
	finished, err := request.runner(store, parsed, coverage).RunTests(ctx, txn)
	if err != nil {
		return Answer{Issues: toIssues(err)}
	}
	results := sorted(finished)
	result := testResult{Tests: []testCase{}}
	for _, each := range results {
		result.Tests = append(result.Tests, toTestCase(each))
	}
	if request.Coverage {
		result.Coverage = toCoverage(coverage.Report(withoutTests(parsed)))
	}
	if request.Report != nil {
		if err := request.Report.fill(&result, results); err != nil {
			return Answer{Error: err.Error()}
		}
		if request.Coverage {
			report := coverage.Report(parsed)
			result.Coverage.Report = &report
		}
	}
	if request.Compiled {
		compiled, issues := compileTests(request.Source, parsed, store, result.Tests)
		if issues != nil {
			return Answer{Issues: issues}
		}
		result.Compiled = compiled
	}
	return Answer{Result: result}
}

func (t testRequest) runner(store storage.Store, parsed map[string]*ast.Module, coverage *cover.Cover) *tester.Runner {
	runner := tester.NewRunner().
		SetStore(store).
		SetModules(parsed).
		SetDefaultRegoVersion(ast.RegoV1).
		CapturePrintOutput(true).
		RaiseBuiltinErrors(true).
		SetParallel(1).
		SetTimeout(never).
		Filter(t.Run).
		SetCoverageRuns(nil)
	if t.Report != nil {
		runner = runner.SetCompiler(ast.NewCompiler().
			WithCapabilities(ast.CapabilitiesForThisVersion()).
			WithDefaultRegoVersion(ast.RegoV1).
			WithEnablePrintStatements(true).
			WithRewriteTestRules(t.Report.VarValues)).
			EnableTracing(t.Report.traces() && !t.Coverage).
			StackTraces(true)
	}
	var tracer topdown.QueryTracer
	if t.Coverage {
		tracer = coverage
	}
	if t.TimeoutMs > 0 {
		runner = runner.SetTimeout(time.Duration(t.TimeoutMs) * time.Millisecond)
		tracer = &yielder{traced: tracer}
	}
	if tracer == nil {
		return runner
	}
	return runner.SetCoverageQueryTracer(tracer)
}

func sorted(finished chan *tester.Result) []*tester.Result {
	var results []*tester.Result
	for each := range finished {
		results = append(results, each)
	}
	slices.SortFunc(results, func(a, b *tester.Result) int {
		return cmp.Or(
			cmp.Compare(a.Location.File, b.Location.File),
			cmp.Compare(a.Location.Row, b.Location.Row),
			cmp.Compare(a.Name, b.Name))
	})
	return results
}

func toTestCase(result *tester.Result) testCase {
	test := testCase{
		Name:    result.Package + "." + result.Name,
		File:    result.Location.File,
		Row:     result.Location.Row,
		Col:     result.Location.Col,
		Outcome: outcomeOf(result),
		Output:  string(result.Output),

		DurationNs: result.Duration.Nanoseconds(),
	}
	if result.Error != nil {
		test.Error = toEvaluationIssue(result.Error)
	}
	for path, sub := range result.SubResults.Iter {
		if sub.Fail && len(sub.SubResults) == 0 {
			test.FailedCases = append(test.FailedCases, path[len(path)-1])
		}
	}
	return test
}

func outcomeOf(result *tester.Result) string {
	switch {
	case result.Error != nil:
		return "error"
	case result.Fail:
		return "fail"
	case result.Skip:
		return "skip"
	}
	return "pass"
}

func toEvaluationIssue(err error) *Issue {
	var evaluation *topdown.Error
	if !errors.As(err, &evaluation) {
		return &toIssues(err)[0]
	}
	issue := &Issue{Code: evaluation.Code, Message: evaluation.Message}
	if evaluation.Location != nil {
		issue.File, issue.Row, issue.Col = evaluation.Location.File, evaluation.Location.Row, evaluation.Location.Col
	}
	return issue
}

func toCoverage(report cover.Report) *coverageResult {
	result := &coverageResult{NotCovered: []lineRange{}}
	covered, missed := 0, 0
	for name, file := range report.Files {
		if isTest(name) {
			continue
		}
		covered += file.CoveredLines
		missed += file.NotCoveredLines
		for _, each := range file.NotCovered {
			result.NotCovered = append(result.NotCovered, lineRange{File: name, First: each.Start.Row, Last: each.End.Row})
		}
	}
	slices.SortFunc(result.NotCovered, func(a, b lineRange) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.First, b.First))
	})
	if covered+missed > 0 {
		result.Percent = 100 * float64(covered) / float64(covered+missed)
	}
	return result
}
