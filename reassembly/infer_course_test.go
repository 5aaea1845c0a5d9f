package reassembly

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// TestBrokenCourses holds closes beside each other that a RST breaks off, or behind which something
// comes again: who knew what, and when, is as near to crossing as chance has it.
func TestBrokenCourses(t *testing.T) {
	n := 20000
	if testing.Short() || raced {
		n = 4000
	}
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), 3))
		tuple := newScript().tuple
		k := &talker{r: r, at: scriptStart, tuple: [2]wire.Tuple{tuple, tuple.Reverse()}, stamps: i%3 > 0, next: [2]wire.Seq{wire.Seq(r.Uint32()), wire.Seq(r.Uint32())}}
		k.ts = [2]uint32{r.Uint32(), r.Uint32()}
		pace := time.Duration(1+r.IntN(20)) * time.Millisecond
		send := func(from Side, f wire.Flags, n int) *wire.Segment {
			k.send(from, f, uint32(n))
			s := &k.s[len(k.s)-1]
			last := k.s[max(0, len(k.s)-2)].At
			k.at = last.Add(time.Duration(r.Int64N(int64(2 * pace))))
			if s.At = k.at; r.IntN(2) == 0 {
				k.ts[from]++ // so that what is echoed has a name
			}
			return s
		}
		send(Client, wire.SYN, 0)
		send(Server, wire.SYN|wire.ACK, 0)
		send(Client, wire.ACK, 0)
		for range 1 + r.IntN(4) {
			send(Side(r.IntN(2)), wire.ACK, 1+r.IntN(100))
		}
		closer := Side(r.IntN(2))
		peer := closer.Peer()
		if r.IntN(4) > 0 {
			send(closer, wire.FIN|wire.ACK, r.IntN(2)*10)
			fin := k.next[closer]
			knows := false
			for range r.IntN(5) {
				if r.IntN(3) == 0 {
					send(closer, wire.ACK, 0)
					continue
				}
				knows = knows || r.IntN(2) == 0
				s := send(peer, wire.ACK, r.IntN(2)*50)
				if !knows {
					s.Ack = fin - 1
				}
			}
			if r.IntN(4) == 0 {
				send(peer, wire.FIN|wire.ACK, 0)
				last := len(k.s) - 1
				send(closer, wire.ACK, 0)
				for range r.IntN(3) {
					k.again(len(k.s) - last)
				}
			}
		}
		if r.IntN(5) > 0 {
			from := Side(r.IntN(2))
			s := send(from, wire.RST|wire.ACK*wire.Flags(r.IntN(2)), 0)
			if r.IntN(4) == 0 {
				s.TTL--
			}
		}
		c := &coursed{segs: k.s, ticks: make([]bool, len(k.s)), ahead: make([]time.Duration, len(k.s)), end: time.Duration(r.Int64N(int64(200 * time.Second)))}
		c.same(t)
	}
}
