package check

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

var _ = registerSection("census", "how many endpoints stand in a state at the end, or at the worst moment", loadCensus)

// censusWanted bounds how many endpoints are in a state.
type censusWanted struct {
	items []*censusItem
}

type censusItem struct {
	head  Verdict
	count *bound
	peak  bool
	state reassembly.State
	// side is reassembly.Side, or both is set. sockets counts endpoints of any state
	// but CLOSED and LISTEN, as netstat lists them.
	side          int
	both, sockets bool
}

const socketsWord = "sockets"

func loadCensus(l *loader, x *Expectations, _, value *yaml.Node) {
	w := &censusWanted{}
	before := len(l.faults)
	states := report.LookupField("final.client").Words
	part := func(peak bool, name string) key {
		return key{name, func(_, v *yaml.Node) {
			l.group(v, name, func(k, v *yaml.Node) {
				i := &censusItem{head: Verdict{What: "census " + name + " " + k.Value, At: l.at(k), Kind: "census"}, peak: peak}
				var state string
				i.side, state, i.both = parseEndpoint(k.Value)
				if i.both && state == socketsWord {
					i.sockets = true
				} else {
					n := slices.Index(states, state)
					if n < 0 || i.side < 0 {
						what := fmt.Sprintf("census: %q is no state", k.Value)
						if near := report.Nearest(state, append([]string{socketsWord}, states...)); near != "" {
							l.fail(k, "%s; did you mean %q?", what, near)
						} else {
							l.fail(k, "%s: give %s or one of %s", what, socketsWord, strings.Join(states, ", "))
						}
						return
					}
					i.state = reassembly.State(n)
				}
				if peak && (!i.both || i.state == reassembly.Closed && !i.sockets) {
					l.fail(k, "census: a peak is that of all endpoints in a state: leave client and server out, and CLOSED")
					return
				}
				if i.count = l.bound(v, k.Value, counts); i.count == nil {
					return
				}
				if i.count.shares() {
					l.fail(resolve(v), "census: %s is a share, and endpoints are counted: give a number", i.count)
					return
				}
				w.items = append(w.items, i)
			})
		}}
	}
	l.keys(value, "census", part(false, "end"), part(true, "peak"))
	if len(l.faults) == before {
		x.wanted = append(x.wanted, w)
	}
}

func (w *censusWanted) begin(r *Run) judge {
	r.census = true
	// What is asked for is the sum over all hosts, so none is told apart.
	return &censusJudge{censusWanted: w, census: census.New(census.Config{Top: 1}), end: make([]samples, len(w.items))}
}

type censusJudge struct {
	*censusWanted
	census *census.Census
	life   census.Life
	end    []samples
}

func (j *censusJudge) see(l *life) {
	j.life.ReadLife(l.states, &l.Tuple)
	j.census.Add(&j.life)
	for i, item := range j.items {
		if item.peak {
			continue
		}
		for side := range l.Final {
			if !l.HasState[side] || !item.both && side != item.side {
				continue
			}
			s := l.Final[side]
			if item.sockets && s != reassembly.Closed && s != reassembly.Listen || !item.sockets && s == item.state {
				j.end[i].add(func() Evidence {
					var list []wire.FrameID
					if n := len(l.stays[side]); n > 0 && l.stays[side][n-1].frame != 0 {
						list = []wire.FrameID{l.stays[side][n-1].frame}
					}
					return l.evidence(list, fmt.Sprintf("the %s is in %s", sides[side], s))
				})
			}
		}
	}
}

func (j *censusJudge) verdicts(s *report.Summary) (all []Verdict) {
	first, last, _ := s.Span()
	result := j.census.Result(first, last)
	for i, item := range j.items {
		v := item.head
		v.Expected = item.count.String()
		n, when := j.end[i].count, ""
		if item.peak {
			peak := result.All.Peak
			if !item.sockets {
				peak = result.States[item.state]
			}
			n = peak.Count
			if n > 0 {
				when = fmt.Sprintf(", %s after the first frame", span(peak.At.Sub(first)))
			}
			if peak.Within > 0 {
				when += fmt.Sprintf(" (at most %d within %s)", peak.AtMost, span(peak.Within))
			}
		}
		ok, over := item.count.holds(n, 0)
		v.Failed, v.Found = !ok, plural(n, "endpoint", "endpoints")+when
		if over && !item.peak {
			j.end[i].into(&v)
		}
		all = append(all, v)
	}
	return all
}
