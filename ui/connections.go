package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// column is one of the list of connections.
type column struct {
	head  string
	right bool
	// from is the least terminal in which it is shown.
	from int
	cell func(now wire.Time, r *Row, columns int) string
	// natural: it is as wide as what stands in it, up to most.
	most int
	// less is its order; those with the largest first begin so.
	compare func(now wire.Time, a, b *Row) int
	largest bool
}

// The columns, and the order that none of them has: what is worth a look first.
const (
	colID = iota
	colClient
	colServer
	colClientState
	colServerState
	colAge
	colRTT
	colPackets
	colBytes
	colReason
	colFindings
	colCount

	byWorth = -1
)

var columns = [colCount]column{
	colID: {head: "#", right: true, most: 11,
		cell:    func(_ wire.Time, r *Row, _ int) string { return report.Number(r.ID) },
		compare: func(_ wire.Time, a, b *Row) int { return cmp.Compare(a.ID, b.ID) }},
	colClient: {head: "client", most: 47,
		cell:    func(_ wire.Time, r *Row, n int) string { return shortEndpoint(r.Tuple.Source(), n) },
		compare: func(_ wire.Time, a, b *Row) int { return a.Tuple.Source().Compare(b.Tuple.Source()) }},
	colServer: {head: "server", most: 47,
		cell:    func(_ wire.Time, r *Row, n int) string { return shortEndpoint(r.Tuple.Destination(), n) },
		compare: func(_ wire.Time, a, b *Row) int { return a.Tuple.Destination().Compare(b.Tuple.Destination()) }},
	colClientState: {head: "client is", most: 12,
		cell:    func(_ wire.Time, r *Row, _ int) string { return r.state(reassembly.Client) },
		compare: func(_ wire.Time, a, b *Row) int { return compareStates(a, b, reassembly.Client) }},
	colServerState: {head: "server is", most: 12,
		cell:    func(_ wire.Time, r *Row, _ int) string { return r.state(reassembly.Server) },
		compare: func(_ wire.Time, a, b *Row) int { return compareStates(a, b, reassembly.Server) }},
	colAge: {head: "age", right: true, most: 6, largest: true,
		cell:    func(now wire.Time, r *Row, _ int) string { return shortSpan(r.age(now)) },
		compare: func(now wire.Time, a, b *Row) int { return cmp.Compare(a.age(now), b.age(now)) }},
	colRTT: {head: "rtt", right: true, most: 6, largest: true,
		cell: func(_ wire.Time, r *Row, _ int) string {
			if r.RTT == 0 {
				return "-"
			}
			return shortSpan(r.RTT)
		},
		compare: func(_ wire.Time, a, b *Row) int { return cmp.Compare(a.RTT, b.RTT) }},
	colPackets: {head: "packets", right: true, from: 110, most: 11, largest: true,
		cell: func(_ wire.Time, r *Row, _ int) string { return report.Number(r.Packets[0] + r.Packets[1]) },
		compare: func(_ wire.Time, a, b *Row) int {
			return cmp.Compare(a.Packets[0]+a.Packets[1], b.Packets[0]+b.Packets[1])
		}},
	colBytes: {head: "bytes", right: true, from: 110, most: 9, largest: true,
		cell:    func(_ wire.Time, r *Row, _ int) string { return report.Octets(r.Bytes[0] + r.Bytes[1]) },
		compare: func(_ wire.Time, a, b *Row) int { return cmp.Compare(a.Bytes[0]+a.Bytes[1], b.Bytes[0]+b.Bytes[1]) }},
	colReason: {head: "close", from: 120, most: 20,
		cell:    func(_ wire.Time, r *Row, _ int) string { return r.Reason.String() },
		compare: func(_ wire.Time, a, b *Row) int { return cmp.Compare(a.Reason.String(), b.Reason.String()) }},
	colFindings: {head: "findings", most: 200, largest: true,
		cell: func(_ wire.Time, r *Row, _ int) string { return strings.Join(r.told(), " ") },
		compare: func(_ wire.Time, a, b *Row) int {
			return cmp.Or(cmp.Compare(a.worst(), b.worst()), cmp.Compare(len(a.Findings), len(b.Findings)))
		}},
}

// state prints a side's last state; ? where it had no connection.
func (r *Row) state(side reassembly.Side) string {
	if !r.HasState[side] {
		return "?"
	}
	return r.States[side].String()
}

func compareStates(a, b *Row, side reassembly.Side) int {
	return cmp.Compare(a.state(side), b.state(side))
}

func (r *Row) age(now wire.Time) time.Duration {
	if r.Open && now > r.Start {
		return now.Sub(r.Start)
	}
	return r.End.Sub(r.Start)
}

func (r *Row) told() (ids []string) {
	for _, f := range r.Findings {
		ids = append(ids, f.Rule.ID)
	}
	return ids
}

// worst returns the gravest finding as a number, 0 for none.
func (r *Row) worst() int {
	if len(r.Findings) == 0 {
		return 0
	}
	return int(r.Findings[0].Severity) + 1
}

func (r *Row) warned() bool { return r.worst() > int(finding.Info)+1 }

// worth is how much a connection is worth a look: as in the text report.
func (r *Row) worth() int {
	switch {
	case r.worst() == int(finding.Error)+1:
		return 0
	case r.warned():
		return 1
	case r.Outcome == reassembly.OutcomeFailure:
		return 2
	}
	return 3
}

// connectionsTab is the list of connections.
type connectionsTab struct {
	list
	h int
	// order are the snapshot's rows in the order shown.
	order   []*Row
	by      int
	turned  bool
	natural [colCount]int
}

func (t *connectionsTab) renew(m *Model, fresh bool) {
	var uid string
	// Who looks at the first goes on doing so, whatever that is by now.
	if r := t.selected(); r != nil && !fresh && t.at > 0 {
		uid = r.UID
	}
	if fresh && t.order == nil {
		t.by = byWorth
	}
	s := m.snap
	t.order = make([]*Row, len(s.Rows))
	for i := range s.Rows {
		t.order[i] = &s.Rows[i]
	}
	t.sort(s.Now)
	t.measure(s.Now)
	if fresh {
		t.list = list{}
	} else if uid != "" {
		// What is under the cursor stays there, wherever it goes.
		if i := slices.IndexFunc(t.order, func(r *Row) bool { return r.UID == uid }); i >= 0 {
			t.top += i - t.at
			t.at = i
		}
	}
	t.clamp(len(t.order), t.h)
}

func (t *connectionsTab) selected() *Row {
	if t.at < len(t.order) {
		return t.order[t.at]
	}
	return nil
}

func (t *connectionsTab) sort(now wire.Time) {
	compare := func(a, b *Row) int { return cmp.Compare(a.worth(), b.worth()) }
	down := t.turned
	if t.by != byWorth {
		c := &columns[t.by]
		compare = func(a, b *Row) int { return c.compare(now, a, b) }
		down = c.largest != t.turned
	}
	slices.SortFunc(t.order, func(a, b *Row) int {
		n := compare(a, b)
		if down {
			n = -n
		}
		return cmp.Or(n, cmp.Compare(a.ID, b.ID))
	})
}

// measure finds how wide the columns want to be.
func (t *connectionsTab) measure(now wire.Time) {
	for i := range columns {
		c := &columns[i]
		n := len(c.head) + 1 // the mark of the order
		for _, r := range t.order {
			if n >= c.most {
				break
			}
			n = max(n, width(c.cell(now, r, c.most)))
		}
		t.natural[i] = min(n, c.most)
	}
}

// widths says how wide each column is in a terminal; 0 for one that is not shown.
func (t *connectionsTab) widths(w int) (n [colCount]int) {
	// The cursor, and a letter for the gravest finding.
	room := w - 4
	for i := range columns {
		if columns[i].from <= w && i != colFindings {
			n[i] = t.natural[i]
			room -= n[i] + 1
		}
	}
	// Addresses give way, and then what is least missed.
	for _, i := range []int{-1, colRTT, colAge, colID, -1} {
		if room >= 0 {
			break
		}
		if i >= 0 {
			room += n[i] + 1
			n[i] = 0
			continue
		}
		for room < 0 && max(n[colClient], n[colServer]) > 16 {
			side := colClient
			if n[colServer] > n[colClient] {
				side = colServer
			}
			n[side]--
			room++
		}
	}
	if room > 12 {
		n[colFindings] = room - 1
	}
	return n
}

func (t *connectionsTab) place(m *Model) string {
	if len(t.order) == 0 {
		return ""
	}
	s := fmt.Sprintf("%s/%s", report.Number(uint64(t.at+1)), report.Number(uint64(len(t.order))))
	if m.snap.Left > 0 {
		s += " of " + report.Number(uint64(len(t.order))+m.snap.Left)
	}
	return s
}

func (t *connectionsTab) key(m *Model, key string) tea.Cmd {
	if t.move(key, len(t.order), t.h) {
		return nil
	}
	switch key {
	case "s", ">", ".":
		t.resort(m, 1)
		return nil
	case "S", "<", ",":
		t.resort(m, -1)
		return nil
	case "r", "R":
		t.turned = !t.turned
		t.reorder(m)
		return nil
	}
	r := t.selected()
	if r == nil {
		return nil
	}
	switch key {
	case "enter":
		p := &lifePage{row: *r, at: t.at}
		m.open(p)
		return p.load(m, false)
	case "e":
		if len(r.Findings) == 0 {
			m.status = fmt.Sprintf("connection %d has no finding to explain", r.ID)
			return nil
		}
		m.open(&explainPage{id: r.Findings[0].Rule.ID})
	}
	return nil
}

// resort goes to the next column that is shown.
func (t *connectionsTab) resort(m *Model, step int) {
	shown := t.widths(m.w)
	for range colCount + 1 {
		t.by += step
		if t.by < byWorth {
			t.by = colCount - 1
		}
		if t.by == colCount {
			t.by = byWorth
		}
		if t.by == byWorth || shown[t.by] > 0 || t.by == colFindings {
			break
		}
	}
	t.turned = false
	t.reorder(m)
}

func (t *connectionsTab) reorder(m *Model) {
	t.sort(m.snap.Now)
	t.list = list{}
	by := "what is worth a look"
	if t.by != byWorth {
		by = columns[t.by].head
	}
	if t.turned {
		by += ", the other way round"
	}
	m.status = "in the order of " + by
}

// letters stand before a row for its gravest finding.
var letters = map[finding.Severity]string{finding.Info: "i", finding.Warning: "W", finding.Error: "E"}

func (t *connectionsTab) view(m *Model, h int) (lines []string) {
	s := m.snap
	if len(t.order) == 0 {
		return []string{"", m.outcomes()}
	}
	n := t.widths(m.w)
	pane := 0
	if h >= 12 {
		pane = 5
	}
	t.h = max(h-1-pane, 1)
	t.clamp(len(t.order), t.h)
	lines = append(lines, m.paint("faint", cut("    "+t.heads(n), m.w)))
	for i := t.top; i < len(t.order) && i < t.top+t.h; i++ {
		r := t.order[i]
		var cells []string
		for k := range columns {
			if n[k] == 0 {
				continue
			}
			c := columns[k].cell(s.Now, r, n[k])
			if columns[k].right {
				c = right(c, n[k])
			} else {
				c = left(c, n[k])
			}
			cells = append(cells, c)
		}
		text, letter, part := strings.Join(cells, " "), " ", ""
		if len(r.Findings) > 0 {
			letter, part = letters[r.Findings[0].Severity], r.Findings[0].Severity.String()
		}
		if i == t.at {
			lines = append(lines, reverse(left("> "+letter+" "+text, m.w)))
			continue
		}
		lines = append(lines, cut("  "+m.paint(part, letter)+" "+text, m.w))
	}
	if pane == 0 {
		return lines
	}
	for len(lines) < 1+t.h {
		lines = append(lines, "")
	}
	return append(lines, t.pane(m, t.order[t.at])...)
}

func (t *connectionsTab) heads(n [colCount]int) string {
	var cells []string
	for k := range columns {
		if n[k] == 0 {
			continue
		}
		head := columns[k].head
		if k == t.by {
			// As top and htop have it: v, the largest is first.
			if columns[k].largest != t.turned {
				head += "v"
			} else {
				head += "^"
			}
		}
		if columns[k].right {
			head = right(head, n[k])
		} else {
			head = left(head, n[k])
		}
		cells = append(cells, head)
	}
	return strings.Join(cells, " ")
}

// pane says more of the connection under the cursor.
func (t *connectionsTab) pane(m *Model, r *Row) []string {
	o := &m.o.Report
	who := fmt.Sprintf("#%s %s > %s", report.Number(r.ID), r.Tuple.Source(), r.Tuple.Destination())
	if len(r.Encap) > 0 {
		who += " in " + strings.Join(r.Encap, " ")
	}
	how := fmt.Sprintf("%s, %s, handshake %s", r.Outcome, r.Reason, r.Handshake)
	if r.HasCloser {
		how += fmt.Sprintf(", closed first by the %s (%s)", r.Closer, strings.ToUpper(r.By))
	}
	amount := fmt.Sprintf("%s, %s", report.Count(r.Packets[0]+r.Packets[1], "packet", "packets"), report.Octets(r.Bytes[0]+r.Bytes[1]))
	when := fmt.Sprintf("from %s for %s: %s", o.Clock(r.Start), report.Span(r.age(m.snap.Now)), amount)
	told := "no finding"
	if len(r.Findings) > 0 {
		var words []string
		for _, f := range r.Findings {
			words = append(words, m.paint(f.Severity.String(), f.Rule.ID)+" ("+f.Severity.String()+")")
		}
		told = strings.Join(words, ", ")
	}
	return []string{m.rule(""), cut(report.Printable(who), m.w), cut(how, m.w), cut(when, m.w), cut(told, m.w)}
}
