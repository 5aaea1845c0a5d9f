package reassembly

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// diary is a Watcher that keeps the frames it was shown.
type diary struct {
	views [][]wire.FrameID // by view, from 1
	// siblings counts calls of Sibling.
	siblings int
}

func (d *diary) Begin(_ *wire.Tuple, _ uint32, events []Event) uint32 {
	var frames []wire.FrameID
	for i := range events {
		frames = append(frames, events[i].Frame)
	}
	d.views = append(d.views, frames)
	return uint32(len(d.views))
}

func (d *diary) Watch(view uint32, s *wire.Segment, _ Side) {
	d.views[view-1] = append(d.views[view-1], s.Frame)
}

func (d *diary) Sibling(Kin, Kin, *wire.Segment) { d.siblings++ }

// Whatever comes, the log or the watcher has every segment of a connection, once and
// in order; and the log alone where nothing was folded.
func TestWatcherSeesWhatTheLogDoesNotHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d diary
		observed := map[uint64][]wire.FrameID{}
		tr := New(Config{
			Watch: &d,
			Observed: func(s *wire.Segment, opened uint64, _ Side, _ Marks, _ bool) {
				observed[opened] = append(observed[opened], s.Frame)
			},
			Settled: func(c *Conn, opened uint64) {
				var frames []wire.FrameID
				if c.View != 0 {
					frames = d.views[c.View-1]
				} else {
					log := c.Events
					if len(c.Whole) > 0 {
						log = c.Whole
					}
					for i := range log {
						if log[i].Count != 1 {
							t.Errorf("event %d of a connection that was not watched has %d segments", i, log[i].Count)
						}
						frames = append(frames, log[i].Frame)
					}
				}
				if !slices.Equal(frames, observed[opened]) {
					t.Errorf("connection of frame %d: the watcher or the log has frames %v, the tracker was given %v", c.First, frames, observed[opened])
				}
			},
		})
		at := scriptStart
		s := new(wire.Segment)
		for frame := range rapid.IntRange(1, 300).Draw(t, "frames") {
			at = at.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, time.Minute}).Draw(t, "gap"))
			if frame == 0 || rapid.IntRange(0, 9).Draw(t, "again") != 0 { // else the same frame once more
				b := newScript()
				b.tuple.Encap = wire.EncapID(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "encap"))
				b.send(Side(rapid.IntRange(0, 1).Draw(t, "from")), rapid.SampledFrom([]wire.Flags{syn, synack, ack, ack, ack, psh, psh, fin, rst, wire.FIN, syn | wire.RST}).Draw(t, "flags"),
					uint32(rapid.IntRange(0, 5).Draw(t, "seq")), uint32(rapid.IntRange(0, 5).Draw(t, "ack")), []with{payload(uint32(rapid.IntRange(0, 2).Draw(t, "len")))})
				*s = b.segs[0]
			}
			s.Frame, s.At = wire.NewFrameID(0, uint64(frame+1)), at
			tr.Feed(s)
			tr.Advance(at)
		}
		tr.Flush()
	})
}

// A SYN that is never answered, and one that is refused, cost the watcher nothing,
// however often the SYN comes.
func TestWatcherIsNotAskedForAttempts(t *testing.T) {
	for name, s := range map[string]*script{
		"unanswered": newScript().client(syn, 0, 0).after(time.Second).client(syn, 0, 0).after(2*time.Second).client(syn, 0, 0),
		"refused":    newScript().client(syn, 0, 0).server(rstack, 0, 1),
		"handshake":  newScript().handshake(),
	} {
		var d diary
		tr := New(Config{Watch: &d, Settled: func(*Conn, uint64) {}})
		for i := range s.segs {
			tr.Feed(&s.segs[i])
		}
		if len(d.views) != 0 {
			t.Errorf("%s: the watcher was asked for a view", name)
		}
	}
}

// Connections of one tuple that are held at once are told of each other.
func TestWatcherHearsOfSiblings(t *testing.T) {
	in := func(encap wire.EncapID, s *script) *script {
		s.tuple.Encap = encap
		return s
	}
	two := in(1, newScript()).client(syn, 0, 0)
	for name, s := range map[string]*script{
		"an earlier life":              newScript().handshake().reopen(5000, 6000).client(syn, 0, 0),
		"in two VLANs":                 in(2, two).client(syn, 0, 0),
		"in a VLAN and without":        in(1, newScript().client(syn, 0, 0)).client(syn, 0, 0),
		"without and in a VLAN before": in(0, in(1, newScript()).client(syn, 0, 0)).client(syn, 0, 0),
	} {
		var d diary
		tr := New(Config{Watch: &d, Settled: func(*Conn, uint64) {}})
		for i := range s.segs {
			tr.Feed(&s.segs[i])
		}
		if d.siblings != 1 {
			t.Errorf("%s: told of %d siblings, want 1", name, d.siblings)
		}
	}
}
