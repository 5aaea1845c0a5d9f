package check

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
)

var (
	_ = registerSection("connections", "how many connections there are, how they open, close and end, and how long that takes", loadConnections)
	_ = registerSection("listeners", "the same of those to one listener", loadListeners)
)

// group is what is expected of some connections: all, or those of a listener.
type group struct {
	at   Position
	kind string
	// name is what verdicts call it; filter says which connections they are, -1 all.
	name   string
	filter int
	items  []item
	// counted: how many there are is bounded. Otherwise there must be some: that of
	// none at all nothing was refused proves nothing.
	counted bool
}

// item is one expectation on a group.
type item interface {
	// begin returns what counts, with nothing counted.
	begin() counter
}

// counter counts connections of a group and judges them.
type counter interface {
	see(l *life)
	verdict(of uint64) Verdict
}

func loadConnections(l *loader, x *Expectations, k, v *yaml.Node) {
	l.groupOf(x, &group{at: l.at(k), kind: "connections", name: "connections", filter: -1}, v)
}

func loadListeners(l *loader, x *Expectations, _, value *yaml.Node) {
	l.group(value, "listeners", func(k, v *yaml.Node) {
		g := &group{at: l.at(k), kind: "listeners", name: "listener " + k.Value, filter: -1}
		// "*:443" is what ss and netstat print of a listener on all addresses.
		service := strings.TrimPrefix(k.Value, "*:")
		if g.filter = l.filter(x, k, &selection.Wish{Services: []string{service}}); g.filter >= 0 {
			l.groupOf(x, g, v)
		}
	})
}

func (l *loader) groupOf(x *Expectations, g *group, n *yaml.Node) {
	before := len(l.faults)
	l.keys(n, g.name,
		key{"count", func(k, v *yaml.Node) { g.counted = true; l.countItem(g, k, v) }},
		key{"outcomes", func(_, v *yaml.Node) { l.outcomeItems(g, v) }},
		key{"close", func(_, v *yaml.Node) { l.closeItems(g, v) }},
		key{"closer", func(k, v *yaml.Node) { l.closerItems(g, k, v) }},
		key{"handshake", func(_, v *yaml.Node) { l.handshakeItems(g, v) }},
		key{"dwell", func(_, v *yaml.Node) { l.dwellItems(g, v) }})
	if len(l.faults) == before {
		x.wanted = append(x.wanted, g)
	}
}

func (l *loader) countItem(g *group, k, v *yaml.Node) {
	b := l.bound(v, "count", counts)
	if b != nil && b.shares() {
		l.fail(resolve(v), "count: %s is a share, and there is no whole that the group is a part of: give a number", b.text)
		return
	}
	if b != nil {
		g.items = append(g.items, &countItem{l.head(g, k, "count"), b, func(*life) bool { return true }, (*life).closed, " connections"})
	}
}

// head is what the verdicts of an item have in common.
func (l *loader) head(g *group, n *yaml.Node, what string) Verdict {
	return Verdict{What: g.name + " " + what, At: l.at(n), Kind: g.kind}
}

func (l *loader) outcomeItems(g *group, n *yaml.Node) {
	words := report.LookupField("outcome").Words
	l.counted(g, n, "outcomes", "outcome", words, func(w string) func(*life) bool {
		return func(c *life) bool { return c.Outcome.String() == w }
	})
}

// resets are the reasons for which a RST ended an established connection; refused is
// not among them, since there was none yet.
var resets = []reassembly.CloseReason{reassembly.CloseAbort, reassembly.CloseAbortUnread, reassembly.CloseLateDataReset, reassembly.CloseNoSocketReset, reassembly.CloseDeviceReset}

// dead are those for which a peer that was silent ended it.
var dead = []reassembly.CloseReason{reassembly.CloseKeepaliveDead, reassembly.CloseRetransmitDead, reassembly.CloseZeroWindowDead}

func (l *loader) closeItems(g *group, n *yaml.Node) {
	l.counted(g, n, "close", "close", append([]string{"reset", "dead"}, reassembly.CloseReasons()...), func(w string) func(*life) bool {
		switch w {
		case "reset":
			return func(c *life) bool { return slices.Contains(resets, c.Reason) }
		case "dead":
			return func(c *life) bool { return slices.Contains(dead, c.Reason) }
		}
		return func(c *life) bool { return c.Reason.String() == w }
	})
}

// counted reads a group of words with a bound each.
func (l *loader) counted(g *group, n *yaml.Node, where, what string, words []string, is func(word string) func(*life) bool) {
	l.group(n, where, func(k, v *yaml.Node) {
		w, ok := l.oneOf(k, where, words)
		if !ok {
			return
		}
		if b := l.bound(v, w, counts); b != nil {
			g.items = append(g.items, &countItem{l.head(g, k, what+" "+w), b, is(w), (*life).closed, ""})
		}
	})
}

var sides = []string{"client", "server"}

func (l *loader) closerItems(g *group, k, n *yaml.Node) {
	if r := resolve(n); r.Kind == yaml.ScalarNode {
		if w, ok := l.oneOf(r, "closer", sides); ok {
			g.items = append(g.items, &closerItem{l.head(g, k, "closer"), w})
		}
		return
	}
	l.counted(g, n, "closer", "closer", append([]string{"none"}, sides...), func(w string) func(*life) bool {
		if w == "none" {
			return func(c *life) bool { return !c.begunToClose() }
		}
		return func(c *life) bool { return c.begunToClose() && c.Closer.String() == w }
	})
}

func (l *loader) handshakeItems(g *group, n *yaml.Node) {
	keys := []key{{"repeated", func(k, v *yaml.Node) {
		if b := l.bound(v, "repeated", counts); b != nil {
			g.items = append(g.items, &countItem{l.head(g, k, "handshake repeated"), b, func(c *life) bool { return c.syns > 0 },
				func(c *life) Evidence {
					return c.evidence(c.opening, fmt.Sprintf("%s of SYN or SYN-ACK", plural(uint64(c.syns), "repetition", "repetitions")))
				}, ""})
		}
	}}}
	for part, name := range [census.RTTParts]string{census.RTTWhole: "rtt", census.RTTClientSide: "rtt_client_side", census.RTTServerSide: "rtt_server_side"} {
		keys = append(keys, key{name, func(_, v *yaml.Node) {
			l.timeItems(g, v, "handshake "+name, "no handshake was seen whole and without repetitions", func(c *life, take func(timed)) {
				if d := c.rtt[part]; d > 0 {
					take(timed{d: d, whole: true, frames: c.opening})
				}
			})
		}})
	}
	for _, w := range report.LookupField("handshake.outcome").Words {
		keys = append(keys, key{w, func(k, v *yaml.Node) {
			if b := l.bound(v, w, counts); b != nil {
				g.items = append(g.items, &countItem{l.head(g, k, "handshake "+w), b, func(c *life) bool { return c.Handshake.String() == w },
					func(c *life) Evidence { return c.evidence(c.opening, "handshake "+c.Handshake.String()) }, ""})
			}
		}})
	}
	l.keys(n, "handshake", keys...)
}

// begunToClose reports whether somebody began to close what had been open: who refuses
// an attempt closes nothing.
func (l *life) begunToClose() bool { return l.HasCloser && l.Reason != reassembly.CloseRefused }

// countItem bounds how many connections have something.
type countItem struct {
	head  Verdict
	count *bound
	is    func(*life) bool
	show  func(*life) Evidence
	// of stands behind the bound in what is expected.
	of string
}

func (i *countItem) begin() counter { return &countCounter{countItem: i} }

type countCounter struct {
	*countItem
	yes, no samples
}

func (c *countCounter) see(l *life) {
	s := &c.no
	if c.is(l) {
		s = &c.yes
	}
	s.add(func() Evidence { return c.show(l) })
}

func (c *countCounter) verdict(of uint64) Verdict {
	v := c.head
	v.Expected = c.count.String() + c.of
	judgeCount(&v, c.count, of, &c.yes, &c.no)
	if c.of != "" {
		v.Found = plural(of, "connection", "connections")
	}
	return v
}

// closerItem expects that one side begins to close wherever somebody does.
type closerItem struct {
	head   Verdict
	closer string
}

func (i *closerItem) begin() counter { return &closerCounter{closerItem: i} }

type closerCounter struct {
	*closerItem
	right  uint64
	others samples
}

func (c *closerCounter) see(l *life) {
	switch {
	case !l.begunToClose():
	case l.Closer.String() == c.closer:
		c.right++
	default:
		c.others.add(l.closed)
	}
}

func (c *closerCounter) verdict(uint64) Verdict {
	v := c.head
	v.Expected = "the " + c.closer + " closes first, wherever somebody does"
	v.Failed = c.others.count > 0
	v.Found = "the " + c.closer + " closed first in " + found(c.right, c.right+c.others.count)
	if c.right+c.others.count == 0 {
		v.Found = "nobody closed"
	}
	c.others.into(&v)
	return v
}

func (g *group) begin(r *Run) judge {
	j := &groupJudge{group: g, held: -1}
	if g.filter >= 0 {
		j.held = r.base + g.filter
	}
	for _, i := range g.items {
		j.counters = append(j.counters, i.begin())
	}
	return j
}

type groupJudge struct {
	*group
	held     int // which of a life's filters it is; -1 for all connections
	of       uint64
	counters []counter
}

func (j *groupJudge) see(l *life) {
	if j.held >= 0 && !l.holds[j.held] {
		return
	}
	j.of++
	for _, c := range j.counters {
		c.see(l)
	}
}

func (j *groupJudge) verdicts(*report.Summary) (all []Verdict) {
	if !j.counted {
		all = append(all, Verdict{What: j.name + " has connections", At: j.at, Kind: j.kind, Failed: j.of == 0,
			Expected: "at least one connection (count says otherwise)", Found: plural(j.of, "connection", "connections")})
		if j.of == 0 {
			return all
		}
	}
	for _, c := range j.counters {
		all = append(all, c.verdict(j.of))
	}
	return all
}
