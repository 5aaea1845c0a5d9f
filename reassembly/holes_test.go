package reassembly

import (
	"maps"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// TestHolesAgainstSet: holes are exact, however many there are, up to their bound.
func TestHolesAgainstSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		next := wire.Seq(rapid.SampledFrom([]uint32{0, 1 << 31, 0x7ffffff0, 0xfffffff0, 12345}).Draw(t, "base"))
		base := next
		var h holes
		want := map[wire.Seq]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"several are made": func(t *rapid.T) {
				for range rapid.IntRange(1, 10).Draw(t, "holes") {
					from := next.Add(rapid.Uint32Range(0, 3).Draw(t, "captured"))
					next = from.Add(rapid.Uint32Range(0, 5).Draw(t, "missed"))
					h.add(from, next)
					for s := from; s != next; s++ {
						want[s] = true
					}
				}
			},
			"one segment fills": func(t *rapid.T) {
				from := base.Add(rapid.Uint32Range(0, uint32(next-base)).Draw(t, "from"))
				to := from.Add(rapid.Uint32Range(0, uint32(next-from)).Draw(t, "length"))
				before := len(want)
				for s := from; s != to; s++ {
					delete(want, s)
				}
				if n := h.remove(from, to); int(n) != before-len(want) {
					t.Fatalf("%d to %d fills %d numbers, told %d", from, to, before-len(want), n)
				}
			},
			"": func(t *rapid.T) {
				checkRanges(t, h.all(), holesMax)
				got := map[wire.Seq]bool{}
				for _, r := range h.all() {
					for s := r.From; s != r.To; s++ {
						got[s] = true
					}
				}
				if !maps.Equal(got, want) {
					t.Fatalf("holes %v", h.all())
				}
			},
		})
	})
}

// TestHolesAtTheBound: what goes for want of room is counted if it was acknowledged, and
// nothing that was captured ever is.
func TestHolesAtTheBound(t *testing.T) {
	var h holes
	const more = 100
	for i := range wire.Seq(holesMax + more) {
		h.add(10*i, 10*i+1)
		h.bound(10*i+1, 10*(more/2), true)
	}
	want(t, "holes", len(h.all()), holesMax)
	list, n, open := h.told(nil, 10*(holesMax+more), true)
	want(t, "ranges told", len(list), rangesMax)
	want(t, "numbers that are missing", n, holesMax+more/2)
	want(t, "another one is open", open, false)
	if _, _, open := h.told(nil, 10*(more/2), true); !open {
		t.Error("nothing is open, though holes were given up that nobody had acknowledged")
	}
	// Splitting one makes room for itself too.
	h = holes{}
	h.add(0, 10_000)
	for i := range wire.Seq(holesMax + more) {
		want(t, "filled", h.remove(10*i+5, 10*i+6), 1)
		h.bound(10_000, 0, false)
	}
	checkRanges(t, h.all(), holesMax)
	want(t, "holes after splitting", len(h.all()), holesMax)
	// Numbers come round.
	h = holes{}
	h.add(5, 10)
	h.bound(5+acceptSpan+1, 10, true)
	want(t, "holes far behind", len(h.all()), 0)
	want(t, "their length", h.acked, 5)
}

// TestHolesStayInOrder: numbers come round to where holes were, or begin anew elsewhere.
func TestHolesStayInOrder(t *testing.T) {
	const far = acceptSpan - 1000
	leap := newScript().handshake()
	for i := range uint32(12) {
		leap.client(psh, 101+i*far, 1, payload(10)).client(psh, 50+i*far, 1, payload(10))
	}
	anew := newScript().client(syn, 0, 0).server(synack, 0, 1).server(psh, 500, 1, payload(10)).server(psh, 800, 1, payload(10))
	// No acknowledgment of the first; another one takes its place, and its numbers are lower.
	anew.isn[Server] = anew.isn[Server].Add(math.MaxUint32 - 5000)
	anew.client(syn, 0, 0).server(synack, 0, 1).server(psh, 300, 1, payload(10)).server(psh, 6000, 1, payload(10)).server(psh, 200, 1, payload(10)).server(psh, 5300, 1, payload(20))
	for name, s := range map[string]*script{"far jumps": leap, "another initial number": anew} {
		t.Run(name, func(t *testing.T) {
			tr := New(Config{Settled: func(*Conn, uint64) {}})
			holed := 0
			for i := range s.segs {
				tr.Feed(&s.segs[i])
				for id := uint32(1); id <= tr.extents.used; id++ {
					h := &tr.extents.at(id).missing
					checkRanges(t, h.all(), holesMax)
					if n := len(h.all()); n > 0 && h.all()[n-1].To.Sub(h.all()[0].From) > acceptSpan {
						t.Fatalf("after segment %d the holes %v span too much", i, h.all())
					}
					holed += len(h.all())
				}
			}
			if holed == 0 {
				t.Error("there are no holes")
			}
			tr.Flush()
		})
	}
}
