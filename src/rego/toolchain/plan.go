package main

import (
	"bytes"
	"slices"

	"github.com/open-policy-agent/opa/internal/compiler/wasm"
	"github.com/open-policy-agent/opa/internal/planner"
	"github.com/open-policy-agent/opa/internal/wasm/encoding"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/util"
)

// entrypointQueries are what `opa build` asks for each entrypoint.
func entrypointQueries(compiler *ast.Compiler, entrypoints []string) ([]planner.QuerySet, error) {
	queries := make([]planner.QuerySet, 0, len(entrypoints))
	for _, entrypoint := range entrypoints {
		query := ast.NewBody(ast.Equality.Expr(ast.VarTerm("result"), ast.NewTerm(toRef(entrypoint))))
		compiled, err := compileQuery(compiler, entrypoint, query)
		if err != nil {
			return nil, err
		}
		queries = append(queries, compiled)
	}
	return queries, nil
}

func compileQuery(compiler *ast.Compiler, name string, query ast.Body) (planner.QuerySet, error) {
	queryCompiler := compiler.QueryCompiler()
	compiled, err := queryCompiler.Compile(query)
	orderReplacements(compiled, compiler)
	return planner.QuerySet{
		Name: name, Queries: []ast.Body{compiled}, RewrittenVars: queryCompiler.RewrittenVars(),
	}, err
}

// planPolicy makes OPA's intermediate representation of all that the queries reach. It is what `opa build` makes of it,
// step by step, so that the plan can be changed before it becomes WebAssembly; the path of this Go module lies below
// OPA's own for that reason: the planner and the backend are internal packages there.
func planPolicy(compiler *ast.Compiler, queries []planner.QuerySet, builtins []*ast.Builtin) (*ir.Policy, error) {
	modules := make([]*ast.Module, 0, len(compiler.Modules))
	for _, name := range util.KeysSorted(compiler.Modules) {
		orderReplacements(compiler.Modules[name], compiler)
		modules = append(modules, compiler.Modules[name])
	}
	declarations := make(map[string]*ast.Builtin, len(builtins))
	for _, builtin := range builtins {
		declarations[builtin.Name] = builtin
	}
	return planner.New().WithQueries(queries).WithModules(dispatch(modules)).WithBuiltinDecls(declarations).Plan()
}

// orderReplacements puts `with f as …` behind the replacements of input and data. They do not depend on each other, but
// the planner counts on this order: it applies a replacement of input or data to the wrong target otherwise.
func orderReplacements(node any, compiler *ast.Compiler) {
	rank := func(with *ast.With) int {
		if target, ok := with.Target.Value.(ast.Ref); ok && isFunction(target, compiler) {
			return 1
		}
		return 0
	}
	ast.WalkExprs(node, func(expression *ast.Expr) bool {
		slices.SortStableFunc(expression.With, func(a, b *ast.With) int { return rank(a) - rank(b) })
		return false
	})
}

// writeWasm never optimises: above level 0 the optimiser takes data for constant, and data is set at run time.
func writeWasm(policy *ir.Policy) ([]byte, error) {
	module, err := wasm.New().WithPolicy(policy).Compile()
	if err != nil {
		return nil, err
	}
	if err := readNumbersAsOPA(module); err != nil {
		return nil, err
	}
	var written bytes.Buffer
	if err := encoding.WriteModule(&written, module); err != nil {
		return nil, err
	}
	return written.Bytes(), nil
}
