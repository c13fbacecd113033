package main

import (
	"bytes"
	"encoding/json"
	"runtime"

	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"
)

// reportRequest has the flags of `opa test` that change what is printed of a run.
type reportRequest struct {
	Verbose bool `json:"verbose"`
	// fails, full, notes or debug; empty: what is shown when nothing is said
	Explain string `json:"explain"`
	// the values of variables in expressions that failed
	VarValues bool `json:"varValues"`
}

// traces says whether the run must be recorded; `--explain` alone is a wish to see it too.
func (r reportRequest) traces() bool { return r.Verbose || r.VarValues || r.Explain != "" }

// fill writes the reports of OPA's own reporters.
func (r reportRequest) fill(result *testResult, results []*tester.Result) error {
	channel := make(chan *tester.Result, len(results))
	for index, each := range results {
		each.Trace = r.filter(each.Trace)
		report, err := json.Marshal(each)
		if err != nil {
			return err
		}
		result.Tests[index].Report = report
		channel <- each
	}
	close(channel)
	var text bytes.Buffer
	reporter := tester.PrettyReporter{
		Output:      &text,
		Verbose:     r.Verbose || r.Explain != "",
		FailureLine: r.VarValues,
		LocalVars:   r.VarValues,
	}
	if err := reporter.Report(channel); err != nil {
		return err
	}
	result.Pretty = text.String()
	return nil
}

func (r reportRequest) filter(trace []*topdown.Event) []*topdown.Event {
	if r.Explain == "" && r.Verbose {
		return lineage.Filter(trace, func(event *topdown.Event) bool {
			return event.Op == topdown.NoteOp || event.Op == topdown.FailOp
		})
	}
	return explained(r.Explain, trace)
}

// explained is the part of a trace that a mode of `--explain` shows.
func explained(mode string, trace []*topdown.Event) []*topdown.Event {
	switch mode {
	case "fails", "":
		return lineage.Fails(trace)
	case "full":
		return lineage.Full(trace)
	case "notes":
		return lineage.Notes(trace)
	}
	return lineage.Debug(trace)
}

// yielder lets timers fire during an evaluation: there is one thread, and nothing else gives it away.
type yielder struct {
	traced topdown.QueryTracer
	events int
}

const eventsPerYield = 1_000

func (y *yielder) Enabled() bool { return true }

func (y *yielder) Config() topdown.TraceConfig {
	if y.traced != nil {
		return y.traced.Config()
	}
	return topdown.TraceConfig{}
}

func (y *yielder) TraceEvent(event topdown.Event) {
	y.events++
	if y.events%eventsPerYield == 0 {
		runtime.Gosched()
	}
	if y.traced != nil {
		y.traced.TraceEvent(event)
	}
}
