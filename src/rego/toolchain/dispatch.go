package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// WebAssembly has no index of rules: of five hundred definitions that differ in the path they ask for, each would be
// tried. So definitions that ask for one value of the input to equal a constant are put into a search tree over
// these constants, as rules of a package of their own:
//
//	allow if { input.path == "/a"; … }        allow := v if { input.path < "/k"; v := left }
//	allow if { input.path == "/b"; … }   →    allow := v if { input.path >= "/k"; v := right }
//	…                                         left if { input.path == "/a"; … } …
//
// It answers what the policy answers. A definition keeps its head and its body, the comparison included, so that it can
// hold only where it held. Where it holds, its value equals its constant, which leads to its leaf: the tree was split by
// the order that the module compares by (strings by their bytes). All definitions for one constant are in one
// leaf, and so those that can hold at the same time still meet: two values remain a conflict. What is not evaluated
// any more cannot hold; that it could have met a conflict elsewhere is no loss: OPA's own index skips it, too.
//
// Left as they are: functions, defaults, `else`, partial objects, references with more than one name, comparisons
// under `with`.

const (
	dispatchPackage = "chancery#dispatch"
	// below, a tree costs more than it saves
	minDispatched = 8
	maxLeaf       = 4
)

// dispatch returns the compiled modules with trees in the place of rules that differ in a constant.
func dispatch(modules []*ast.Module) []*ast.Module {
	trees := &treeBuilder{
		aliases: inputAliases(modules),
		module:  &ast.Module{Package: &ast.Package{Path: ast.DefaultRootRef.Append(ast.StringTerm(dispatchPackage))}},
	}
	changed := make([]*ast.Module, 0, len(modules)+1)
	for _, module := range modules {
		copied := *module
		copied.Rules = trees.dispatchRules(module.Rules)
		for _, rule := range copied.Rules {
			rule.Module = &copied
		}
		changed = append(changed, &copied)
	}
	if len(trees.module.Rules) == 0 {
		return modules
	}
	return append(changed, trees.module)
}

type treeBuilder struct {
	// rules that are another name for a part of the input, by their reference
	aliases map[string]ast.Ref
	// of the trees
	module *ast.Module
}

// candidate is a definition with the constants that it asks for, by the reference to the input.
type candidate struct {
	rule      *ast.Rule
	constants map[string]ast.String
}

// dispatchRules replaces the definitions of each rule by those of its tree.
func (b *treeBuilder) dispatchRules(rules []*ast.Rule) []*ast.Rule {
	byName := map[string][]candidate{}
	for _, rule := range rules {
		if constants := b.constantsOf(rule); len(constants) > 0 {
			name := rule.Ref().String()
			byName[name] = append(byName[name], candidate{rule, constants})
		}
	}
	kept := make([]*ast.Rule, 0, len(rules))
	replaced := map[*ast.Rule]bool{}
	var roots []*ast.Rule
	for _, rule := range rules {
		name := rule.Ref().String()
		group, found := byName[name]
		if !found {
			continue
		}
		delete(byName, name)
		ref, dispatched := mostTelling(group)
		if len(dispatched) < minDispatched {
			continue
		}
		for _, each := range dispatched {
			replaced[each.rule] = true
		}
		roots = append(roots, b.tree(rule.Head, ref, dispatched)...)
	}
	for _, rule := range rules {
		if !replaced[rule] {
			kept = append(kept, rule)
		}
	}
	return append(kept, roots...)
}

// constantsOf says for which strings a definition asks; none when it may not be moved.
func (b *treeBuilder) constantsOf(rule *ast.Rule) map[string]ast.String {
	head := rule.Head
	isSet := head.Key != nil && head.Value == nil
	isComplete := head.Key == nil && head.Value != nil
	if rule.Default || rule.Else != nil || len(head.Args) > 0 || len(head.Ref()) != 1 || !(isSet || isComplete) {
		return nil
	}
	constants := map[string]ast.String{}
	for _, expr := range rule.Body {
		if expr.Negated || len(expr.With) > 0 || !(expr.IsEquality() || isCallOf(expr, ast.Equal)) {
			continue
		}
		for _, sides := range [][2]*ast.Term{{expr.Operand(0), expr.Operand(1)}, {expr.Operand(1), expr.Operand(0)}} {
			constant, isString := sides[1].Value.(ast.String)
			ref := b.inputRef(sides[0])
			if !isString || ref == nil {
				continue
			}
			// asked for twice with two values it can never hold: either leaf will do
			constants[ref.String()] = constant
		}
	}
	return constants
}

func isCallOf(expr *ast.Expr, builtin *ast.Builtin) bool {
	return expr.IsCall() && expr.Operator().Equal(builtin.Ref()) && len(expr.Operands()) == 2
}

// inputRef is the ground reference to the input that a term is, by its own name or by that of an alias.
func (b *treeBuilder) inputRef(term *ast.Term) ast.Ref {
	ref, ok := term.Value.(ast.Ref)
	if !ok || !ref.IsGround() {
		return nil
	}
	if ref.HasPrefix(ast.InputRootRef) {
		return ref
	}
	for length := len(ref); length > 1; length-- {
		if target, found := b.aliases[ref[:length].String()]; found {
			return target.Concat(ref[length:])
		}
	}
	return nil
}

// inputAliases finds the rules whose one definition is a part of the input and nothing else. Where a `with` replaces
// data, a name may mean something else, and there are none.
func inputAliases(modules []*ast.Module) map[string]ast.Ref {
	definitions := map[string][]*ast.Rule{}
	replacesData := false
	for _, module := range modules {
		for _, rule := range module.Rules {
			name := rule.Ref().String()
			definitions[name] = append(definitions[name], rule)
		}
		ast.WalkWiths(module, func(with *ast.With) bool {
			target, ok := with.Target.Value.(ast.Ref)
			replacesData = replacesData || (ok && target.HasPrefix(ast.DefaultRootRef))
			return replacesData
		})
	}
	aliases := map[string]ast.Ref{}
	if replacesData {
		return aliases
	}
	for name, rules := range definitions {
		if len(rules) != 1 {
			continue
		}
		if target := aliasTarget(rules[0]); target != nil {
			aliases[name] = target
		}
	}
	return aliases
}

// aliasTarget understands `name := input.…`, which the compiler writes with a variable.
func aliasTarget(rule *ast.Rule) ast.Ref {
	head := rule.Head
	if rule.Default || rule.Else != nil || len(head.Args) > 0 || head.Key != nil || head.Value == nil {
		return nil
	}
	if ref, ok := head.Value.Value.(ast.Ref); ok && isTrue(rule.Body) {
		return groundInput(ref)
	}
	if len(rule.Body) != 1 || rule.Body[0].Negated || len(rule.Body[0].With) > 0 || !rule.Body[0].IsEquality() {
		return nil
	}
	for _, sides := range [][2]int{{0, 1}, {1, 0}} {
		name, other := rule.Body[0].Operand(sides[0]), rule.Body[0].Operand(sides[1])
		if _, isVar := name.Value.(ast.Var); !isVar || name.Value.Compare(head.Value.Value) != 0 {
			continue
		}
		if ref, ok := other.Value.(ast.Ref); ok {
			return groundInput(ref)
		}
	}
	return nil
}

func groundInput(ref ast.Ref) ast.Ref {
	if ref.IsGround() && ref.HasPrefix(ast.InputRootRef) {
		return ref
	}
	return nil
}

func isTrue(body ast.Body) bool {
	if len(body) != 1 {
		return false
	}
	term, ok := body[0].Terms.(*ast.Term)
	return ok && !body[0].Negated && len(body[0].With) == 0 && term.Value.Compare(ast.Boolean(true)) == 0
}

// mostTelling chooses the reference for which the group asks with most different constants.
func mostTelling(group []candidate) (string, []candidate) {
	values := map[string]map[ast.String]bool{}
	for _, each := range group {
		for ref, constant := range each.constants {
			if values[ref] == nil {
				values[ref] = map[ast.String]bool{}
			}
			values[ref][constant] = true
		}
	}
	best := ""
	for ref, constants := range values {
		if len(constants) > len(values[best]) || (len(constants) == len(values[best]) && ref < best) {
			best = ref
		}
	}
	if len(values[best]) < minDispatched {
		return "", nil
	}
	var dispatched []candidate
	for _, each := range group {
		if _, asks := each.constants[best]; asks {
			dispatched = append(dispatched, each)
		}
	}
	return best, dispatched
}

// tree moves the candidates below a tree over the constants of ref, and returns the definitions for the top of it.
func (b *treeBuilder) tree(head *ast.Head, ref string, candidates []candidate) []*ast.Rule {
	byConstant := map[ast.String][]candidate{}
	for _, each := range candidates {
		byConstant[each.constants[ref]] = append(byConstant[each.constants[ref]], each)
	}
	constants := make([]ast.String, 0, len(byConstant))
	for constant := range byConstant {
		constants = append(constants, constant)
	}
	slices.SortFunc(constants, func(x, y ast.String) int { return cmp.Compare(string(x), string(y)) })
	return b.split(head, ast.MustParseRef(ref), constants, byConstant)
}

func (b *treeBuilder) split(head *ast.Head, ref ast.Ref, constants []ast.String, byConstant map[ast.String][]candidate) []*ast.Rule {
	middle := len(constants) / 2
	pivot := ast.NewTerm(constants[middle])
	halves := []struct {
		operator  *ast.Builtin
		constants []ast.String
	}{{ast.LessThan, constants[:middle]}, {ast.GreaterThanEq, constants[middle:]}}
	rules := make([]*ast.Rule, 0, len(halves))
	for _, half := range halves {
		name := b.subtree(head, ref, half.constants, byConstant)
		condition := half.operator.Expr(ast.NewTerm(ref), pivot)
		rules = append(rules, forward(head, condition, name))
	}
	return rules
}

// subtree adds the rules of a part of the tree, and returns the reference to them.
func (b *treeBuilder) subtree(head *ast.Head, ref ast.Ref, constants []ast.String, byConstant map[ast.String][]candidate) ast.Ref {
	name := ast.Var(fmt.Sprintf("%s#%d", head.Name, len(b.module.Rules)))
	// so that the number is taken before the rules below it take theirs
	placeholder := len(b.module.Rules)
	b.module.Rules = append(b.module.Rules, nil)
	var rules []*ast.Rule
	if len(constants) <= maxLeaf {
		for _, constant := range constants {
			for _, each := range byConstant[constant] {
				copied := *each.rule
				copied.Head = each.rule.Head.Copy()
				rules = append(rules, &copied)
			}
		}
	} else {
		rules = b.split(head, ref, constants, byConstant)
	}
	for _, rule := range rules {
		rule.Head.Name = name
		rule.Head.Reference = ast.Ref{ast.NewTerm(name)}
		rule.Module = b.module
	}
	b.module.Rules[placeholder] = rules[0]
	b.module.Rules = append(b.module.Rules, rules[1:]...)
	return b.module.Package.Path.Append(ast.StringTerm(string(name)))
}

// forward is a definition that says what another rule says, under a condition.
func forward(head *ast.Head, condition *ast.Expr, to ast.Ref) *ast.Rule {
	passed := ast.VarTerm(ast.WildcardPrefix + "dispatched")
	copied := head.Copy()
	var body ast.Body
	if head.Key != nil {
		copied.Key = passed
		body = ast.NewBody(condition, ast.NewExpr(ast.NewTerm(to.Append(passed))))
	} else {
		copied.Value = passed
		body = ast.NewBody(condition, ast.Equality.Expr(passed, ast.NewTerm(to)))
	}
	rule := &ast.Rule{Head: copied, Body: body, Location: head.Location}
	for _, expr := range body {
		expr.Location = head.Location
	}
	return rule
}
