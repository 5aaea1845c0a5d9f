package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = registerCensus("text", func(p *censusPrint) error { return p.text() })

// censusText writes a census for people: what was read, as every report says it,
// then the counts as `netstat | awk` has taught everybody to read them.
type censusText struct {
	printer
	p     *censusPrint
	parts []part
	label int // the width of the names of parts
}

func (p *censusPrint) text() error {
	t := censusText{printer: printer{canvas: p.o.canvas(), s: p.s, o: p.o, multi: len(p.o.Inputs) > 1}, p: p, parts: p.parts()}
	t.read(true)
	t.quality()
	if p.s.Connections == 0 {
		t.nothing()
	} else {
		for i := range t.parts {
			t.label = max(t.label, columns(t.parts[i].label()))
		}
		for _, m := range p.moments {
			t.moment(&m)
		}
		if n := p.s.Quality.MidStream; n > 0 {
			t.prose("  ", "  ", plural(n, "connection", "connections")+" began before the capture and "+verb(n, "counts from its", "count from their")+
				" first segment in it: what was silent until then is not counted before.")
		}
		t.peaks()
		t.overTime()
		if p.o.Dwell {
			t.dwell()
		}
		if p.o.RTT {
			t.rtt()
		}
	}
	_, err := io.WriteString(p.w, t.finish())
	return err
}

// label names a part.
func (x *part) label() string {
	other := func(one, many string) string {
		if x.keys == 0 {
			return "other " + many
		}
		return plural(x.keys, "other "+one, "other "+many)
	}
	switch x.scope {
	case "host":
		if x.others {
			return other("host", "hosts")
		}
		return x.host
	case "listener":
		if x.others {
			return other("listener", "listeners")
		}
		return x.listener.Addr.String()
	case "client":
		if x.others {
			return "  " + other("client", "clients")
		}
		return "  from " + x.host
	}
	return "all"
}

// sections are the headings of the parts.
var sections = map[string]string{"all": "", "host": "hosts", "listener": "listeners and their clients"}

// eachPart calls do for the parts, below the headings that they belong to.
func (t *censusText) eachPart(do func(x *part)) {
	scope := "all"
	for i := range t.parts {
		x := &t.parts[i]
		if x.scope != scope && x.scope != "client" {
			scope = x.scope
			t.item("  ", "  ", t.paint(dim, sections[scope]))
		}
		do(x)
	}
}

// when prints an instant and how far it is from the first frame.
func (t *censusText) when(at wire.Time) string {
	d := at.Sub(t.p.first)
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	return t.o.clock(at) + " (" + sign + exactSpan(d) + ")"
}

// exactSpan prints a duration as people type it after --at: to the millisecond,
// unless it is a small one.
func exactSpan(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.String()
	}
	return d.Round(time.Millisecond).String()
}

// moment writes the counts at one instant.
func (t *censusText) moment(m *moment) {
	what := "At "
	if m.end {
		what = "At the end, "
	}
	t.heading(what + t.when(m.at))
	if m.outside {
		side := "before its first frame"
		if m.at > t.p.last {
			side = "after its last frame"
		}
		t.prose("  ", "  ", "The capture does not reach there: this is "+side+". Nothing is known.")
		return
	}
	t.eachPart(func(x *part) {
		n := &x.At[m.index]
		words := plural(n.Sockets(), "socket", "sockets")
		if x.peakOf() == "open" {
			words = number(n.Open()) + " open"
		}
		words = strings.ReplaceAll(words, " ", hard)
		if states := stateWords(n); states != "" {
			words += ": " + states
		}
		t.prose("  "+left(x.label(), t.label)+"  ", blanks(t.label+6), words)
	})
}

// stateWords lists the states that any endpoint is in, the most frequent first, and
// behind them what is no connection's: who listens, and who is gone.
func stateWords(n *census.Counts) string {
	states := slices.Clone(censusStates[:])
	slices.SortStableFunc(states, func(a, b reassembly.State) int { return cmp.Compare(n[b], n[a]) })
	var words []string
	for _, s := range states {
		if n[s] > 0 && s != reassembly.Listen && s != reassembly.Closed {
			words = append(words, s.String()+hard+number(n[s]))
		}
	}
	for _, s := range [...]reassembly.State{reassembly.Listen, reassembly.Closed} {
		if n[s] > 0 {
			words = append(words, s.String()+hard+number(n[s]))
		}
	}
	return strings.Join(words, ", ")
}

// peaks writes the highest counts and when they were reached.
func (t *censusText) peaks() {
	t.heading("Peaks")
	var rows [][3]string
	add := func(name string, p *census.Peak, what string) {
		if p.Count == 0 {
			return
		}
		n := number(p.Count)
		if p.Within > 0 {
			n = "at least " + n
		}
		rows = append(rows, [3]string{name, n + what, t.when(p.At)})
	}
	for _, s := range censusStates {
		if s != reassembly.Closed {
			add(s.String(), &t.p.r.States[s], "")
		}
	}
	for i := range t.parts {
		if x := &t.parts[i]; x.hasPeak() {
			name := x.label()
			unit := x.peakOf()
			if unit == "sockets" && x.Peak.Count == 1 {
				unit = "socket"
			}
			add(name, &x.Peak, " "+unit)
		}
	}
	var w [2]int
	for _, r := range rows {
		w[0], w[1] = max(w[0], columns(r[0])), max(w[1], columns(r[1]))
	}
	for _, r := range rows {
		t.item("  ", "    ", left(r[0], w[0])+"  "+right(r[1], w[1])+"  "+r[2])
	}
	if p := t.coarsest(); p.Within > 0 {
		t.prose("  ", "  ", fmt.Sprintf("There were too many changes to keep all of them: \"at least\" is the highest of the counts at multiples of %s or less.",
			exactSpan(p.Within)))
	}
}

// coarsest returns the peak that is known least exactly.
func (t *censusText) coarsest() (p census.Peak) {
	for _, x := range t.p.r.States {
		if x.Within > p.Within {
			p = x
		}
	}
	for _, x := range t.parts {
		if x.Peak.Within > p.Within {
			p = x.Peak
		}
	}
	return p
}

// rows returns how many instants a count over time has, the first and the last.
func (t *censusText) rows(x *census.Tally) (n int, from, to wire.Time) {
	x.Rows(t.p.first, t.p.last, func(at wire.Time, _ *census.Counts) {
		if n == 0 {
			from = at
		}
		n, to = n+1, at
	})
	return n, from, to
}

// Columns of a sparkline when the terminal's width is not known, and the least that
// one is drawn in.
const sparkColumns, sparkLeast = 60, 20

// overTime draws the counts over time, a line for each state and each part.
func (t *censusText) overTime() {
	all := t.parts[0].Tally
	if all.Step == 0 {
		return
	}
	rows, from, to := t.rows(all)
	if rows == 0 {
		t.heading("Over time")
		t.prose("  ", "  ", fmt.Sprintf("The capture is too short to have a multiple of %s in it: give a smaller --every.", all.Step))
		return
	}
	t.heading(fmt.Sprintf("Over time, every %s", all.Step))
	if all.Step != t.p.every {
		t.prose("  ", "  ", fmt.Sprintf("Every %s would have been too much to keep.", t.p.every))
	}
	t.prose("  ", "  ", fmt.Sprintf("%s to %s, %s", t.when(from), t.when(to), plural(uint64(rows), "instant", "instants")))
	name := len("SYN_RECEIVED")
	for i := range t.parts {
		if x := &t.parts[i]; x.Step > 0 {
			name = max(name, columns(x.label()+" "+x.peakOf()))
		}
	}
	width := sparkColumns
	if t.width > 0 {
		width = max(t.width-name-14, sparkLeast)
	}
	if t.narrow() {
		width = max(t.width-narrowIndent, 1)
	}
	draw := func(label string, x *part, value func(n *census.Counts) uint64) {
		rows, _, _ := t.rows(x.Tally)
		if rows == 0 {
			return // its steps are coarser than all
		}
		s := newSpark(width, rows)
		x.Rows(t.p.first, t.p.last, func(_ wire.Time, n *census.Counts) { s.add(value(n)) })
		switch {
		case s.most == 0:
		case t.narrow(): // the line below its name
			t.prose("  ", "  ", label+", most "+number(s.most))
			t.linef("  %s", s.line())
		default:
			t.linef("  %s  %s  most %s", left(label, name), s.line(), number(s.most))
		}
	}
	for i := range t.parts {
		x := &t.parts[i]
		switch {
		case x.Step == 0:
		case x.scope == "all":
			for _, s := range censusStates {
				if s != reassembly.Closed {
					draw(s.String(), x, func(n *census.Counts) uint64 { return n[s] })
				}
			}
			draw("all sockets", x, (*census.Counts).Sockets)
		case x.peakOf() == "open":
			draw(x.label()+" open", x, (*census.Counts).Open)
		default:
			draw(x.label()+" sockets", x, (*census.Counts).Sockets)
		}
	}
}

// spark is a sparkline of a number of values: the highest of those that share a
// column.
type spark struct {
	values []uint64
	count  int // of the values that there will be
	added  int
	most   uint64
}

func newSpark(columns, count int) *spark {
	return &spark{values: make([]uint64, min(columns, count)), count: count}
}

// add adds the next value.
func (s *spark) add(v uint64) {
	i := s.added * len(s.values) / s.count
	s.values[i] = max(s.values[i], v)
	s.most = max(s.most, v)
	s.added++
}

// sparks are the heights of a column.
var sparks = []rune("▁▂▃▄▅▆▇█")

// line draws it: nothing is a space, so that the least there is can be seen.
func (s *spark) line() string {
	var b strings.Builder
	for _, v := range s.values {
		if v == 0 {
			b.WriteByte(' ')
			continue
		}
		eighths := uint64(math.Ceil(float64(v) / float64(s.most) * float64(len(sparks))))
		b.WriteRune(sparks[min(max(eighths, 1), uint64(len(sparks)))-1])
	}
	return b.String()
}
