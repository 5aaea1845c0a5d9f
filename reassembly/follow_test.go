package reassembly

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tcplife/tcplife/wire"
)

// TestLookChangesNothing: what a tracker tells when connections settle is the same
// whether somebody has looked at them before or not.
func TestLookChangesNothing(t *testing.T) {
	n := 12000
	if testing.Short() {
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
	if testing.Short() {
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
	if id&briefBit == 0 {
		return tr.recs.at(id).lastFrame
	}
	b, last := tr.briefs.at(id&^briefBit), wire.FrameID(0)
	tr.segments(b, func(s *wire.Segment, _ Side) { last = s.Frame })
	return last
}

// TestEvict: attempts leave before what is over, that before what is open, and of equals
// those that were heard of the longest ago; nothing leaves while there is room.
func TestEvict(t *testing.T) {
	var left []string
	tr := New(Config{Settled: func(c *Conn, _ uint64) {
		if c.Ended != EndedEvicted {
			t.Errorf("it left as %v", c.Ended)
		}
		left = append(left, c.Tuple.Source().String())
	}})
	at := time.Duration(0)
	feed := func(port uint16, scripts ...*script) {
		for _, s := range scripts {
			for _, seg := range s.segs {
				seg.At = scriptStart.Add(at)
				at += time.Millisecond
				if seg.Tuple.SrcPort == 40000 {
					seg.Tuple.SrcPort = port
				} else {
					seg.Tuple.DstPort = port
				}
				tr.Feed(&seg)
			}
		}
	}
	feed(1, newScript().handshake())                                 // open, the oldest
	feed(2, newScript().handshake().clientCloses())                  // closed
	feed(3, newScript().client(syn, 0, 0))                           // an attempt
	feed(4, newScript().handshake())                                 // open
	feed(5, newScript().handshake().client(rstack, 1, 1))            // reset
	feed(6, newScript().client(syn, 0, 0).client(syn, 0, 0))         // an attempt
	feed(1, newScript().client(psh, 1, 1, payload(3)))               // the oldest says something
	feed(7, newScript().handshake().client(psh, 1, 1, payload(100))) // open
	for limit := 7; limit >= 0; limit-- {
		if got, want := tr.Evict(limit), min(1, 7-limit); got != want {
			t.Fatalf("Evict(%d) let %d go, want %d", limit, got, want)
		}
	}
	want := []string{"10.0.0.1:3", "10.0.0.1:6", "10.0.0.1:2", "10.0.0.1:5", "10.0.0.1:4", "10.0.0.1:1", "10.0.0.1:7"}
	if !reflect.DeepEqual(left, want) {
		t.Errorf("they left in the order %v, want %v", left, want)
	}
	if tr.Open() != 0 {
		t.Errorf("%d are left", tr.Open())
	}
}
