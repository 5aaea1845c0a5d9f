package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

var (
	_ = registerGroups("text", (*groupPrint).text)
	_ = registerGroups("markdown", (*groupPrint).markdown)
)

// maxGroupRows are printed for a reader who asked for no number.
const maxGroupRows = 40

// shown are the numbers that a reader gets; all of them are in the other formats.
var shown = []struct {
	over, head string
	cell       func(g *group, total uint64) string
}{
	{"", "conns", func(g *group, _ uint64) string { return number(g.connections) }},
	{"", "share", func(g *group, total uint64) string { return percent(g.connections, total) }},
	{"", "failed", func(g *group, _ uint64) string { return number(g.failed) }},
	{"sent by", "client", func(g *group, _ uint64) string { return octets(g.bytes[0]) }},
	{"sent by", "server", func(g *group, _ uint64) string { return octets(g.bytes[1]) }},
	{"lasted", "p50", func(g *group, _ uint64) string { return sampleSpan(&g.duration, 50) }},
	{"lasted", "p90", func(g *group, _ uint64) string { return sampleSpan(&g.duration, 90) }},
	{"lasted", "max", func(g *group, _ uint64) string { return sampleSpan(&g.duration, 100) }},
	{"round trip", "p50", func(g *group, _ uint64) string { return sampleSpan(&g.rtt, 50) }},
	{"round trip", "p90", func(g *group, _ uint64) string { return sampleSpan(&g.rtt, 90) }},
	{"round trip", "max", func(g *group, _ uint64) string { return sampleSpan(&g.rtt, 100) }},
}

// shownLasted is the first column of shown that may stand on a second line.
const shownLasted = 5

func sampleSpan(s *sample, p uint64) string {
	if s.count() == 0 {
		return "-"
	}
	return span(s.percentile(p))
}

// percent prints n of total with as many digits as a reader wants.
func percent(n, total uint64) string {
	if total == 0 {
		return "-"
	}
	p := float64(n) * 100 / float64(total)
	if p > 0 && p < 9.95 {
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + "%"
}

// human prints a group's key for a reader.
func (k *GroupKey) human(v Value, o *Options) string {
	switch {
	case v.Kind == KindUnknown || v.Kind == KindText && v.Text == "":
		return "-"
	case k.step > 0 && v.Kind == KindInstant:
		t := o.in(wire.Time(v.N))
		if k.step < time.Minute {
			return t.Format("2006-01-02 15:04:05")
		}
		return t.Format("2006-01-02 15:04")
	case k.Name == "service":
		if name := ServiceName(uint16(v.N)); name != "" {
			return fmt.Sprintf("%d (%s)", v.N, name)
		}
		return strconv.FormatInt(v.N, 10)
	}
	return humanValue(k.field, v, o)
}

// number reports whether the key's values stand on the right.
func (k *GroupKey) number() bool {
	return k.Name != "service" && k.step == 0 && (&Column{field: k.field}).number()
}

// listed says what the rows of groups are of.
func (p *groupPrint) title() string {
	var names []string
	lists := false
	for i := range p.keys {
		names = append(names, p.keys[i].Name)
		lists = lists || p.keys[i].field.Kind == KindList
	}
	s := plural(p.total, "connection", "connections") + " by " + list(names) + ": " + plural(p.all, "group", "groups")
	if lists {
		s += " (a connection may be in several)"
	}
	return s
}

func (p *groupPrint) rowsFor(limit int) (rows []*group, more uint64) {
	rows = p.groups
	if limit > 0 {
		rows = rows[:min(len(rows), limit)]
	}
	return rows, p.all - uint64(len(rows))
}

func (p *groupPrint) text() error {
	t := printer{canvas: p.o.canvas(), s: p.s, o: p.o, multi: len(p.o.Inputs) > 1}
	if p.o.Further {
		t.WriteByte('\n')
	}
	t.read(true)
	if p.s.Connections == 0 {
		t.nothing()
	} else {
		t.heading(p.title())
		limit := 0
		if !p.o.All && p.o.Limit == 0 {
			limit = maxGroupRows
		}
		rows, more := p.rowsFor(limit)
		g := grid{split: len(p.keys) + shownLasted}
		for i := range p.keys {
			g.heads, g.over, g.right = append(g.heads, p.keys[i].Name), append(g.over, ""), append(g.right, p.keys[i].number())
		}
		for _, c := range shown {
			g.heads, g.over, g.right = append(g.heads, c.head), append(g.over, c.over), append(g.right, true)
		}
		add := func(keys []string, x *group) {
			row := gridRow{cells: keys, colors: make([]string, len(g.heads))}
			for _, c := range shown {
				row.cells = append(row.cells, c.cell(x, p.total))
			}
			if x.failed > 0 {
				row.colors[len(p.keys)+2] = red
			}
			g.rows = append(g.rows, row)
		}
		for _, x := range rows {
			var keys []string
			for i := range p.keys {
				keys = append(keys, p.keys[i].human(x.key[i], p.o))
			}
			add(keys, x)
		}
		if p.others != nil && more == 0 {
			keys := make([]string, len(p.keys))
			keys[0] = "(others)"
			add(keys, p.others)
		}
		t.grid(&g)
		if more > 0 {
			t.item("  ", "    ", "... and "+plural(more, "more group", "more groups")+": --limit or --all")
		}
		if p.folded > 0 {
			t.prose("  ", "  ", "There were more groups than are kept apart: those with the fewest connections are counted as others, and what came back after that is counted anew.")
		}
	}
	_, err := io.WriteString(p.w, t.finish())
	return err
}

func (p *groupPrint) markdown() error {
	var b strings.Builder
	for i := range p.keys {
		b.WriteString("| " + p.keys[i].Name + " ")
	}
	for _, c := range shown {
		b.WriteString("| " + strings.TrimSpace(c.over+" "+c.head) + " ")
	}
	b.WriteString("|\n")
	for i := range p.keys {
		if p.keys[i].number() {
			b.WriteString("| ---: ")
		} else {
			b.WriteString("| --- ")
		}
	}
	b.WriteString(strings.Repeat("| ---: ", len(shown)) + "|\n")
	for _, x := range p.groups {
		for i := range p.keys {
			b.WriteString("| " + markdownText(p.keys[i].human(x.key[i], p.o)) + " ")
		}
		for _, c := range shown {
			b.WriteString("| " + c.cell(x, p.total) + " ")
		}
		b.WriteString("|\n")
	}
	if p.others != nil {
		b.WriteString("| (others) " + strings.Repeat("| ", len(p.keys)-1))
		for _, c := range shown {
			b.WriteString("| " + c.cell(p.others, p.total) + " ")
		}
		b.WriteString("|\n")
	}
	b.WriteString("\n" + p.title() + ".\n")
	_, err := io.WriteString(p.w, b.String())
	return err
}
