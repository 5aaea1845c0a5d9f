package incident

import (
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// vain is what is counted of an attempt that came to nothing, besides what a listener that
// answered knows of it.
type vain struct {
	pair    key
	opening opening
	// lone: nobody repeated its SYN, which had time for it; again: somebody did. given: the
	// client's host reset it; bare: its SYN had no options.
	lone, again, given, bare bool
	syns                     uint32
	start                    wire.Time
	// heard is when the client was last heard, 0 if it was not.
	heard wire.Time
	first wire.FrameID
	// report is the first ICMP error which says that the SYN does not get there.
	report icmpSort
	places []uint8 // of its findings, in told
	// uid is what the uid is made of, which few are asked for.
	uid    reassembly.UIDKey
	layers []string
}

// look finds out about an attempt.
func (x *vain) look(c *reassembly.Conn, signs []sign, layers []string, how opening, places []uint8) {
	h := &c.Handshake
	x.pair, x.opening, x.syns, x.start, x.first = pairKey(&c.Tuple), how, h.SYNs, c.Start, c.First
	x.given, x.bare = c.Seen&reassembly.SeenRSTClient != 0, has(signs, "H13") != nil
	// Who opens the same ports anew has not repeated it either.
	x.lone, x.again = h.SYNs == 1 && (c.Until.Sub(c.Start) >= lonely || c.Next.Frame != 0), h.SYNs > 1
	x.heard, x.report = heardOf(c, reassembly.Client), icmpSort{}
	x.places, x.uid, x.layers = places, c.Key, layers
	if how == unreachable {
		if e := errorOf(c); e != nil {
			x.report = sortOf(e)
		}
	}
}

// example returns the attempt as an example.
func (x *vain) example() example { return example{x.first, x.uid.UID(x.layers)} }

// countVain counts the attempts that wait.
func (x *Counter) countVain() {
	s := x.sums
	for i := range x.vain {
		v := &x.vain[i]
		switch v.opening {
		case refused, unreachable, unanswered:
			k := v.pair.listener()
			if at := s.targets.at(&k); at >= 0 {
				s.targets.rec(at).add(v)
			}
			s.tried(v)
		case half, probe:
			s.tried(v)
		}
		k := v.pair.client()
		if at := s.clients.at(&k); at >= 0 {
			s.clients.rec(at).fail(v)
		}
	}
	x.vain = x.vain[:0]
}

// tried counts an attempt with its pair.
func (s *Sums) tried(x *vain) {
	if i := s.attempts.at(&x.pair); i >= 0 {
		s.attempts.rec(i).add(x)
	}
}
