package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
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
	peers    []string // what other tools would say
}

// before orders rows by rank, then by number.
func (r *row) before(q *row) bool {
	if r.rank != q.rank {
		return r.rank < q.rank
	}
	return r.id < q.id
}

func rankOf(d *Digest) rank {
	r := rankRest
	if d.Outcome == reassembly.OutcomeFailure {
		r = rankFailure
	}
	for i := range d.Findings {
		switch d.Findings[i].Severity {
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
	r := row{rank: rankOf(d), id: id, d: *d, findings: findingIDs(d.Findings)}
	if len(f.peers) > 0 {
		r.peers = strings.Split(string(b.AppendTo(nil, id)), "\n")[:len(f.peers)]
	}
	r.d.Findings = nil
	if f.o.All {
		f.rows = append(f.rows, r)
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
	case all:
		title = "All connections"
		slices.SortFunc(rows, func(a, b row) int {
			if a.before(&b) {
				return -1
			}
			return 1
		})
	case p.s.Connections <= maxRows:
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
		p.linef("%s... and %s: --all", indent, plural(more, "more connection", "more connections"))
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

func (p *printer) rows(rows []row) {
	first, _, _ := p.s.Span()
	names := columnNames[:colFindings:colFindings]
	for _, x := range p.peers {
		names = append(names, x.name)
	}
	last := len(names) // the findings: their width varies most
	cells := make([][]string, 0, len(rows)+1)
	cells = append(cells, append(names, columnNames[colFindings]))
	for i := range rows {
		c := rows[i].cells(rows[i].d.Start.Sub(first))
		line := append(c[:colFindings:colFindings], rows[i].peers...)
		cells = append(cells, append(line, c[colFindings]))
	}
	width := make([]int, last+1)
	for _, c := range cells {
		for k := range c {
			width[k] = max(width[k], utf8.RuneCountInString(c[k]))
		}
	}
	total := 0
	for _, w := range width {
		total += w + 2
	}
	two := p.width > 0 && total > p.width
	for i, c := range cells {
		var line strings.Builder
		for k := range c {
			if two && k == colOutcome {
				line.WriteString("\n" + blanks(2+width[colID]))
			}
			s := left(c[k], width[k])
			if k < colCount && columnRight[k] {
				s = right(c[k], width[k])
			}
			switch {
			case i == 0:
				s = p.paint(dim, s)
			case k == colOutcome && rows[i-1].d.Outcome == reassembly.OutcomeFailure:
				s = p.paint(red, s)
			case k == last && rows[i-1].rank < rankFailure:
				s = p.paint([...]string{red, yellow}[rows[i-1].rank], s)
			}
			line.WriteString("  " + s)
		}
		for l := range strings.Lines(line.String()) {
			p.linef("%s", strings.TrimRight(strings.TrimSuffix(l, "\n"), " "))
		}
	}
}

func (r *row) cells(start time.Duration) (c [colCount]string) {
	d := &r.d
	c[colID] = number(r.id)
	c[colTuple] = fmt.Sprintf("%s > %s", d.Tuple.Source(), d.Tuple.Destination())
	c[colStart] = "+" + span(start)
	if start < 0 {
		c[colStart] = span(start)
	}
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
