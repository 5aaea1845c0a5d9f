package check

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/report"
)

var _ = registerSection("capture", "how good the capture must be, so that what it does not show did not happen", loadQuality)

// qualities are what can be asked of a capture. A complete one has none of those that
// say so.
var qualities = []struct {
	name     string
	what     string
	complete bool
	of       func(s *report.Summary) uint64
}{
	{"frames", "frames", false, (*report.Summary).Frames},
	{"segments", "TCP segments", false, (*report.Summary).Segments},
	{"duplicates", "frames that it holds twice", false, func(s *report.Summary) uint64 { return s.Quality.Duplicates }},
	{"missing_bytes", "octets that were acknowledged and never captured", true, func(s *report.Summary) uint64 { return s.Quality.MissingBytes }},
	{"mid_stream", "connections that began before it", true, func(s *report.Summary) uint64 { return s.Quality.MidStream }},
	{"one_sided", "connections of which one direction is missing", true, func(s *report.Summary) uint64 { return s.Quality.OneSided }},
	{"dropped", "frames that the capturing host says it lost", true, func(s *report.Summary) (n uint64) {
		for i := range s.Inputs {
			for _, f := range s.Inputs[i].Interfaces {
				if f.Counted {
					n += f.Dropped
				}
			}
		}
		return n
	}},
	{"damaged", "damaged places", true, func(s *report.Summary) (n uint64) {
		for i := range s.Inputs {
			n += max(s.Inputs[i].Damaged, uint64(len(s.Inputs[i].Damage)))
		}
		return n
	}},
	{"snapped", "frames that were cut short", false, func(s *report.Summary) (n uint64) {
		for i := range s.Inputs {
			n += s.Inputs[i].Snapped
		}
		return n
	}},
	{"backwards", "frames earlier than the one before", false, func(s *report.Summary) (n uint64) {
		for i := range s.Inputs {
			n += s.Inputs[i].Backwards
		}
		return n
	}},
	{"evicted", "connections that left early for want of memory", true, func(s *report.Summary) uint64 { return s.Limits.Evicted }},
}

type qualityWanted struct{ items []qualityItem }

type qualityItem struct {
	head  Verdict
	count *bound
	which int
}

func loadQuality(l *loader, x *Expectations, _, value *yaml.Node) {
	w := &qualityWanted{}
	before := len(l.faults)
	want := func(k *yaml.Node, i int, b *bound) {
		w.items = append(w.items, qualityItem{Verdict{What: "capture " + qualities[i].name, At: l.at(k), Kind: "capture"}, b, i})
	}
	keys := []key{{"complete", func(k, v *yaml.Node) {
		if _, ok := l.oneOf(v, "complete", []string{"true"}); !ok {
			return
		}
		for i := range qualities {
			if qualities[i].complete {
				want(k, i, &bound{text: "0", conditions: []condition{{op: "="}}})
			}
		}
	}}}
	for i, q := range qualities {
		keys = append(keys, key{q.name, func(k, v *yaml.Node) {
			b := l.bound(v, q.name, counts)
			if b != nil && b.shares() {
				l.fail(resolve(v), "capture: %s is a share, and %s are counted: give a number", b, q.what)
			} else if b != nil {
				want(k, i, b)
			}
		}})
	}
	l.keys(value, "capture", keys...)
	if len(l.faults) == before {
		x.wanted = append(x.wanted, w)
	}
}

func (w *qualityWanted) begin(*Run) judge { return w }

func (w *qualityWanted) see(*life) {}

func (w *qualityWanted) verdicts(s *report.Summary) (all []Verdict) {
	for _, i := range w.items {
		q := &qualities[i.which]
		n := q.of(s)
		ok, _ := i.count.holds(n, 0)
		v := i.head
		v.Expected, v.Failed, v.Found = i.count.String()+" "+q.what, !ok, fmt.Sprintf("%d", n)
		all = append(all, v)
	}
	return all
}
