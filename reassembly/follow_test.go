package reassembly

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tcplife/tcplife/wire"
)

// TestLookChangesNothing: what a tracker tells when connections settle is the same
// whether somebody has looked at them before or not.
func TestLookChangesNothing(t *testing.T) {
	n := 12000
	if testing.Short() || raced {
		n = 3000
	}
	for i := range n {
		c := talkedAbout(i)
		r := rand.New(rand.NewPCG(uint64(i), 2))
		got, gotShown := c.tellWith(i%5 == 0, func(tr *Tracker) {
			switch r.IntN(3) {
			case 0:
				tr.Changed(1+r.IntN(3), func(*Conn, uint64) {})
			case 1:
				for _, id := range tr.inOrder() {
					key := tr.keyAt(id)
					tuple := key.tuple(r.IntN(2) == 0)
					if !tr.Peek(&tuple, tr.stampOf(id), func(*Conn, uint64) {}) {
						t.Fatalf("course %d: a connection that is held cannot be looked at", i)
					}
				}
			}
		})
		want, wantShown := c.tell(i%5 == 0)
		if got.opened != want.opened || len(got.conns) != len(want.conns) || !reflect.DeepEqual(got.late, want.late) || !reflect.DeepEqual(gotShown.shown, wantShown.shown) {
			t.Fatalf("course %d: %d opened, %d settled, late %v; without looks %d, %d, %v\n%s", i, got.opened, len(got.conns), got.late, want.opened, len(want.conns), want.late, c)
		}
		for j := range got.conns {
			if !reflect.DeepEqual(got.conns[j], want.conns[j]) {
				t.Fatalf("course %d, with looks (-) and without (+):\n%s\nof\n%s", i,
					cmp.Diff(got.conns[j], want.conns[j], cmpopts.EquateComparable(), cmp.AllowUnexported(Transition{}, Idle{}, word{})), c)
			}
		}
	}
}

// TestLookIsTheEnd: a look shows what would be handed out if the input ended then, of
// every connection that has changed.
func TestLookIsTheEnd(t *testing.T) {
	n := 6000
	if testing.Short() || raced {
		n = 1500
	}
	for i := range n {
		c := talkedAbout(i)
		r := rand.New(rand.NewPCG(uint64(i), 3))
		cut := r.IntN(len(c.segs)) + 1
		c.segs, c.ticks, c.ahead, c.watched = c.segs[:cut], c.ticks[:cut], c.ahead[:cut], false
		looks := map[uint64]Conn{}
		note := func(c *Conn, stamp uint64) { looks[stamp] = keep(c) }
		h := &heard{}
		tr := listener(h)
		tr.cfg.Follow, tr.cfg.full = true, i%5 == 0
		for j := range c.segs {
			s := c.segs[j]
			tr.Feed(&s)
			if c.ticks[j] {
				tr.Advance(s.At)
			}
			if r.IntN(3) == 0 {
				for tr.Changed(1, note) > 0 {
				}
			}
		}
		tr.Changed(1<<20, note)
		for _, id := range tr.inOrder() {
			key, stamp := tr.keyAt(id), tr.stampOf(id)
			// Time alone changes what a timer did; that is asked for with Peek.
			if looks[stamp].Last != lastOf(tr, id) {
				t.Fatalf("course %d: the last look at %d was at frame %v, and frame %v came after it\n%s", i, stamp, looks[stamp].Last, lastOf(tr, id), c)
			}
			tuple := key.tuple(true)
			tr.Peek(&tuple, stamp, note)
		}
		seen := map[uint64]bool{}
		tr.cfg.Settled = func(c *Conn, stamp uint64) {
			got, want := looks[stamp], keep(c)
			seen[stamp] = true
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("course %d: the look (-) and the end (+):\n%s", i, cmp.Diff(got, want, cmpopts.EquateEmpty(), cmpopts.EquateComparable(), cmp.AllowUnexported(Transition{}, Idle{}, word{})))
			}
		}
		open := tr.Open()
		tr.Flush()
		if len(seen) != open {
			t.Fatalf("course %d: %d of %d were handed out", i, len(seen), open)
		}
	}
}

func lastOf(tr *Tracker, id uint32) wire.FrameID {
	if id&shortBits == 0 {
		return tr.recs.at(id).lastFrame
	}
	b, last := tr.briefOf(id), wire.FrameID(0)
	tr.segments(b, func(s *wire.Segment, _ Side) { last = s.Frame })
	return last
}
