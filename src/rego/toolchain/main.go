// The toolchain is OPA's own compiler, test runner and evaluator, built as one WebAssembly module (target wasip1,
// reactor) so that nobody who runs Chancery needs an `opa` binary: reactor.go. Built for the machine itself it answers
// the same requests line by line, for tests: lines.go. Both sides speak JSON.
package main

import (
	"encoding/json"
	"fmt"
)

// Issue is one thing that is wrong with the policy, and where.
type Issue struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Row     int    `json:"row,omitempty"`
	Col     int    `json:"col,omitempty"`
	Text    string `json:"text,omitempty"`
	// index of the entrypoint that the issue is about
	Entrypoint *int `json:"entrypoint,omitempty"`
}

// Answer holds exactly one: a result, issues of the policy, or an error of the toolchain itself.
type Answer struct {
	Result any     `json:"result,omitempty"`
	Issues []Issue `json:"issues,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// furtherRequests are those that only tests make: lines.go.
var furtherRequests map[string]func([]byte) Answer

func answer(bytes []byte) (encoded []byte) {
	defer func() {
		if panicked := recover(); panicked != nil {
			encoded = encode(Answer{Error: fmt.Sprint("panic: ", panicked)})
		}
	}()
	var envelope struct {
		Do string `json:"do"`
	}
	if err := json.Unmarshal(bytes, &envelope); err != nil {
		return encode(Answer{Error: err.Error()})
	}
	switch envelope.Do {
	case "version":
		return encode(Answer{Result: version()})
	case "check":
		return encode(respond(bytes, check))
	case "compile":
		return encode(respond(bytes, compileToWasm))
	case "test":
		return encode(respond(bytes, runTests))
	case "builtin":
		return encode(respond(bytes, callBuiltin))
	case "evaluate":
		return encode(respond(bytes, evaluate))
	case "checkStrictly":
		return encode(respond(bytes, checkStrictly))
	case "data":
		return encode(respond(bytes, mergeData))
	case "deps":
		return encode(respond(bytes, deps))
	case "format":
		return encode(respond(bytes, formatModules))
	case "query":
		return encode(respond(bytes, query))
	case "repeat":
		return encode(respond(bytes, repeat))
	}
	if further := furtherRequests[envelope.Do]; further != nil {
		return encode(further(bytes))
	}
	return encode(Answer{Error: "unknown request " + envelope.Do})
}

func respond[T any](bytes []byte, do func(T) Answer) Answer {
	var decoded T
	if err := json.Unmarshal(bytes, &decoded); err != nil {
		return Answer{Error: err.Error()}
	}
	return do(decoded)
}

func encode(answer Answer) []byte {
	bytes, err := json.Marshal(answer)
	if err != nil {
		bytes, _ = json.Marshal(Answer{Error: err.Error()})
	}
	return bytes
}
