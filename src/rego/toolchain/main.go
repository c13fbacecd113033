// The toolchain is OPA's own compiler, test runner and evaluator, built as one WebAssembly module (target wasip1,
// reactor) so that nobody who runs Chancery needs an `opa` binary. It has two functions: `alloc` gives room for a
// request, `handle` answers it; both sides speak JSON. The host is ../worker.ts.
package main

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

// What the host has been given an address of; without a reference the garbage collector would take it.
var request, response []byte

//go:wasmexport alloc
func alloc(size uint32) unsafe.Pointer {
	request = make([]byte, max(size, 1))
	return unsafe.Pointer(unsafe.SliceData(request))
}

// handle answers the request of `size` bytes that lies where alloc said: address in the upper, length in the
// lower 32 bits.
//
//go:wasmexport handle
func handle(size uint32) uint64 {
	response = answer(request[:size])
	request = nil
	address := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(response))))
	return address<<32 | uint64(len(response))
}

// A reactor starts nothing by itself.
func main() {}

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
