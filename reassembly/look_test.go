package reassembly

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tcplife/tcplife/wire"
)

// TestFeedAt holds places that were asked for long before, for a whole batch of segments,
// beside none at all: meanwhile connections have left, got full records, and left their
// places to others. And beside a tracker that has full records only: of many connections,
// none shows what another one left where it was told.
func TestFeedAt(t *testing.T) {
	n := 3000
	if testing.Short() || raced {
		n = 600
	}
	moved := 0
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		// Twins, told apart by their ports alone: what lands in the place of another goes on
		// there, if nobody looks at the tuple.
		var segs []wire.Segment
		a, b := talkedAbout(2*i).segs, talkedAbout(2*i+1).segs
		for j, p := range [...][]wire.Segment{a, b, a, b} {
			at := 0
			for _, s := range p {
				s.Tuple.SrcPort += uint16(j)
				s.Tuple.DstPort += uint16(j)
				at = min(at+r.IntN(5), len(segs))
				segs = slices.Insert(segs, at, s)
				at++
			}
		}
		tell := func(batch int, full bool) *heard {
			h := &heard{}
			tr := listener(h)
			tr.cfg.full = full
			for from := 0; from < len(segs); from += batch {
				part := segs[from:min(from+batch, len(segs))]
				places := make([]Place, len(part))
				for k := range part {
					s := part[k]
					s.Frame = wire.NewFrameID(0, uint64(from+k+1))
					part[k] = s
					places[k] = tr.Locate(&s, tr.cfg.Seed.Hash(&s.Tuple))
				}
				for k := range part {
					s := part[k]
					hash := tr.cfg.Seed.Hash(&s.Tuple)
					if tr.Locate(&s, hash) != places[k] {
						moved++
					}
					if batch == 1 {
						tr.Feed(&s)
					} else {
						tr.FeedAt(&s, hash, places[k])
					}
				}
			}
			tr.Flush()
			return h.told()
		}
		got, want, full := tell(2+r.IntN(60), false), tell(1, false), tell(1, true)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("course %d, with places (-) and without (+):\n%s", i, cmp.Diff(got.conns, want.conns, cmpopts.EquateComparable(), cmp.AllowUnexported(Transition{}, Idle{}, word{})))
		}
		if !reflect.DeepEqual(got, full) {
			t.Fatalf("course %d, with brief records (-) and with full ones (+):\n%s", i, cmp.Diff(got.conns, full.conns, cmpopts.EquateComparable(), cmp.AllowUnexported(Transition{}, Idle{}, word{})))
		}
	}
	if moved < n {
		t.Errorf("only %d places were others' when it came to them", moved)
	}
}

// TestFeedAtOfTwin: the place of a connection has gone to its twin, which differs by its port
// alone and waits for the same segment.
func TestFeedAtOfTwin(t *testing.T) {
	segs := newScript().handshake().segs
	h := &heard{}
	tr := listener(h)
	syn, synack := segs[0], segs[1]
	tr.Feed(&syn)
	hash := tr.cfg.Seed.Hash(&synack.Tuple)
	place := tr.Locate(&synack, hash)
	again, twin := syn, syn
	again.Frame, twin.Frame, synack.Frame = 2, 3, 4
	twin.Tuple.SrcPort++
	tr.Feed(&again) // which wants a full record
	tr.Feed(&twin)
	if tr.Locate(&twin, tr.cfg.Seed.Hash(&twin.Tuple)) != place {
		t.Fatal("the twin lies elsewhere")
	}
	tr.FeedAt(&synack, hash, place)
	tr.Flush()
	for _, c := range h.told().conns {
		if got, want := c.Ends[Server].Packets, uint64(1); c.Tuple == twin.Tuple {
			if got != 0 {
				t.Errorf("the twin was answered")
			}
		} else if got != want {
			t.Errorf("the server sent %d segments, want %d", got, want)
		}
	}
}

// TestFeedAtOfFar: the place of a connection of IPv6 is taken for that of another one, whose
// address differs in its upper parts alone, and which waits for the same segment.
func TestFeedAtOfFar(t *testing.T) {
	for _, upper := range []wire.Addr{{Hi: 1}, {Lo: 1 << 32}} {
		for _, end := range []Side{Client, Server} {
			far := func(s wire.Segment) wire.Segment {
				s.Tuple.V6 = true
				x := &s.Tuple.Src
				if (s.Flags&wire.ACK == 0) != (end == Client) {
					x = &s.Tuple.Dst
				}
				x.Hi, x.Lo = x.Hi|upper.Hi, x.Lo|upper.Lo<<16
				return s
			}
			segs := newScript().handshake().segs
			h := &heard{}
			tr := listener(h)
			syn, synack := segs[0], segs[1]
			syn.Tuple.V6, synack.Tuple.V6 = true, true
			other, answer := far(syn), far(synack)
			other.Frame, synack.Frame, answer.Frame = 2, 3, 4
			tr.Feed(&syn)
			tr.Feed(&other)
			place := tr.Locate(&syn, tr.cfg.Seed.Hash(&syn.Tuple))
			tr.FeedAt(&answer, tr.cfg.Seed.Hash(&answer.Tuple), place)
			tr.Flush()
			for _, c := range h.told().conns {
				want := uint64(0)
				if c.Tuple == other.Tuple {
					want = 1
				}
				if got := c.Ends[Server].Packets; got != want {
					t.Errorf("%v: the server sent %d segments, want %d", c.Tuple, got, want)
				}
			}
		}
	}
}
