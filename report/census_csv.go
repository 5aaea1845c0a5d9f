package report

import (
	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var (
	_ = registerCensus("csv", func(p *censusPrint) error { return p.table(newTable(',')) })
	_ = registerCensus("tsv", func(p *censusPrint) error { return p.table(newTable('\t')) })
)

var censusColumns = func() []string {
	c := []string{"kind", "at", "t", "scope", "host", "listener"}
	for _, s := range censusStates {
		c = append(c, s.String())
	}
	return append(c, "sockets", "open", "connections")
}()

// table writes a census for spreadsheets and awk, in lines of three kinds: count
// for an instant asked for, every for the counts over time, peak for the highest
// value of the one column that is not empty (peak-at-least where not every change
// could be kept). An empty field is unknown, the host or
// listener "*" stands for those that are not told apart.
func (p *censusPrint) table(f *table) error {
	f.w = p.w
	for i, c := range censusColumns {
		if i > 0 {
			f.out = append(f.out, f.separator)
		}
		f.out = append(f.out, c...)
	}
	f.out = append(f.out, '\n')
	parts := p.parts()
	l := censusLines{p: p, f: f}
	for i := range parts {
		x := &parts[i]
		for _, m := range p.moments {
			if !m.outside {
				l.counts("count", m.at, x, &x.At[m.index])
			}
		}
	}
	for i := range parts {
		x := &parts[i]
		if x.Step > 0 && p.any {
			x.Rows(p.first, p.last, func(at wire.Time, n *census.Counts) { l.counts("every", at, x, n) })
		}
	}
	for i := range parts {
		x := &parts[i]
		if x.scope == "all" {
			for column, s := range censusStates {
				if s != reassembly.Closed {
					l.peak(x, column, &p.r.States[s])
				}
			}
		}
		if x.hasPeak() {
			l.peak(x, x.peakColumn(), &x.Peak)
		}
	}
	return l.flush()
}

// Columns of a line's numbers behind the states.
const (
	columnSockets = reassembly.StateCount + iota
	columnOpen
	columnConnections
	numberColumns
)

func (x *part) peakColumn() int {
	if x.peakOf() == "sockets" {
		return columnSockets
	}
	return columnOpen
}

// censusLines writes the lines of a table.
type censusLines struct {
	p    *censusPrint
	f    *table
	line Buffer
	err  error
}

// head begins a line with what its numbers are about.
func (l *censusLines) head(kind string, at wire.Time, x *part) {
	b := &l.line
	b.Reset()
	b.B = append(b.B, kind...)
	l.f.text(b, at.String())
	b.B = appendSeconds(append(b.B, l.f.separator), at.Sub(l.p.first))
	l.f.text(b, x.scope)
	host, listener := x.host, ""
	if x.listener != nil {
		listener = x.listener.Addr.String()
	}
	if x.others {
		if x.scope == "listener" {
			listener = "*"
		} else {
			host = "*"
		}
	}
	l.f.text(b, host)
	l.f.text(b, listener)
}

func (l *censusLines) end() {
	l.f.out = append(append(l.f.out, l.line.B...), '\n')
	if len(l.f.out) >= flushAt && l.err == nil {
		l.err = l.f.Flush()
	}
	if l.err != nil {
		l.f.out = l.f.out[:0]
	}
}

func (l *censusLines) flush() error {
	if l.err != nil {
		return l.err
	}
	return l.f.Flush()
}

func (l *censusLines) counts(kind string, at wire.Time, x *part, n *census.Counts) {
	l.head(kind, at, x)
	for _, s := range censusStates {
		l.f.number(&l.line, n[s])
	}
	l.f.number(&l.line, n.Sockets())
	l.f.number(&l.line, n.Open())
	l.f.number(&l.line, x.Connections)
	l.end()
}

// peak writes a line that has a number in one column alone.
func (l *censusLines) peak(x *part, column int, p *census.Peak) {
	if p.Count == 0 {
		return
	}
	kind := "peak"
	if p.Within > 0 {
		kind = "peak-at-least"
	}
	l.head(kind, p.At, x)
	for i := range numberColumns {
		if i == column {
			l.f.number(&l.line, p.Count)
		} else {
			l.line.B = append(l.line.B, l.f.separator)
		}
	}
	l.end()
}
