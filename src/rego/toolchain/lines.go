//go:build !wasip1

package main

import (
	"bufio"
	"os"
)

// A request is a line, and so is its answer.
func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		_, _ = out.Write(append(answer(line), '\n'))
		if in.Buffered() == 0 {
			_ = out.Flush()
		}
	}
}

func init() {
	furtherRequests = map[string]func([]byte) Answer{
		"builtins":    func(bytes []byte) Answer { return respond(bytes, listBuiltins) },
		"cases":       func(bytes []byte) Answer { return respond(bytes, loadCases) },
		"differences": func(bytes []byte) Answer { return respond(bytes, findDifferences) },
		"compileCase": func(bytes []byte) Answer { return respond(bytes, compileCase) },
		"judgeCase":   func(bytes []byte) Answer { return respond(bytes, judgeCase) },
	}
}
