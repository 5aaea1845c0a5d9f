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
				if tr.tombs.queue.count != len(all) || tr.tombs.table.count != len(newest) {
					t.Fatalf("%d tombs of %d tuples, want %d of %d", tr.tombs.queue.count, tr.tombs.table.count, len(all), len(newest))
				}
			},
		})
		tr.Flush()
		if told != claimed {
			t.Fatalf("%d segments told of, %d claimed", told, claimed)
		}
	})
}

// TestTombHoldsAll: what a tomb does not hold in its line, it holds elsewhere: its successor
// is told the same of all of them, and they are known by the whole tuple.
func TestTombHoldsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := New(Config{Settled: func(*Conn, uint64) {}})
		tr.Advance(scriptStart)
		number, span := rapid.Uint32(), rapid.OneOf(rapid.Uint64Max(1<<39), rapid.SampledFrom([]uint64{0, 1 << 32, 1<<40 - 1, 1 << 40, 1 << 62}), rapid.Uint64())
		type grave struct {
			key  tupleKey
			hash uint64
			life incarnation
			end  wire.Time
		}
		var all []grave
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			tuple := wire.Tuple{
				Src: wire.Addr{Lo: 0xffff<<32 | uint64(number.Draw(t, "source"))}, Dst: wire.Addr{Lo: 0xffff<<32 | rapid.Uint64Max(3).Draw(t, "destination")},
				SrcPort: rapid.Uint16().Draw(t, "port"), DstPort: 80, Encap: wire.EncapID(rapid.SampledFrom([]int{0, 0, 1, 1<<16 - 1, 1 << 16}).Draw(t, "path")),
			}
			if rapid.Bool().Draw(t, "IPv6") {
				tuple.V6 = true
				tuple.Src.Hi, tuple.Dst.Hi, tuple.Src.Lo = rapid.Uint64().Draw(t, "source"), rapid.Uint64().Draw(t, "destination"), rapid.Uint64().Draw(t, "source")
			}
			key, _ := keyOf(&tuple)
			by, low := RoleBy(rapid.IntRange(int(RoleBySYN), int(RoleByGuess)).Draw(t, "roles")), rapid.Bool().Draw(t, "low")
			g := grave{key: key, hash: tr.cfg.Seed.hash(&key)}
			ends := [2]tombEnd{{wire.Seq(number.Draw(t, "from")), 1}, {wire.Seq(number.Draw(t, "from")), 2}}
			g.life = incarnation{
				start: scriptStart + wire.Time(span.Draw(t, "start")), frame: wire.NewFrameID(rapid.IntRange(0, 1<<10).Draw(t, "input"), rapid.Uint64Max(1<<40-1).Draw(t, "frame")),
				seq: wire.Seq(number.Draw(t, "first")), clientIsLow: low, openedByLow: low == (by == RoleBySYN), known: true,
				hasTime: rapid.Bool().Draw(t, "has time"), ttl: rapid.Uint8().Draw(t, "ttl"), tsMax: number.Draw(t, "time"),
			}
			if side := rapid.IntRange(0, 3).Draw(t, "first of"); side < 2 {
				g.life.seq = ends[side].from
			}
			g.life.last = g.life.start + wire.Time(span.Draw(t, "lasted"))
			g.end = g.life.last + wire.Time(span.Draw(t, "rested"))
			if tr.tombs.of(&key, g.hash) != 0 {
				continue
			}
			tr.tombs.bury(&key, g.hash, &g.life, by, ends, [2]bool{true, true}, g.end)
			all = append(all, g)
			if rapid.Bool().Draw(t, "late") {
				tr.tombs.lateOf(tr.tombs.queue.at(tr.tombs.queue.newest)).Packets[Client]++
			}
		}
		for i, g := range all {
			held := tr.tombs.of(&g.key, g.hash)
			if held == 0 {
				t.Fatalf("tomb %d is not found: %+v", i, g)
			}
			b := tr.tombs.queue.at(held)
			if got, end := tr.tombs.life(held), tr.tombs.expires(b).Add(-Linux.FINRetrySpan); got != g.life || end != g.end || tr.tombs.key(b).encap != g.key.encap {
				t.Fatalf("tomb %d:\n%+v until %d\nwant\n%+v until %d", i, got, end, g.life, g.end)
			}
			if g.key.v6() {
				if other := g.key; tr.tombs.key(b) != g.key {
					t.Fatalf("tomb %d is of %+v, want %+v", i, tr.tombs.key(b), g.key)
				} else if other.low.Hi++; tr.tombs.is(b, &other) {
					t.Fatal("a tomb is of two tuples")
				}
			}
		}
		tr.Advance(scriptStart + 1)
		tr.Advance(scriptStart.Add(Linux.FINRetrySpan + 1))
		if ts := &tr.tombs; ts.queue.count != 0 || ts.mores.live() != 0 || ts.lates.live() != 0 || ts.table.count != 0 {
			t.Fatalf("left behind: %d tombs, %d rests, %d groups, %d places", ts.queue.count, ts.mores.live(), ts.lates.live(), ts.table.count)
		}
	})
}

// TestTombsAreUsedAgain: what tombs take does not grow with the capture, and what is in the
// table is right when their chunks have been used again.
func TestTombsAreUsedAgain(t *testing.T) {
	told := map[uint16]int{}
	tr := New(Config{Settled: func(*Conn, uint64) {}, Late: func(l *Late) { told[l.Tuple.SrcPort]++ }})
	now, span := scriptStart, int(Linux.FINRetrySpan/time.Second)
	of := func(i int) wire.Segment {
		s := newScript().client(syn, 0, 0).segs[0]
		s.At, s.Tuple.SrcPort, s.Tuple.Src.Lo = now, uint16(i), s.Tuple.Src.Lo+uint64(i)>>16
		return s
	}
	for i := range 20_000 {
		s := of(i)
		key, swapped := keyOf(&s.Tuple)
		tr.settle(tr.open(&s, &key, tr.cfg.Seed.hash(&key), swapped), EndedSettled, now)
		now = now.Add(time.Second)
		tr.Advance(now)
		// The first of those that are remembered still, and the one before.
		for _, ago := range []int{span - 1, span} {
			if s := of(i - ago); i >= ago {
				key, _ := keyOf(&s.Tuple)
				if known := tr.tombs.of(&key, tr.cfg.Seed.hash(&key)) != 0; known != (ago < span) {
					t.Fatalf("%d seconds after its burial a connection is known: %v", ago, known)
				}
			}
		}
	}
	if q := &tr.tombs.queue; len(q.chunks) > q.count/slabChunk+3 || q.count != span {
		t.Errorf("%d chunks for %d tombs", len(q.chunks), q.count)
	}
	if q := &tr.tombs.graves; len(q.chunks) > q.count/slabChunk+3 {
		t.Errorf("%d chunks for %d graves", len(q.chunks), q.count)
	}
}

// TestFIFO: places are handed out once, keep content and address while they are held, are
// freed in order, and their chunks are used again.
func TestFIFO(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type place struct {
			number  uint32
			address *uint64
		}
		var q fifo[uint64]
		var held []place
		most, stamp, oldest := 0, uint64(0), uint64(0)
		many := rapid.SampledFrom([]int{1, 2, slabChunk - 1, slabChunk, slabChunk + 1, 3 * slabChunk})
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range many.Draw(t, "n") {
					i := q.push()
					*q.at(i) = stamp
					stamp++
					held = append(held, place{i, q.at(i)})
				}
				most = max(most, len(held))
			},
			"pop": func(t *rapid.T) {
				for range min(len(held), many.Draw(t, "n")) {
					q.pop()
					held = held[1:]
					oldest++
				}
			},
			"": func(t *rapid.T) {
				if q.count != len(held) || len(q.chunks) > 3+most/slabChunk {
					t.Fatalf("%d places in %d chunks, want %d and never more than %d", q.count, len(q.chunks), len(held), most)
				}
				i := q.oldest
				for n, p := range held {
					if i != p.number || i == 0 || q.at(i) != p.address || *p.address != oldest+uint64(n) {
						t.Fatalf("place %d has number %d and content %d, want %d and %d", n, i, *q.at(i), p.number, oldest+uint64(n))
					}
					i = q.after(i)
				}
			},
		})
	})
}
