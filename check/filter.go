package check

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
)

var _ = registerSection("filters", "how many connections an expression of --filter may hold for", loadFilters)

// filterWanted expects a number of connections for which an expression holds.
type filterWanted struct {
	at     Position
	name   string
	text   string
	filter int
	count  *bound
}

func loadFilters(l *loader, x *Expectations, _, value *yaml.Node) {
	l.list(value, "filters", func(n *yaml.Node) {
		w := &filterWanted{at: l.at(n), filter: -1}
		var has bool
		l.keys(n, "a filter",
			key{"name", func(_, v *yaml.Node) { w.name, _ = l.word(v, "name") }},
			key{"filter", func(_, v *yaml.Node) {
				has = true
				var ok bool
				if w.text, ok = l.word(v, "filter"); ok {
					w.filter = l.filter(x, resolve(v), &selection.Wish{Filters: []string{w.text}})
				}
			}},
			key{"count", func(_, v *yaml.Node) { w.count = l.bound(v, "count", counts) }})
		switch {
		case !has:
			l.fail(n, `a filter needs an expression: filter: close.reason == "abort"`)
		case w.count == nil:
			l.fail(n, "a filter needs a count: how many connections it may hold for, such as count: 0")
		case w.filter >= 0:
			x.wanted = append(x.wanted, w)
		}
	})
}

func (w *filterWanted) begin(r *Run) judge {
	r.deep = true
	return &filterJudge{filterWanted: w, made: r.filters[r.base+w.filter], held: r.base + w.filter}
}

type filterJudge struct {
	*filterWanted
	made    *selection.Selection
	held    int // which of a life's filters it is
	of      uint64
	yes, no samples
}

func (j *filterJudge) see(l *life) {
	j.of++
	s := &j.no
	if l.holds[j.held] {
		s = &j.yes
	}
	s.add(l.closed)
}

func (j *filterJudge) verdicts(*report.Summary) []Verdict {
	what := j.name
	if what == "" {
		what = j.text
	}
	v := Verdict{What: "filter " + what, At: j.at, Kind: "filters", Expected: j.count.String() + " connections for which " + j.text}
	judgeCount(&v, j.count, j.of, &j.yes, &j.no)
	if err := j.made.Fault(); err != nil {
		// A connection of which nobody knows may be the very one that was forbidden.
		v.Failed = true
		v.Found += fmt.Sprintf("; %v", err)
	}
	return []Verdict{v}
}

// judgeCount compares how many of all there are, and shows them where there are too
// many, or the others where there are too few.
func judgeCount(v *Verdict, b *bound, of uint64, yes, no *samples) {
	ok, over := b.holds(yes.count, of)
	v.Found = found(yes.count, of)
	v.Failed = !ok
	switch {
	case ok:
	case over:
		yes.into(v)
	default:
		no.into(v)
	}
}

// found is a number of connections, with its share of all.
func found(n, of uint64) string {
	if of == 0 {
		return "no connection at all"
	}
	return fmt.Sprintf("%d of %d (%s)", n, of, percent(n, of))
}

// percent is a share with as many decimals as it takes not to say 0 or 100 for
// something else.
func percent(n, of uint64) string {
	p := float64(n) / float64(of) * 100
	switch {
	case n == 0 || n == of:
		return fmt.Sprintf("%.0f%%", p)
	case p < 0.1 || p > 99.9:
		return fmt.Sprintf("%.4f%%", p)
	}
	return fmt.Sprintf("%.1f%%", p)
}
