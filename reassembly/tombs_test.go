package reassembly

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// TestTombs: what is claimed is told once, in a late group of the connection that
// it belongs to; a tomb lasts for its span; nothing is left behind.
func TestTombs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var told, claimed uint64
		tr := New(Config{Settled: func(*Conn, uint64) {}, Late: func(l *Late) {
			if l.Packets == [2]uint64{} || l.End < l.Start {
				t.Fatalf("an empty late group, or one that ends before it begins: %+v", l)
			}
			told += l.Packets[0] + l.Packets[1]
		}})
		type grave struct {
			isn           wire.Seq
			expires, gone wire.Time // gone is 0 until the clock is told
		}
		newest := map[uint16]*grave{}
		tr.Advance(scriptStart)
		var all []*grave
		now := scriptStart
		segment := func(t *rapid.T) wire.Segment {
			s := newScript().client(psh, 0, 0).segs[0]
			s.At, s.Tuple.SrcPort = now, uint16(rapid.IntRange(1, 4).Draw(t, "port"))
			return s
		}
		t.Repeat(map[string]func(*rapid.T){
			"bury": func(t *rapid.T) {
				s := segment(t)
				s.Seq = wire.Seq(rapid.SampledFrom([]uint32{0, 1 << 20, 0xfffffff0}).Draw(t, "isn"))
				key, swapped := keyOf(&s.Tuple)
				rec := tr.open(&s, &key, tr.cfg.Seed.hash(&key), swapped)
				r := tr.recs.at(rec)
				h := &r.half[r.side(swapped)]
				h.isn, h.next = s.Seq, s.Seq+100
				h.flags |= hasISN | hasNext
				tr.settle(rec, EndedSettled, now)
				g := &grave{isn: s.Seq, expires: now.Add(Linux.FINRetrySpan)}
				newest[s.Tuple.SrcPort] = g
				all = append(all, g)
			},
			"claim": func(t *rapid.T) {
				s := segment(t)
				s.Flags = wire.PSH | rapid.SampledFrom([]wire.Flags{0, wire.FIN, wire.RST, wire.SYN}).Draw(t, "flags")
				offset := rapid.SampledFrom([]int32{-200, -1, 0, 50, 100, 101}).Draw(t, "offset")
				g, ok := newest[s.Tuple.SrcPort]
				if !ok {
					g = &grave{}
				}
				s.Seq = g.isn + wire.Seq(offset)
				key, swapped := keyOf(&s.Tuple)
				want := ok && now <= g.expires && offset >= 0 && offset <= 100 && (s.Flags&wire.SYN == 0 || offset == 0)
				tomb := tr.tombs.of(&key, tr.cfg.Seed.hash(&key))
				if got := tomb != 0 && tr.tombs.claim(tomb, &s, swapped); got != want {
					t.Fatalf("claimed %v, want %v (offset %d, flags %v)", got, want, offset, s.Flags)
				}
				if want {
					claimed++
				}
			},
			"expire": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(90*time.Second)).Draw(t, "by")))
				tr.Advance(now)
				for _, g := range all {
					if g.gone == 0 {
						g.gone = now.Add(Linux.FINRetrySpan)
					}
				}
				for p, g := range newest {
					if g.gone <= now {
						delete(newest, p)
					}
				}
				for len(all) > 0 && all[0].gone <= now {
					all = all[1:]
				}
			},
			"": func(t *rapid.T) {
				if tr.tombs.slab.live() != len(all) || tr.tombs.table.count != len(newest) {
					t.Fatalf("%d tombs of %d tuples, want %d of %d", tr.tombs.slab.live(), tr.tombs.table.count, len(all), len(newest))
				}
			},
		})
		tr.Flush()
		if told != claimed {
			t.Fatalf("%d segments told of, %d claimed", told, claimed)
		}
	})
}

// TestTombsQueueMovesUp: the queue of tombs does not grow with the capture.
func TestTombsQueueMovesUp(t *testing.T) {
	tr := New(Config{Settled: func(*Conn, uint64) {}})
	now := scriptStart
	for i := range 20_000 {
		s := newScript().client(syn, 0, 0).segs[0]
		s.At, s.Tuple.SrcPort, s.Tuple.Src.Lo = now, uint16(i), s.Tuple.Src.Lo+uint64(i)>>16
		key, swapped := keyOf(&s.Tuple)
		tr.settle(tr.open(&s, &key, tr.cfg.Seed.hash(&key), swapped), EndedSettled, now)
		now = now.Add(time.Second)
		tr.Advance(now)
	}
	if n := len(tr.tombs.queue); n > 4096 {
		t.Errorf("the queue holds %d entries for %d tombs", n, tr.tombs.slab.live())
	}
}
