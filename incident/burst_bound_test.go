package incident

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// What mayBurst excludes without joining, the joined chronicles do not show.
func TestMayBurst(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	soft := kindsOf(softClient, tooClient, softServer, opened, opened, met)
	for _, side := range []struct {
		name     string
		of, hard []kind
		told     func(b *burst, hard uint64) bool
		enough   func(least, most, hard uint64) bool
	}{
		{"client", []kind{softClient, hardClient, tooClient, tooHardClient}, []kind{hardClient, tooHardClient},
			func(b *burst, hard uint64) bool { return b.all(onceClients) && hard*onceHarm >= b.n }, clientBurst},
		{"server", []kind{softServer, hardServer, device, tooServer, tooHardServer}, []kind{hardServer, tooHardServer, device},
			func(b *burst, hard uint64) bool {
				return b.all(onceLeast) || b.all(onceLeastHard) && hard*2 >= b.n
			}, serverBurst},
	} {
		excluded, shown := 0, 0
		for i := range 6000 {
			var all []*chronicle
			bound := []int{1 << 20, 12}[rng.IntN(2)] // exact, or coarse
			span := time.Duration(1+rng.IntN(8)) * 400 * time.Millisecond
			harm, busy, old := 1+rng.IntN(12), 1+rng.IntN(12), rng.IntN(3) > 0 // one in so many is hard, or another sort
			for range 1 + rng.IntN(4) {
				c := &chronicle{}
				for range rng.IntN(40) {
					at, what := wire.Time(1e18).Add(time.Duration(rng.Int64N(int64(span)))), side.of[0]
					switch {
					case rng.IntN(busy) == 0:
						for what = kind(rng.IntN(int(kinds))); !soft.has(what); {
							what = kind(rng.IntN(int(kinds)))
						}
					case rng.IntN(harm) == 0:
						what = side.hard[rng.IntN(len(side.hard))]
					}
					c.add(at, what, bound)
					if old {
						c.add(at.Add(-10*time.Second), opened, bound)
					}
				}
				all = append(all, c)
			}
			var j joiner
			b := burstOf(j.join(all, ^kindSet(0)), 1, side.of...)
			hard := uint64(0)
			for _, k := range side.hard {
				hard += b.by[k]
			}
			told := b.some && side.told(&b, hard)
			if told {
				shown++
			}
			if !j.mayBurst(all, kindsOf(side.of...), kindsOf(side.hard...), side.enough) {
				if excluded++; told {
					t.Fatalf("%s, try %d: %d of %d ended within a second, %d of them hard, and mayBurst excludes it", side.name, i, b.n, b.open, hard)
				}
			}
		}
		if excluded < 100 || shown < 100 {
			t.Errorf("%s: %d tries were excluded and %d show a burst: too few to say anything", side.name, excluded, shown)
		}
		t.Logf("%s: %d tries were excluded and %d show a burst", side.name, excluded, shown)
	}
}

// What hosts and clients are told of is the same whether mayBurst excludes some or not: that
// all services of a host together show nothing must not hide that one of them does.
func TestClosedAllAtOnceExcludesNothingTold(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	told, closes := 0, []kind{softServer, softServer, hardServer, device, tooServer, softClient, softClient, hardClient, hardClient, tooHardClient}
	for i := range 8000 {
		s := New(Config{})
		span := time.Duration(2+rng.IntN(20)) * time.Second
		for range 1 + rng.IntN(12) {
			k := pairKey(&wire.Tuple{Src: wire.Addr{Lo: 1 + rng.Uint64N(3)}, Dst: wire.Addr{Lo: 9 + rng.Uint64N(2)}, DstPort: 80 + uint16(rng.IntN(3))})
			of := k.listener()
			p, l := s.pairs.at(&k), s.listeners.at(&of)
			note := func(at wire.Time, what kind) {
				s.pairs.note(p, at, what)
				s.listeners.note(l, at, what)
			}
			from := wire.Time(1e18)
			burst, at := rng.IntN(2) == 0, from.Add(time.Duration(rng.Int64N(int64(span))))
			for range rng.IntN(30) {
				open := from.Add(time.Duration(rng.Int64N(int64(span))))
				what, end := closes[rng.IntN(len(closes))], open.Add(time.Duration(rng.Int64N(int64(4*time.Second))))
				if burst && rng.IntN(8) > 0 {
					open, end = at.Add(-time.Duration(rng.Int64N(int64(span)))), at.Add(time.Duration(rng.Int64N(int64(500*time.Millisecond))))
				}
				note(open, opened)
				note(end, what)
				s.pairs.rec(p).opened++
				if what == softServer && rng.IntN(9) == 0 {
					s.listeners.note(l, end, idled)
					addSpread(&s.listeners.rec(l).idle[1], 4*time.Second)
				}
			}
		}
		s.settle()
		var got, want []Incident
		s.closedAllAtOnce(false, func(in Incident) { got = append(got, in) })
		s.closedAllAtOnce(true, func(in Incident) { want = append(want, in) })
		for j := range want {
			if len(got) != len(want) || got[j].key != want[j].key || got[j].Message != want[j].Message {
				t.Fatalf("try %d: told of %d, looked at each second of %d: %s", i, len(got), len(want), want[j].Message)
			}
			told++
		}
		if len(got) != len(want) {
			t.Fatalf("try %d: told of %d, looked at each second of %d", i, len(got), len(want))
		}
	}
	if told < 200 {
		t.Errorf("%d were told: too few to say anything", told)
	}
	t.Logf("%d were told", told)
}
