package reassembly

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

var (
	simRuns = flag.Int("sim.runs", 2500, "worlds to simulate at each loss")
	simSeed = flag.Int64("sim.seed", -1, "simulate this world alone and print it")
	simMode = flag.String("sim.path", "", "only the paths whose name contains this")
	simAll  = flag.Bool("sim.v", false, "print a small example of each kind of difference")
)

// verdict is what the truth says about what was inferred of one host.
type verdict struct {
	order  bool // the order of states is right, as far as a tap can know
	strict bool // without mercy for hypotheses
	falses []string
	shown  int // transitions that an own captured segment shows,
	proven int // and those of them that are given as sent or acked
	kernel string
	told   string
}

// slack is by how much a host's clock and the path's may differ.
const slack = 1500 * time.Microsecond

// verdictOn compares a host's steps with a timeline:
//
//   - order: the states' sequences are equal, but for those that the host left
//     within the processing of one segment, that no captured packet caused or
//     followed, and for hypotheses that no later segment of the host could confirm
//     or refute: assumed before the first certain entry, passed and timer from its
//     last captured segment on, at most two of a kind;
//   - false certainty: an entry with evidence sent that the host did not have when
//     the named frame was sent, or one with acked that it did not have at any time
//     from that frame to the next entry.
func (w *world) verdictOn(h *host, c *Conn) (v verdict) {
	var mine []Transition
	if c != nil {
		for _, t := range c.Ends[h.sideIn(c)].Timeline {
			if t.At <= w.end.Add(time.Millisecond) || t.Frame != 0 {
				mine = append(mine, t)
			}
		}
	}
	var want, bare, got, gotBare []maybe
	for i, s := range h.steps {
		brief := i+1 < len(h.steps) && h.steps[i+1].at.Sub(s.at) < time.Millisecond && s.rx != nil && s.rx == h.steps[i+1].rx
		seen := s.rx != nil && s.rx.frame > 0 || s.tx != nil && s.tx.captured
		want = append(want, maybe{s.state, brief || !seen})
		bare = append(bare, maybe{s.state, brief})
		v.kernel += fmt.Sprint(" ", s.state)
		if brief || !seen {
			v.kernel += "?"
		}
	}
	last, quiet := 0, wire.Time(0)
	for _, p := range w.packets {
		if p.from == h.side {
			last, quiet = p.frame, p.tapped
		}
	}
	left := map[Evidence]int{Passed: 2, Timer: 2, Assumed: 2}
	sure := false
	for _, t := range mine {
		sure = sure || t.Evidence == Sent || t.Evidence == Acked
		ok := left[t.Evidence] > 0 && (t.Evidence == Assumed && !sure ||
			t.Evidence == Passed && t.Frame != 0 && int(t.Frame.Number()) >= last ||
			t.Evidence == Timer && t.Frame == 0 && t.At >= quiet)
		if ok {
			left[t.Evidence]--
		}
		got = append(got, maybe{t.State, ok})
		gotBare = append(gotBare, maybe{t.State, false})
		v.told += fmt.Sprintf(" %v[%v]", t.State, t.Evidence)
	}
	v.order, v.strict = agree(want, got), agree(bare, gotBare)
	for i, t := range mine {
		if t.Evidence != Sent && t.Evidence != Acked {
			continue
		}
		since, until := w.moment(t)
		if t.Evidence == Acked {
			next := w.end
			if i+1 < len(mine) {
				_, next = w.moment(mine[i+1])
			}
			until = max(until, next)
		}
		if !h.had(t.State, since.Add(-slack), until.Add(slack)) {
			v.falses = append(v.falses, fmt.Sprintf("%v [%v] of frame %d", t.State, t.Evidence, t.Frame.Number()))
		}
	}
	claimed := map[State]int{}
	for _, t := range mine {
		if t.Evidence == Sent || t.Evidence == Acked {
			claimed[t.State]++
		}
	}
	for _, s := range h.steps {
		if s.tx != nil && s.tx.captured {
			v.shown++
			if claimed[s.state] > 0 {
				claimed[s.state]--
				v.proven++
			}
		}
	}
	return v
}

// sideIn is the host's role in a connection: of two that open simultaneously the
// one whose SYN passes first is taken for the client.
func (h *host) sideIn(c *Conn) Side {
	if c.Tuple.Src == simTuple.Src {
		return h.side
	}
	return h.side.Peer()
}

// moment is when the frame of an entry left its sender and was at the other side.
func (w *world) moment(t Transition) (sent, delivered wire.Time) {
	if t.Frame == 0 {
		return t.At, t.At
	}
	p := w.packets[t.Frame.Number()-1]
	return p.at, max(p.delivered, p.tapped)
}

// had reports whether the host was in a state at any time of the span.
func (h *host) had(state State, since, until wire.Time) bool {
	was := Closed
	for _, s := range h.steps {
		if s.at > since && was == state {
			return true
		}
		if s.at > until {
			return false
		}
		was = s.state
		if s.at >= since && was == state {
			return true
		}
	}
	return was == state
}

// maybe is a state that may be left out.
type maybe struct {
	state State
	skip  bool
}

// agree reports whether two sequences are equal but for what may be left out.
// CLOSED at the start is implied.
func agree(want, got []maybe) bool {
	for len(got) > 0 && got[0].state == Closed {
		got = got[1:]
	}
	type place struct{ i, j int }
	reach, seen := []place{{0, 0}}, map[place]bool{}
	for len(reach) > 0 {
		p := reach[len(reach)-1]
		reach = reach[:len(reach)-1]
		if seen[p] {
			continue
		}
		seen[p] = true
		i, j := p.i, p.j
		if i == len(want) && j == len(got) {
			return true
		}
		if i < len(want) && j < len(got) && want[i].state == got[j].state {
			reach = append(reach, place{i + 1, j + 1})
		}
		if i < len(want) && want[i].skip {
			reach = append(reach, place{i + 1, j})
		}
		if j < len(got) && (got[j].skip || j > 0 && got[j].state == got[j-1].state) {
			reach = append(reach, place{i, j + 1})
		}
	}
	return false
}

// watch runs a world and gives its tap to a tracker.
func (w *world) watch() *heard {
	w.run()
	h := &heard{}
	t := listener(h)
	for i := range w.tap {
		t.Feed(&w.tap[i])
		t.Advance(w.tap[i].At)
	}
	t.Advance(w.end)
	t.Flush()
	return h
}

// TestSimulatedTruth judges the inference by hosts whose states are known: what is
// given as certain must be true, always, and the order of states right nearly
// always.
func TestSimulatedTruth(t *testing.T) {
	for _, tt := range []struct {
		name   string
		path   path
		least  float64 // share of endpoints, in percent, whose order must be right
		falses int     // false certainties that are still told in 2500 worlds; to become 0, never more
	}{
		{"clean", path{}, 99.5, 0},
		{"reordered", path{reordered: 0.05, doubled: 0.02}, 99, 0},
		{"loss 2 %", path{before: 0.01, behind: 0.01}, 99, 0},
		{"loss 5 %", path{before: 0.025, behind: 0.025, doubled: 0.01, reordered: 0.01}, 98.5, 0},
		{"loss 15 %", path{before: 0.075, behind: 0.075}, 97, 2},
		{"missed 2 %", path{missed: 0.02}, 98, 0},
	} {
		if !strings.Contains(tt.name, *simMode) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			if *simSeed >= 0 {
				showWorld(t, uint64(*simSeed), tt.path)
				return
			}
			var ends, right, strict, shown, proven, falses, extra int
			type example struct {
				seed   uint64
				frames int
				count  int
				text   string
			}
			kinds := map[string]*example{}
			note := func(kind string, seed uint64, w *world, text string) {
				e := kinds[kind]
				if e == nil {
					e = &example{frames: 1 << 30}
					kinds[kind] = e
				}
				e.count++
				if n := len(w.tap); n < e.frames {
					e.seed, e.frames, e.text = seed, n, text
				}
			}
			for seed := range uint64(*simRuns) {
				w := newWorld(seed, tt.path)
				h := w.watch()
				if len(w.tap) == 0 {
					continue
				}
				if len(h.conns) != 1 {
					extra += len(h.conns) - 1
					note(fmt.Sprintf("%d connections", len(h.conns)), seed, w, "")
				}
				for side, host := range w.hosts {
					if len(host.steps) == 0 && len(h.conns[0].Ends[host.sideIn(&h.conns[0])].Timeline) == 0 {
						continue
					}
					v := w.verdictOn(host, &h.conns[0])
					ends++
					shown += v.shown
					proven += v.proven
					if v.strict {
						strict++
					}
					text := "true" + v.kernel + " | told" + v.told
					if v.order {
						right++
					} else {
						note(fmt.Sprintf("order: %v%s", Side(side), strings.ReplaceAll(text, "?", "")), seed, w, text)
					}
					for _, f := range v.falses {
						falses++
						note("false certainty: "+strings.Split(f, " of")[0], seed, w, f+": "+text)
					}
				}
			}
			percent := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
			t.Logf("%d endpoints: order %.2f %% (strict %.2f %%), certain %.2f %%, %d false certainties, %d extra connections",
				ends, percent(right, ends), percent(strict, ends), percent(proven, shown), falses, extra)
			if percent(right, ends) < tt.least {
				t.Errorf("order %.2f %%, want %.1f", percent(right, ends), tt.least)
			}
			if most := tt.falses * max(*simRuns, 2500) / 2500; falses > most {
				t.Errorf("%d false certainties, want %d at most", falses, most)
			}
			if extra > 0 {
				t.Errorf("%d extra connections, want none", extra)
			}
			var names []string
			for k := range kinds {
				names = append(names, k)
			}
			slices.SortFunc(names, func(a, b string) int {
				if kinds[a].count != kinds[b].count {
					return kinds[b].count - kinds[a].count
				}
				return strings.Compare(a, b)
			})
			for _, k := range names {
				e := kinds[k]
				if *simAll || strings.HasPrefix(k, "false") {
					t.Logf("%4d x %s\n  smallest: -sim.seed %d, %d frames\n  %s", e.count, k, e.seed, e.frames, e.text)
				}
			}
		})
	}
}

func showWorld(t *testing.T, seed uint64, p path) {
	w := newWorld(seed, p)
	h := w.watch()
	t.Logf("\n%v", w)
	for i := range h.conns {
		c := &h.conns[i]
		t.Logf("responses %v %v", c.Ends[0].Response, c.Ends[1].Response)
		for side, host := range w.hosts {
			v := w.verdictOn(host, c)
			t.Logf("%v: order %v, false %q\n  true%s\n  told %s", Side(side), v.order, v.falses, v.kernel, timeline(c, host.sideIn(c)))
		}
	}
}
