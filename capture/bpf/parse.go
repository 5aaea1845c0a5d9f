package bpf

import (
	"fmt"
	"net/netip"
	"sync"
)

// Bounds on a filter. Nobody types more; a program of more than the kernel takes is
// refused where it is attached.
const (
	maxText  = 16 << 10
	maxDepth = 100
)

// Filter is a filter in the language of tcpdump, understood and not compiled yet.
type Filter struct {
	text string
	root node
}

// String returns the text.
func (f *Filter) String() string { return f.text }

// Parse reads a filter as pcap-filter(7) describes it. What is wrong or not supported is
// an *Error. The empty filter selects everything.
func Parse(text string) (*Filter, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("filter of %d octets: at most %d are read", len(text), maxText)
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	f := &Filter{text: text}
	if tokens[0].kind == end {
		return f, nil
	}
	p := &parser{text: text, tokens: tokens}
	f.root, _, err = p.expr(qualifier{}, 0)
	if err == nil && p.peek().kind != end {
		err = p.unexpected("and, or, or the end")
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// node is a part of a filter that is true or false of a frame.
type node interface{}

type (
	conjunction struct{ a, b node }
	disjunction struct{ a, b node }
	negation    struct{ a node }
	// protocol is a name such as tcp.
	protocol struct {
		at   int
		name string
	}
	// protocolNumber is what "proto" asks for.
	protocolNumber struct {
		at    int
		proto string // "", ip, ip6, ether
		n     uint32
	}
	address4 struct {
		at        int
		proto     string // "", ip, arp, rarp
		dir       direction
		net       bool
		bits, all uint32
	}
	address6 struct {
		at   int
		dir  direction
		net  netip.Prefix
		mask [4]uint32
	}
	addressMAC struct {
		at  int
		dir direction
		mac [6]byte
	}
	portRange struct {
		protos []uint32 // 6, 17, 132
		dir    direction
		lo, hi uint32
	}
	cast struct {
		at        int
		proto     string // "", ether, ip, ip6
		broadcast bool
	}
	vlanTag struct {
		at  int
		has bool
		id  uint32
	}
	// relation compares two values.
	relation struct {
		op   string // > >= =
		not  bool
		a, b value
	}
)

type direction int

const (
	srcOrDst direction = iota
	srcAndDst
	srcOnly
	dstOnly
)

// value is a number that is computed from a frame.
type value interface{}

type (
	constant uint32
	length   struct{}
	load     struct {
		at    int
		proto string
		index value
		size  int
	}
	negative   struct{ a value }
	arithmetic struct {
		at   int
		op   string
		a, b value
	}
)

// qualifier is what stands before an address or a port, or is taken over from before.
type qualifier struct {
	valid bool
	proto string
	dir   direction
	dired bool // src or dst was said
	typ   string
}

type parser struct {
	text   string
	tokens []token
	i      int
}

func (p *parser) peek() *token { return &p.tokens[p.i] }

func (p *parser) is(text string) bool {
	t := p.peek()
	return t.kind == word && t.text == text
}

func (p *parser) take(text string) bool {
	if p.is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) fail(at int, what, remedy string, args ...any) error {
	return &Error{p.text, at, fmt.Sprintf(what, args...), remedy}
}

func (p *parser) unexpected(want string) error {
	t := p.peek()
	if t.kind == unknown {
		return p.fail(t.at, "%s is not supported", wayOut(p.text), t.text)
	}
	return p.fail(t.at, "expected %s", "", want)
}

// expr reads terms joined by and and or, which bind equally and from the left. q is what
// an address or a port without a keyword is taken for.
func (p *parser) expr(q qualifier, depth int) (node, qualifier, error) {
	a, q, err := p.term(q, depth)
	for err == nil {
		var b node
		switch {
		case p.take("and"):
			b, q, err = p.term(q, depth)
			a = conjunction{a, b}
		case p.take("or"):
			b, q, err = p.term(q, depth)
			a = disjunction{a, b}
		default:
			return a, q, nil
		}
	}
	return nil, q, err
}

func (p *parser) term(q qualifier, depth int) (node, qualifier, error) {
	if depth++; depth > maxDepth {
		return nil, q, p.fail(p.peek().at, "more than %d levels of parentheses", "", maxDepth)
	}
	if p.take("not") {
		n, q, err := p.term(q, depth)
		return negation{n}, q, err
	}
	// What begins like an expression of numbers may be one.
	if n, ok, err := p.relation(depth); ok || err != nil {
		return n, qualifier{}, err
	}
	t := p.peek()
	if p.take("(") {
		n, q, err := p.expr(q, depth)
		if err == nil && !p.take(")") {
			err = p.unexpected("and, or, or a closing parenthesis")
		}
		return n, q, err
	}
	switch t.kind {
	case number, dotted, ip6, mac, name:
		if !q.valid {
			return nil, q, p.fail(t.at, "say what it is", "host, net or port before it")
		}
		return p.id(q)
	case word:
		return p.primitive(depth)
	}
	return nil, q, p.unexpected("a primitive, such as host or tcp")
}

// directions are src, dst, and both.
func (p *parser) direction(q *qualifier) {
	first := srcOnly
	if p.is("dst") {
		first = dstOnly
	} else if !p.is("src") {
		return
	}
	p.i++
	q.dir, q.dired = first, true
	other := "dst"
	if first == dstOnly {
		other = "src"
	}
	if next := p.tokens[min(p.i+1, len(p.tokens)-1)]; next.kind == word && next.text == other {
		switch {
		case p.take("or"):
			p.i++
			q.dir = srcOrDst
		case p.take("and"):
			p.i++
			q.dir = srcAndDst
		}
	}
}

var protocols = sync.OnceValue(func() map[string]bool { return setOf(protocolNames) })

func (p *parser) primitive(depth int) (node, qualifier, error) {
	t := p.peek()
	switch {
	case p.take("less"), p.take("greater"):
		n := p.peek()
		if n.kind != number {
			return nil, qualifier{}, p.unexpected("a number of octets")
		}
		p.i++
		if t.text == "less" {
			return relation{op: ">", not: true, a: length{}, b: constant(n.n)}, qualifier{}, nil
		}
		return relation{op: ">=", a: length{}, b: constant(n.n)}, qualifier{}, nil
	case p.take("vlan"):
		v := vlanTag{at: t.at}
		if n := p.peek(); n.kind == number {
			p.i++
			if n.n > 0xfff {
				return nil, qualifier{}, p.fail(n.at, "a VLAN's number is at most 4095", "")
			}
			v.has, v.id = true, n.n
		}
		return v, qualifier{}, nil
	}
	q := qualifier{valid: true}
	if protocols()[t.text] {
		q.proto = t.text
		p.i++
	}
	if p.is("broadcast") || p.is("multicast") {
		c := cast{at: t.at, proto: q.proto, broadcast: p.is("broadcast")}
		p.i++
		switch {
		case c.broadcast && q.proto == "ip":
			return nil, q, p.fail(t.at, "what is a broadcast depends on the network's mask", "name the address: ip dst host 10.0.0.255")
		case q.proto != "" && q.proto != "ether" && (c.broadcast || q.proto != "ip" && q.proto != "ip6"):
			return nil, q, p.fail(t.at, "only ether, ip and ip6 have that", "")
		}
		return c, qualifier{}, nil
	}
	p.direction(&q)
	for _, typ := range []string{"host", "net", "port", "portrange", "proto"} {
		if p.take(typ) {
			q.typ = typ
			break
		}
	}
	if q.typ == "" && !q.dired {
		if q.proto == "" || q.proto == "ether" {
			if q.proto != "" {
				return nil, q, p.unexpected("host, proto, broadcast, multicast or [")
			}
			return nil, q, p.unexpected("a primitive, such as host or tcp")
		}
		return protocol{t.at, q.proto}, qualifier{}, nil
	}
	n, err := p.ids(q, depth)
	return n, q, err
}

// ids reads what follows a qualifier: one, or several in parentheses.
func (p *parser) ids(q qualifier, depth int) (node, error) {
	if depth++; depth > maxDepth {
		return nil, p.fail(p.peek().at, "more than %d levels of parentheses", "", maxDepth)
	}
	if p.take("not") {
		n, err := p.ids(q, depth)
		return negation{n}, err
	}
	if !p.take("(") {
		n, _, err := p.id(q)
		return n, err
	}
	a, err := p.ids(q, depth)
	for err == nil {
		var b node
		switch {
		case p.take("and"):
			b, err = p.ids(q, depth)
			a = conjunction{a, b}
		case p.take("or"):
			b, err = p.ids(q, depth)
			a = disjunction{a, b}
		case p.take(")"):
			return a, nil
		default:
			return nil, p.unexpected("and, or, or a closing parenthesis")
		}
	}
	return nil, err
}
