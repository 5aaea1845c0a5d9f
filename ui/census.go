package ui

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// censusTab draws how many endpoints stood in which state over time.
type censusTab struct {
	// at is the point under the cursor, from the end, so that a run that goes on shows
	// its newest.
	back int
	// of is the listener whose endpoints are counted; invalid for all.
	of netip.AddrPort
}

func (t *censusTab) renew(m *Model) {
	if !slices.Contains(t.choices(m), t.of) {
		t.of = netip.AddrPort{}
	}
	t.back = max(min(t.back, len(t.series(m).At)-1), 0)
}

// choices are what can be counted: all endpoints, and the listeners with counts of their
// own.
func (t *censusTab) choices(m *Model) []netip.AddrPort {
	all := []netip.AddrPort{{}}
	for i := range m.snap.Listeners {
		if l := &m.snap.Listeners[i]; len(l.Census.At) > 0 {
			all = append(all, l.Server)
		}
	}
	return all
}

func (t *censusTab) series(m *Model) *Series {
	for i := range m.snap.Listeners {
		if l := &m.snap.Listeners[i]; t.of.IsValid() && l.Server == t.of {
			return &l.Census
		}
	}
	return &m.snap.Census
}

func (t *censusTab) key(m *Model, key string) tea.Cmd {
	n := len(t.series(m).At)
	_, step := t.columns(m, n)
	switch key {
	case "right", "l", "j", "down":
		t.back -= step
	case "left", "h", "k", "up":
		t.back += step
	case "home", "g":
		t.back = n
	case "end", "G":
		t.back = 0
	case "L":
		all := t.choices(m)
		t.of = all[(slices.Index(all, t.of)+1)%len(all)]
	case "enter", "c":
		if t.of.IsValid() {
			return m.show(ofListener(t.of))
		}
	}
	t.back = max(min(t.back, len(t.series(m).At)-1), 0)
	return nil
}

// censusStates are the states in the order in which a connection meets them.
var censusStates = []reassembly.State{reassembly.Listen, reassembly.SynSent, reassembly.SynReceived, reassembly.Established, reassembly.FinWait1,
	reassembly.FinWait2, reassembly.CloseWait, reassembly.Closing, reassembly.LastAck, reassembly.TimeWait}

// censusHead is how many columns stand before the curves.
const censusHead = 12 + 1 + 7 + 1 + 7 + 1

// columns says how many columns the curves have, and how many points share one.
func (t *censusTab) columns(m *Model, points int) (n, step int) {
	n = max(m.w-censusHead-1, 1)
	step = (points + n - 1) / n
	return n, max(step, 1)
}

func (t *censusTab) view(m *Model, h int) (lines []string) {
	s := t.series(m)
	if len(s.At) == 0 {
		return []string{"", "Nothing was counted: " + strings.ToLower(m.outcomes()[:1]) + m.outcomes()[1:]}
	}
	n, step := t.columns(m, len(s.At))
	peak := s.Peak
	var used []reassembly.State
	for _, st := range censusStates {
		if peak[st] > 0 {
			used = append(used, st)
		}
	}
	at := len(s.At) - 1 - min(t.back, len(s.At)-1)
	what := "all endpoints"
	if t.of.IsValid() {
		what = "the endpoints of " + t.of.String()
	}
	lines = append(lines, cut(fmt.Sprintf("At %s: how many of %s stood in which state", m.o.Report.Clock(s.At[at]), what), m.w),
		m.paint("faint", cut(left("state", 12)+" "+right("then", 7)+" "+right("peak", 7), m.w)))
	// Each state has as many lines as there is room for.
	high := 1
	if len(used) > 0 {
		high = max(min((h-len(lines)-2)/len(used)-1, 3), 1)
	}
	cells := (len(s.At) + step - 1) / step
	cursor := at / step
	for i, st := range used {
		if high > 1 && i > 0 {
			lines = append(lines, "")
		}
		rows := make([]strings.Builder, high)
		for c := range min(cells, n) {
			top := uint64(0)
			for i := c * step; i < min((c+1)*step, len(s.At)); i++ {
				top = max(top, s.Counts[i][st])
			}
			for k := range rows {
				rows[k].WriteRune(bar(top, peak[st], high-1-k, high))
			}
		}
		for k := range rows {
			name := blanks(12 + 1 + 7 + 1 + 7)
			if k == high-1 {
				name = left(st.String(), 12) + " " + right(report.Number(s.Counts[at][st]), 7) + " " + right(report.Number(peak[st]), 7)
			}
			lines = append(lines, cut(name+" "+m.paint(stateParts[st], rows[k].String()), m.w))
		}
	}
	if len(lines)+2 > h {
		lines = lines[:max(h-2, 0)]
	}
	lines = append(lines, cut(blanks(censusHead+min(cursor, n-1))+"^", m.w))
	from, to := m.o.Report.TimeOfDay(s.At[0]), m.o.Report.TimeOfDay(s.At[len(s.At)-1])
	return append(lines, cut(blanks(censusHead)+aside(from, to, max(min(cells, n), width(from)+width(to)+2)), m.w))
}

// stateParts colour the states in which something may be stuck.
var stateParts = map[reassembly.State]string{reassembly.CloseWait: "warning", reassembly.SynSent: "warning", reassembly.LastAck: "warning", reassembly.Established: "good"}

// bars are an eighth of a line's height each.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// bar returns what a column of height n among at most top shows in a row, counted from
// the lowest, of so many. What is there is never nothing.
func bar(n, top uint64, row, rows int) rune {
	if n == 0 || top == 0 {
		return ' '
	}
	eighths := max(int(float64(n)/float64(top)*float64(8*rows)+0.5), 1)
	return bars[max(min(eighths-8*row, 8), 0)]
}
