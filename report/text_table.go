package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// rank says how much a connection deserves a line.
type rank uint8

const (
	rankError rank = iota
	rankWarning
	rankFailure
	rankRest
)

// row is one connection of the list. Its digest holds no findings: they would keep
// alive much more than the line needs.
type row struct {
	rank     rank
	id       uint64
	d        Digest
	findings string
	// cells are those that Encode wrote: what other tools would say, or all columns.
	cells []string
}

// before orders rows by rank, then by number.
func (r *row) before(q *row) bool {
	if r.rank != q.rank {
		return r.rank < q.rank
	}
	return r.id < q.id
}

func rankOf(o reassembly.Outcome, found []finding.Finding) rank {
	r := rankRest
	if o == reassembly.OutcomeFailure {
		r = rankFailure
	}
	for i := range found {
		switch found[i].Severity {
		case finding.Error:
			return rankError
		case finding.Warning:
			r = rankWarning
		}
	}
	return r
}

// alike reports whether two rows tell the same story.
func (r *row) alike(q *row) bool {
	return r.rank == q.rank && r.findings == q.findings && r.d.Reason == q.d.Reason
}

// Add keeps the connection if it may be listed: all of them on demand, otherwise
// the first maxRows by rank. A host that resets everything must not hide the one
// connection that failed for another reason, so only maxAlike of a kind are kept.
func (f *text) Add(id uint64, d *Digest, b *Buffer) error {
	r := row{rank: rankOf(d.Outcome, d.Findings), id: id, d: *d, findings: findingIDs(d.Findings)}
	if n := len(f.peers) + len(f.columns); n > 0 {
		r.cells = strings.Split(string(b.AppendTo(nil, id)), "\n")[:n]
	}
	r.d.Findings = nil
	if f.o.All || f.o.Order != "" {
		f.rows = append(f.rows, r)
		return nil
	}
	if f.o.Limit > 0 {
		if f.rows = append(f.rows, r); len(f.rows) >= 2*f.o.Limit+1024 {
			f.cut()
		}
		return nil
	}
	if len(f.few) < maxRows {
		f.few = insert(f.few, r)
	}
	if r.rank == rankRest {
		return nil
	}
	alike, last := 0, 0
	for i := range f.rows {
		if f.rows[i].alike(&r) {
			alike, last = alike+1, i
		}
	}
	if alike == maxAlike {
		if f.rows[last].before(&r) {
			return nil
		}
		f.rows = slices.Delete(f.rows, last, last+1)
	}
	f.rows = insert(f.rows, r)
	f.rows = f.rows[:min(len(f.rows), maxRows)]
	return nil
}

// cut keeps the first rows by rank, as many as were asked for.
func (f *text) cut() {
	slices.SortFunc(f.rows, func(a, b row) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	f.rows = f.rows[:min(len(f.rows), f.o.Limit)]
}

// insert puts r at its place among ordered rows.
func insert(rows []row, r row) []row {
	at := len(rows)
	for at > 0 && r.before(&rows[at-1]) {
		at--
	}
	return slices.Insert(rows, at, r)
}

// findingIDs joins the ids, each once, gravest first.
func findingIDs(fs []finding.Finding) string {
	var ids []string
	for sev := finding.Error + 1; sev > 0; sev-- {
		for i := range fs {
			if fs[i].Severity == sev-1 && !slices.Contains(ids, fs[i].Rule.ID) {
				ids = append(ids, fs[i].Rule.ID)
			}
		}
	}
	return strings.Join(ids, " ")
}

// table lists connections, one line each.
func (p *printer) table(rows []row, all bool) {
	title := "Connections worth a look"
	switch {
	case p.o.Order != "":
		title = "Connections by " + strings.TrimPrefix(p.o.Order, "-")
		if strings.HasPrefix(p.o.Order, "-") {
			title += ", the largest first"
		}
	case all:
		title = "All connections"
		slices.SortFunc(rows, func(a, b row) int {
			if a.before(&b) {
				return -1
			}
			return 1
		})
	case p.s.Connections <= uint64(len(rows)):
		title = "Connections"
	}
	if len(rows) > 0 {
		p.heading(title)
		p.rows(rows)
	}
	if more := p.s.Connections - min(p.s.Connections, uint64(len(rows))); more > 0 && !all {
		indent := "  "
		if len(rows) == 0 {
			indent = "\n"
		}
		p.item(indent, "    ", "... and "+plural(more, "more connection", "more connections")+": --limit or --all")
	}
}

// The table's columns; those up to colBytes stand on the first line where one line
// is too narrow for all of them.
const (
	colID = iota
	colTuple
	colStart
	colLength
	colPackets
	colBytes
	colOutcome
	colReason
	colCloser
	colStates
	colFindings
	colCount
)

var columnNames = [colCount]string{"#", "client > server", "start", "lasted", "packets", "bytes", "outcome", "close", "closed by", "client, server state", "findings"}

// columnRight marks columns of numbers.
var columnRight = [colCount]bool{colID: true, colStart: true, colLength: true, colPackets: true, colBytes: true}

// rows writes the table: the usual columns with what other tools would say before the
// findings, or those that were asked for.
func (p *printer) rows(rows []row) {
	g := grid{}
	if p.o.Columns != nil {
		for i := range p.o.Columns {
			g.heads = append(g.heads, p.o.Columns[i].Head)
			g.right = append(g.right, p.o.Columns[i].number())
		}
		for i := range rows {
			g.rows = append(g.rows, gridRow{cells: rows[i].cells})
		}
		p.grid(&g)
		return
	}
	first, _, _ := p.s.Span()
	g.heads = append(g.heads, columnNames[:colFindings]...)
	g.right = append(g.right, columnRight[:colFindings]...)
	for _, x := range p.peers {
		g.heads, g.right = append(g.heads, x.name), append(g.right, false)
	}
	for i := range p.columns {
		g.heads, g.right = append(g.heads, p.columns[i].Head), append(g.right, p.columns[i].number())
	}
	last := len(g.heads) // the findings: their width varies most
	g.heads, g.right = append(g.heads, columnNames[colFindings]), append(g.right, false)
	g.split = colOutcome
	for i := range rows {
		r := &rows[i]
		c := r.usual(p.when(rows, i, first))
		line := gridRow{cells: append(append(c[:colFindings:colFindings], r.cells...), c[colFindings]), colors: make([]string, last+1)}
		if r.d.Outcome == reassembly.OutcomeFailure {
			line.colors[colOutcome] = red
		}
		if r.rank < rankFailure {
			line.colors[last] = [...]string{red, yellow}[r.rank]
		}
		g.rows = append(g.rows, line)
	}
	p.grid(&g)
}

// when says when a row's connection began, as was asked for.
func (p *printer) when(rows []row, i int, first wire.Time) string {
	start := rows[i].d.Start
	switch {
	case p.o.Times == TimesAbsolute:
		return p.o.clock(start)
	case p.o.Times == TimesDelta && i > 0:
		first = rows[i-1].d.Start
	}
	if start < first {
		return span(start.Sub(first))
	}
	return "+" + span(start.Sub(first))
}

// usual are the usual cells of a row.
func (r *row) usual(start string) (c [colCount]string) {
	d := &r.d
	c[colID] = number(r.id)
	c[colTuple] = fmt.Sprintf("%s > %s", d.Tuple.Source(), d.Tuple.Destination())
	c[colStart] = start
	c[colLength] = span(d.End.Sub(d.Start))
	c[colPackets] = number(d.Packets[0] + d.Packets[1])
	c[colBytes] = octets(d.Bytes[0] + d.Bytes[1])
	c[colOutcome] = d.Outcome.String()
	c[colReason] = d.Reason.String()
	c[colCloser] = "-"
	if d.HasCloser {
		c[colCloser] = d.Closer.String() + " " + strings.ToUpper(d.By)
	}
	var states [2]string
	for i := range states {
		states[i] = "?"
		if d.HasState[i] {
			states[i] = d.Final[i].String()
		}
	}
	c[colStates] = states[0] + ", " + states[1]
	c[colFindings] = r.findings
	return c
}
