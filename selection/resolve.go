package selection

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/report"
)

// resolver turns the paths of fields, and the calls of our own functions, into plain
// variables, and notes which of them there are. So an expression costs what its
// fields cost, however many the contract has.
type resolver struct {
	*expression
	config *conf.Config
	faults []fault
}

// fault is something wrong with an expression. If it is with a name, that is root,
// which let may have made a variable.
type fault struct {
	at   file.Location
	what string
	root string
}

// first returns the first fault in the text, nil if there is none.
func (r *resolver) first() *fault {
	if len(r.faults) == 0 {
		return nil
	}
	f := slices.MinFunc(r.faults, func(a, b fault) int { return a.at.From - b.at.From })
	return &f
}

// Visit implements ast.Visitor. It comes to the parts of a node before the node.
func (r *resolver) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if f := report.LookupField(n.Value); f != nil {
			r.use(f)
		}
	case *ast.MemberNode:
		r.member(node, n)
	case *ast.CallNode:
		r.call(node, n)
	case *ast.BinaryNode:
		r.compare(n)
	case *ast.VariableDeclaratorNode:
		r.faults = slices.DeleteFunc(r.faults, func(f fault) bool { return f.root == n.Name })
	}
}

func (r *resolver) fail(at ast.Node, format string, args ...any) {
	r.faults = append(r.faults, fault{at: at.Location(), what: fmt.Sprintf(format, args...)})
}

// use takes note of a field.
func (r *resolver) use(f *report.Field) {
	if f.Numbered() {
		if !slices.Contains(r.numbered, f) {
			r.numbered = append(r.numbered, f)
		}
		return
	}
	r.used[f.Name] = fieldVariable(f)
}

// member turns close.reason into a variable of that name.
func (r *resolver) member(node *ast.Node, n *ast.MemberNode) {
	path, root := pathOf(n)
	if root == nil {
		return
	}
	if f := report.LookupField(path); f != nil {
		r.use(f)
		v := &ast.IdentifierNode{Value: path}
		v.SetLocation(root.Location())
		*node = v
		return
	}
	if len(report.InsideOf(path)) > 0 {
		return // the rest of the path is a node further up, or it is missing
	}
	object := path[:strings.LastIndexByte(path, '.')]
	switch f := report.LookupField(object); {
	case f != nil && f.Kind == report.KindInstant: // it has methods: start.Hour()
	case f != nil && f.Kind == report.KindList:
		r.fail(root, "%s is a list: any(%s, .%s ...) asks whether one of it has something", object, object, path[len(object)+1:])
	case f != nil:
		r.fail(root, "%s holds %s and no field %s", object, article(f.Kind), path[len(object)+1:])
	default:
		r.fail(root, "%v ('tcplife explain fields' lists them)", report.UnknownField(path))
		r.faults[len(r.faults)-1].root, _, _ = strings.Cut(path, ".")
	}
}

func article(k report.ValueKind) string {
	if k == report.KindInteger {
		return "an " + k.String()
	}
	return "a " + k.String()
}

// pathOf returns the names of a chain with dots in between, and its first node; nil
// if it is none.
func pathOf(n ast.Node) (string, ast.Node) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value, n
	case *ast.MemberNode:
		if name, ok := n.Property.(*ast.StringNode); ok {
			if path, root := pathOf(n.Node); root != nil {
				return path + "." + name.Value, root
			}
		}
	}
	return "", nil
}

// call turns a call of one of our functions into a variable.
func (r *resolver) call(node *ast.Node, n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	i := slices.IndexFunc(Functions, func(f Function) bool { return f.Name == callee.Value })
	if i < 0 {
		if report.LookupField(callee.Value) != nil {
			r.fail(n, "%s is a field and no function", callee.Value)
		} else if near := nearest(callee.Value, r.functions()); near != "" {
			r.fail(n, "there is no function %s; did you mean %s(...)?", callee.Value, near)
		}
		return
	}
	if Functions[i].build == nil {
		return
	}
	f := &Functions[i]
	var args []any
	var key []string
	for _, a := range n.Arguments {
		switch a := a.(type) {
		case *ast.StringNode:
			args, key = append(args, a.Value), append(key, fmt.Sprintf("%q", a.Value))
		case *ast.IntegerNode:
			args, key = append(args, a.Value), append(key, fmt.Sprint(a.Value))
		case *ast.IdentifierNode:
			args, key = append(args, report.LookupField(a.Value)), append(key, a.Value)
		default:
			r.fail(a, "%s wants what is written here to be known beforehand: %s", f.Name, f.Usage)
			return
		}
	}
	if len(args) != f.args {
		r.fail(n, "%s takes %d arguments and %d are given: %s", f.Name, f.args, len(args), f.Usage)
		return
	}
	get, typ, err := f.build(args)
	if err != nil {
		r.fail(n.Arguments[0], "%s: %v", f.Name, err)
		return
	}
	name := f.Name + "(" + strings.Join(key, ",") + ")"
	r.used[name] = get
	r.config.Env.Fields[name] = typ.Nature()
	v := &ast.IdentifierNode{Value: name}
	v.SetLocation(n.Location())
	*node = v
}

// functions are the names of ours and the language's own.
func (r *resolver) functions() []string {
	names := functionNames()
	for name := range r.config.Builtins {
		names = append(names, name)
	}
	slices.Sort(names[len(Functions):])
	return names
}

// compare looks at words that no field ever has: a comparison that cannot hold is a
// mistake.
func (r *resolver) compare(n *ast.BinaryNode) {
	switch n.Operator {
	case "==", "!=":
		for _, x := range [2][2]ast.Node{{n.Left, n.Right}, {n.Right, n.Left}} {
			if s, ok := x[1].(*ast.StringNode); ok {
				r.word(x[0], s)
			}
		}
	case "in", "not in":
		if list, ok := n.Right.(*ast.ArrayNode); ok {
			for _, e := range list.Nodes {
				if s, ok := e.(*ast.StringNode); ok {
					r.word(n.Left, s)
				}
			}
		}
	}
}

func (r *resolver) word(of ast.Node, s *ast.StringNode) {
	if s.Value == "" {
		return // how an unknown text compares
	}
	name, words := "", []string(nil)
	switch of := of.(type) {
	case *ast.IdentifierNode:
		if f := report.LookupField(of.Value); f != nil {
			name, words = f.Name, f.Words
		}
	case *ast.MemberNode:
		// The entry of a list: its names mean the same in all of them.
		_, entry := of.Node.(*ast.PointerNode)
		if p, ok := of.Property.(*ast.StringNode); ok && entry {
			name, words = "."+p.Value, rowWords()[p.Value]
		}
	}
	if len(words) == 0 || slices.Contains(words, s.Value) {
		return
	}
	if near := nearest(s.Value, words); near != "" {
		r.fail(s, "%s is never %q; did you mean %q?", name, s.Value, near)
		return
	}
	r.fail(s, "%s is never %q: it is one of %s", name, s.Value, strings.Join(words[:min(len(words), 20)], ", "))
}

// nearest returns the one of the names that may have been meant.
func nearest(name string, names []string) string { return report.Nearest(name, names) }

// ruleIDs are the identifiers of all findings on connections.
func ruleIDs() (ids []string) {
	for _, r := range finding.All() {
		ids = append(ids, r.ID)
	}
	return ids
}
