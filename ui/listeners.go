package ui

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// listenersTab counts connections by what they were made to.
type listenersTab struct {
	list
	h      int
	order  []*Listener
	by     int
	turned bool
}

// listenerColumn is a number of a listener.
type listenerColumn struct {
	head  string
	from  int // the least terminal
	value func(l *Listener) int64
	cell  func(l *Listener) string // nil for the value as a number
}

func count(f func(l *Listener) uint64) func(l *Listener) int64 {
	return func(l *Listener) int64 { return int64(f(l)) }
}

// rtt is a percentile of the round trips.
func rtt(p uint64) (value func(l *Listener) int64, cell func(l *Listener) string) {
	return func(l *Listener) int64 { return int64(l.RTT.Percentile(p)) }, func(l *Listener) string {
		if l.RTT.Count() == 0 {
			return "-"
		}
		return shortSpan(l.RTT.Percentile(p))
	}
}

var listenerColumns = func() []listenerColumn {
	p50, cell50 := rtt(50)
	p95, cell95 := rtt(95)
	return []listenerColumn{
		{"conns", 0, count(func(l *Listener) uint64 { return l.Connections }), nil},
		{"open", 0, count(func(l *Listener) uint64 { return l.Open }), nil},
		{"refused", 0, count(func(l *Listener) uint64 { return l.Refused }), nil},
		{"silent", 0, count(func(l *Listener) uint64 { return l.Unanswered }), nil},
		{"resets", 0, count(func(l *Listener) uint64 { return l.Resets }), nil},
		{"closed by client, server", 0, count(func(l *Listener) uint64 { return l.ClosedBy[reassembly.Server] }), func(l *Listener) string {
			return report.Number(l.ClosedBy[0]) + ", " + report.Number(l.ClosedBy[1])
		}},
		{"rtt 50%", 0, p50, cell50},
		{"95%", 0, p95, cell95},
		{"failed", 100, count(func(l *Listener) uint64 { return l.Failed }), nil},
		{"warned", 100, count(func(l *Listener) uint64 { return l.Warned }), nil},
	}
}()

func (t *listenersTab) renew(m *Model, fresh bool) {
	var server netip.AddrPort
	if t.at < len(t.order) && !fresh {
		server = t.order[t.at].Server
	}
	t.order = t.order[:0]
	for i := range m.snap.Listeners {
		t.order = append(t.order, &m.snap.Listeners[i])
	}
	t.sort()
	if fresh {
		t.list = list{}
	} else if i := slices.IndexFunc(t.order, func(l *Listener) bool { return l.Server == server }); i >= 0 {
		t.at = i
	}
	t.clamp(len(t.order), t.h)
}

func (t *listenersTab) sort() {
	c := &listenerColumns[t.by]
	slices.SortFunc(t.order, func(a, b *Listener) int {
		n := cmp.Compare(c.value(b), c.value(a))
		if t.turned {
			n = -n
		}
		return cmp.Or(n, a.Server.Compare(b.Server))
	})
}

func (t *listenersTab) place() string {
	if len(t.order) == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", t.at+1, len(t.order))
}

func (t *listenersTab) key(m *Model, key string) tea.Cmd {
	if t.move(key, len(t.order), t.h) {
		return nil
	}
	step := 0
	switch key {
	case "s", ">", ".":
		step = 1
	case "S", "<", ",":
		step = len(listenerColumns) - 1
	case "r", "R":
		t.turned = !t.turned
	case "enter", "c":
		if t.at < len(t.order) {
			return m.show(ofListener(t.order[t.at].Server))
		}
		return nil
	default:
		return nil
	}
	if step > 0 {
		t.turned = false
		for range listenerColumns {
			if t.by = (t.by + step) % len(listenerColumns); listenerColumns[t.by].from <= m.w {
				break
			}
		}
	}
	t.sort()
	t.list = list{}
	return nil
}

// ofListener is the filter for a listener's connections.
func ofListener(server netip.AddrPort) string {
	return fmt.Sprintf("server.ip == %q && server.port == %d", server.Addr().WithZone(""), server.Port())
}

func (t *listenersTab) view(m *Model, h int) (lines []string) {
	if len(t.order) == 0 {
		return []string{"", m.outcomes()}
	}
	shown := listenerColumns[:0:0]
	sorted := -1
	for i, c := range listenerColumns {
		if c.from <= m.w {
			if i == t.by {
				sorted = len(shown)
			}
			shown = append(shown, c)
		}
	}
	cells := func(l *Listener) (all []string) {
		for _, c := range shown {
			if c.cell != nil {
				all = append(all, c.cell(l))
			} else {
				all = append(all, report.Number(uint64(c.value(l))))
			}
		}
		return all
	}
	// The columns are as wide as what stands in them.
	n := make([]int, len(shown))
	heads := make([]string, len(shown))
	names := len("listener")
	for i, c := range shown {
		heads[i] = c.head
		if m.w < 100 {
			heads[i] = strings.Replace(c.head, "closed by client, server", "closed c,s", 1)
		}
		n[i] = len(heads[i]) + 1
	}
	for _, l := range t.order {
		for i, c := range cells(l) {
			n[i] = max(n[i], width(c))
		}
		names = max(names, len(l.Server.String()))
	}
	room := m.w - 2
	for i := range n {
		room -= n[i] + 1
	}
	names = min(names, max(room, 16))
	for i := range heads {
		if i == sorted {
			heads[i] += map[bool]string{false: "v", true: "^"}[t.turned]
		}
		heads[i] = right(heads[i], n[i])
	}
	pane := 0
	if h >= 12 {
		pane = 4
	}
	t.h = max(h-1-pane, 1)
	t.clamp(len(t.order), t.h)
	lines = append(lines, m.paint("faint", cut("  "+left("listener", names)+" "+strings.Join(heads, " "), m.w)))
	for i := t.top; i < len(t.order) && i < t.top+t.h; i++ {
		l := t.order[i]
		row := cells(l)
		for k := range row {
			row[k] = right(row[k], n[k])
		}
		text := left(shortEndpoint(l.Server, names), names) + " " + strings.Join(row, " ")
		if i == t.at {
			lines = append(lines, reverse(left("> "+text, m.w)))
		} else {
			lines = append(lines, cut("  "+text, m.w))
		}
	}
	if m.snap.OtherListeners > 0 && len(lines) < 1+t.h {
		lines = append(lines, m.paint("faint", cut("  and "+report.Count(m.snap.OtherListeners, "connection", "connections")+" to others, which are not told apart", m.w)))
	}
	if pane == 0 {
		return lines
	}
	lines = m.fill(lines, 1+t.h)
	return append(lines, t.pane(m, t.order[t.at])...)
}

// pane says in words what the numbers of a listener come to.
func (t *listenersTab) pane(m *Model, l *Listener) []string {
	name := l.Server.String()
	if s := report.ServiceName(l.Server.Port()); s != "" {
		name += " (" + s + ")"
	}
	if len(l.Encap) > 0 {
		name += " in " + strings.Join(l.Encap, " ")
	}
	opened := fmt.Sprintf("%s: %s complete or open before the capture, %s refused, %s unanswered", report.Count(l.Connections, "connection", "connections"),
		report.Number(l.Answered), report.Number(l.Refused), report.Number(l.Unanswered))
	closed := fmt.Sprintf("closed first by the client %s, by the server %s; %s by a reset; %s still open", report.Number(l.ClosedBy[0]), report.Number(l.ClosedBy[1]),
		report.Number(l.Resets), report.Number(l.Open))
	if l.RTT.Count() > 0 {
		closed += fmt.Sprintf("; round trip at most %s", report.Span(l.RTT.Max()))
	}
	return []string{m.rule(""), cut(report.Printable(name), m.w), cut(opened, m.w), cut(closed, m.w)}
}
