package main

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// inputPaths says what of `input` the entrypoints can read: a path ends where something other than a string constant
// follows, or where the document is used whole. `[[]]` is all of it.
func inputPaths(compiler *ast.Compiler, entrypoints []string) [][]string {
	paths := [][]string{}
	found := func(path []string) {
		if slices.ContainsFunc(paths, func(known []string) bool { return isPrefix(known, path) }) {
			return
		}
		paths = slices.DeleteFunc(paths, func(known []string) bool { return isPrefix(path, known) })
		paths = append(paths, path)
	}
	for _, rule := range reachedRules(compiler, entrypoints) {
		visitInputs(rule, found)
		// the visitor does not look into `p[…]` of a head
		visitInputs(rule.Ref(), found)
	}
	slices.SortFunc(paths, slices.Compare)
	return paths
}

func visitInputs(node any, found func([]string)) {
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(node any) bool {
		switch node := node.(type) {
		case *ast.With:
			visitReplacement(node, found)
			visitor.Walk(node.Value)
			return true
		case ast.Ref:
			if node.HasPrefix(ast.InputRootRef) {
				found(stringsOf(node[1:]))
				visitor.Walk(node[1:])
				return true
			}
		case ast.Var:
			if node.Equal(ast.InputRootDocument.Value) {
				found([]string{})
			}
		}
		return false
	})
	visitor.Walk(node)
}

// visitReplacement of a part of input: what lies around it stays as it is, so its first step counts as read whole.
func visitReplacement(with *ast.With, found func([]string)) {
	target, ok := with.Target.Value.(ast.Ref)
	if ok && target.HasPrefix(ast.InputRootRef) && len(target) > 2 {
		found(stringsOf(target[1:2]))
	}
}

// stringsOf is the part of a reference before the first term that is no string constant.
func stringsOf(terms []*ast.Term) []string {
	path := []string{}
	for _, term := range terms {
		text, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(text))
	}
	return path
}

func isPrefix(prefix, path []string) bool {
	return len(prefix) <= len(path) && slices.Equal(prefix, path[:len(prefix)])
}

// reachedRules are those that the entrypoints depend on; an `else` is part of its rule.
func reachedRules(compiler *ast.Compiler, entrypoints []string) []*ast.Rule {
	seen := map[*ast.Rule]bool{}
	var reached []*ast.Rule
	var reach func(rule *ast.Rule)
	reach = func(rule *ast.Rule) {
		if seen[rule] {
			return
		}
		seen[rule] = true
		reached = append(reached, rule)
		for dependency := range compiler.Graph.Dependencies(rule) {
			reach(dependency.(*ast.Rule))
		}
		if rule.Else != nil {
			reach(rule.Else)
		}
	}
	for _, entrypoint := range entrypoints {
		for _, rule := range compiler.GetRules(toRef(entrypoint)) {
			reach(rule)
		}
	}
	return reached
}
