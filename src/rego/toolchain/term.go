package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// readTerm reads a value as OPA's WASM writes it: JSON, with sets, and with keys of any type. What is JSON has the same
// meaning in Rego and is read faster.
func readTerm(text string) (*ast.Term, error) {
	if value, err := ast.ValueFromReader(strings.NewReader(text)); err == nil {
		return ast.NewTerm(value), nil
	}
	return ast.ParseTerm(text)
}

// writeTerm is its opposite. OPA's own String() escapes as Go does, which OPA's WASM does not read.
func writeTerm(term *ast.Term) string {
	var out strings.Builder
	writeValue(&out, term.Value)
	return out.String()
}

func writeValue(out *strings.Builder, value ast.Value) {
	switch value := value.(type) {
	case ast.String:
		writeString(out, string(value))
	case *ast.Array:
		out.WriteByte('[')
		for index := range value.Len() {
			separate(out, index)
			writeValue(out, value.Elem(index).Value)
		}
		out.WriteByte(']')
	case ast.Set:
		if value.Len() == 0 {
			out.WriteString("set()")
			return
		}
		out.WriteByte('{')
		for index, member := range value.Slice() {
			separate(out, index)
			writeValue(out, member.Value)
		}
		out.WriteByte('}')
	case ast.Object:
		out.WriteByte('{')
		for index, key := range value.Keys() {
			separate(out, index)
			writeValue(out, key.Value)
			out.WriteByte(':')
			writeValue(out, value.Get(key).Value)
		}
		out.WriteByte('}')
	default:
		out.WriteString(value.String())
	}
}

func separate(out *strings.Builder, index int) {
	if index > 0 {
		out.WriteByte(',')
	}
}

// writeString writes a JSON string; bytes that are not UTF-8 become U+FFFD, as they do in any JSON.
func writeString(out *strings.Builder, text string) {
	out.WriteByte('"')
	for _, char := range text {
		switch {
		case char == '"' || char == '\\':
			out.WriteByte('\\')
			out.WriteRune(char)
		case char < ' ' || char == utf8.RuneError:
			fmt.Fprintf(out, `\u%04x`, char)
		default:
			out.WriteRune(char)
		}
	}
	out.WriteByte('"')
}
