package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
)

// Expectations are one document of a file of expectations.
type Expectations struct {
	// At is where it begins.
	At Position
	// captures are the patterns of the captures that it is about; none is all.
	captures []string
	wanted   []expectation
	// filters sort connections for the expectations; all of them are known to be right.
	filters []*selection.Wish
}

// expectation is what was written down; begin makes what judges one capture by it.
type expectation interface {
	begin(r *Run) judge
}

// section reads the part of a document under one key.
type section struct {
	// about says in a few words what it expects.
	about string
	load  func(l *loader, x *Expectations, key, value *yaml.Node)
}

// sections are those that a document may have, by key. Each stands in the file of its
// kind of expectation.
var sections = map[string]section{}

func registerSection(name, about string, load func(l *loader, x *Expectations, key, value *yaml.Node)) struct{} {
	if _, taken := sections[name]; taken {
		panic(fmt.Sprintf("check: the section %s is registered twice", name))
	}
	sections[name] = section{about, load}
	return struct{}{}
}

// Sections returns the names of a document's sections, sorted, each with what it
// expects.
func Sections() (all [][2]string) {
	for _, name := range sectionNames() {
		all = append(all, [2]string{name, sections[name].about})
	}
	return all
}

func sectionNames() (names []string) {
	for name := range sections {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// maxFile is how long a file of expectations may be, in octets: more is somebody's
// mistake about which file it is.
const maxFile = 4 << 20

// Load reads a file of expectations: one document or, with --- between them, several.
// The error, if any, is of the type Faults.
func Load(file string, text []byte) ([]*Expectations, error) {
	if len(text) > maxFile {
		return nil, Faults{{Position{file, 0, 0}, fmt.Sprintf("it has %d octets, and expectations fit into %d: is it a capture?", len(text), maxFile)}}
	}
	l := &loader{file: file}
	var all []*Expectations
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := decode(d, &doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.faults = append(l.faults, broken(file, text, err))
			break
		}
		if x := l.document(&doc); x != nil {
			all = append(all, x)
		}
	}
	if len(all) == 0 && len(l.faults) == 0 {
		l.failAt(Position{file, 1, 1}, "there are no expectations in it: give sections such as %s", strings.Join(sectionNames(), ", "))
	}
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return all, nil
}

// decode reads a document. The reader panics on some texts that are no YAML.
func decode(d *yaml.Decoder, doc *yaml.Node) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the reader of YAML gives up: %v", v)
		}
	}()
	return d.Decode(doc)
}

func (l *loader) document(doc *yaml.Node) *Expectations {
	if len(doc.Content) == 0 {
		return nil
	}
	top := resolve(doc.Content[0])
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return nil // only comments
	}
	x := &Expectations{At: l.at(top)}
	keys := []key{{"captures", func(_, v *yaml.Node) { x.captures = l.patterns(v) }}}
	for _, name := range sectionNames() {
		load := sections[name].load
		keys = append(keys, key{name, func(k, v *yaml.Node) { load(l, x, k, v) }})
	}
	before := len(l.faults)
	l.keys(top, "a document", keys...)
	if len(x.wanted) == 0 && len(l.faults) == before {
		l.fail(top, "this document expects nothing: give sections such as %s", strings.Join(sectionNames(), ", "))
	}
	return x
}

// key is a key that a group may have, and what reads its value.
type key struct {
	name string
	read func(key, value *yaml.Node)
}

// keys reads a group of keys.
func (l *loader) keys(n *yaml.Node, where string, known ...key) {
	l.group(n, where, func(k, v *yaml.Node) {
		i := slices.IndexFunc(known, func(x key) bool { return x.name == k.Value })
		if i >= 0 {
			known[i].read(k, v)
			return
		}
		names := make([]string, len(known))
		for i := range known {
			names[i] = known[i].name
		}
		l.unknown(k, where, names)
	})
}

// group calls do with each key of a group and its value.
func (l *loader) group(n *yaml.Node, where string, do func(k, v *yaml.Node)) {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		l.fail(n, "%s is a group of keys, and this is %s", where, kind(n))
		return
	}
	if len(n.Content) == 0 {
		l.fail(n, "%s is empty", where)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := resolve(n.Content[i]), n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			l.fail(k, "a key is a word, and this is %s", kind(k))
			continue
		}
		if line, twice := seen[k.Value]; twice {
			l.fail(n.Content[i], "%s has %s twice: the first is in line %d", where, k.Value, line)
			continue
		}
		seen[k.Value] = n.Content[i].Line
		if r := resolve(v); r.Kind == yaml.ScalarNode && r.Tag == "!!null" && r.Value == "" {
			l.fail(k, "%s has no value", k.Value)
			continue
		}
		do(k, v)
	}
}

func (l *loader) unknown(n *yaml.Node, where string, names []string) {
	what := fmt.Sprintf("%s has no %q", where, n.Value)
	if near := report.Nearest(n.Value, names); near != "" {
		l.fail(n, "%s; did you mean %q?", what, near)
		return
	}
	l.fail(n, "%s: there are %s", what, strings.Join(names, ", "))
}

// list calls do with each entry of a list.
func (l *loader) list(n *yaml.Node, where string, do func(n *yaml.Node)) {
	if n = resolve(n); n.Kind != yaml.SequenceNode {
		l.fail(n, "%s is a list, and this is %s: write each entry behind a dash", where, kind(n))
		return
	}
	if len(n.Content) == 0 {
		l.fail(n, "%s is an empty list", where)
	}
	for _, e := range n.Content {
		do(resolve(e))
	}
}

// word reads a single value; ok is false where there is none.
func (l *loader) word(n *yaml.Node, where string) (s string, ok bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		l.fail(n, "%s is a single value, and this is %s", where, kind(n))
		return "", false
	}
	return n.Value, true
}

// oneOf reads a word of a closed list.
func (l *loader) oneOf(n *yaml.Node, where string, words []string) (s string, ok bool) {
	if s, ok = l.word(n, where); !ok {
		return "", false
	}
	if slices.Contains(words, s) {
		return s, true
	}
	what := fmt.Sprintf("%s is never %q", where, s)
	if near := report.Nearest(s, words); near != "" {
		l.fail(resolve(n), "%s; did you mean %q?", what, near)
	} else {
		l.fail(resolve(n), "%s: it is one of %s", what, strings.Join(words, ", "))
	}
	return "", false
}

// bound reads a bound; nil where there is none.
func (l *loader) bound(n *yaml.Node, where string, u unit) *bound {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		l.fail(n, "%s is a bound such as %s, and this is %s", where, u.example, kind(n))
		return nil
	}
	b, err := parseBound(n.Value, u)
	if err != nil {
		l.fail(n, "%s: %v", where, err)
		return nil
	}
	return b
}

// filter enters a selection and returns its number.
func (l *loader) filter(x *Expectations, n *yaml.Node, w *selection.Wish) int {
	_, err := selection.New(w)
	if err == nil {
		x.filters = append(x.filters, w)
		return len(x.filters) - 1
	}
	at := l.at(n)
	var e *selection.ExpressionError
	if errors.As(err, &e) {
		if e.Column > 0 && (n.Style == 0 || n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0) && e.Line == 1 {
			at.Column += e.Column - 1
			if n.Style != 0 {
				at.Column++ // the quotation mark
			}
		} else if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			at.Line, at.Column = n.Line+max(e.Line, 1), 0
		}
		l.failAt(at, "filter: %s", e.What)
		return -1
	}
	_, what, _ := strings.Cut(err.Error(), ": ")
	l.failAt(at, "%s", what)
	return -1
}

// patterns reads the names of captures.
func (l *loader) patterns(n *yaml.Node) (all []string) {
	if r := resolve(n); r.Kind == yaml.ScalarNode {
		n = &yaml.Node{Kind: yaml.SequenceNode, Line: r.Line, Column: r.Column, Content: []*yaml.Node{r}}
	}
	l.list(n, "captures", func(e *yaml.Node) {
		p, ok := l.word(e, "a capture's name")
		if !ok {
			return
		}
		if _, err := path.Match(p, ""); err != nil {
			l.fail(e, "%q is no pattern of names: check the brackets", p)
			return
		}
		all = append(all, p)
	})
	return all
}

// Covers reports whether the document is about a capture of that name. A pattern
// without a slash is compared with the last part of the name alone.
func (x *Expectations) Covers(name string) bool {
	if len(x.captures) == 0 {
		return true
	}
	name = filepath.ToSlash(name)
	for _, p := range x.captures {
		n := name
		if !strings.Contains(p, "/") {
			n = path.Base(name)
		}
		if ok, _ := path.Match(p, n); ok {
			return true
		}
	}
	return false
}

// Begin begins a check of one capture by all of the documents.
func Begin(docs ...*Expectations) *Run {
	var filters []*selection.Selection
	var begun []int // where the filters of each document begin
	for _, x := range docs {
		begun = append(begun, len(filters))
		for _, w := range x.filters {
			f, err := selection.New(w)
			if err != nil {
				panic(err) // it was understood when it was read
			}
			filters = append(filters, f)
		}
	}
	r := newRun(filters)
	for i, x := range docs {
		r.base = begun[i]
		for _, e := range x.wanted {
			r.judges = append(r.judges, e.begin(r))
		}
	}
	return r
}
