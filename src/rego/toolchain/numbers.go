package main

import (
	"bytes"
	_ "embed"

	"github.com/open-policy-agent/opa/internal/wasm/encoding"
	"github.com/open-policy-agent/opa/internal/wasm/module"
)

//go:embed numbers.wasm
var numberFunctions []byte

// readNumbersAsOPA gives a compiled policy other functions that read the text of a number. OPA's own hash a number by how
// it is written (`2` and `20e-1` are two members of a set, `{1e-7}` has no 0.0000001), and do not know that `1.0` may be
// an index; its evaluator does both otherwise. Their names stay, and who calls them.
func readNumbersAsOPA(policy *module.Module) error {
	replacements, err := encoding.ReadModule(bytes.NewReader(numberFunctions))
	if err != nil {
		return err
	}
	imported := importedFunctions(policy)
	for _, exported := range replacements.Export.Exports {
		index, ok := functionNamed(policy, exported.Name)
		if !ok {
			continue // nothing calls it, and the compiler has left it out
		}
		policy.Code.Segments[index-imported] = replacements.Code.Segments[exported.Descriptor.Index]
	}
	return nil
}

func importedFunctions(policy *module.Module) uint32 {
	count := uint32(0)
	for _, each := range policy.Import.Imports {
		if each.Descriptor.Kind() == module.FunctionImportType {
			count++
		}
	}
	return count
}

func functionNamed(policy *module.Module, name string) (uint32, bool) {
	for _, each := range policy.Names.Functions {
		if each.Name == name {
			return each.Index, true
		}
	}
	return 0, false
}
