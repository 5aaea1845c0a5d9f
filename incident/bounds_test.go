package incident

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// What rules find out at less cost is what they would find out at more.
func TestBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	var ended []ending
	waited, spared, not := 0, 0, 0
	for i := range 6000 {
		bound, span := []int{1 << 20, 12}[rng.IntN(2)], []int64{50, int64(time.Minute), int64(time.Hour)}[rng.IntN(3)]
		var c chronicle
		s, p := New(Config{}), pair{}
		for range 1 + rng.IntN(40) {
			from := wire.Time(1e18 + rng.Int64N(span))
			to := from.Add(time.Duration(rng.Int64N(span)))
			p.use(uint16(rng.IntN(100)), from, to)
			c.add(from, []kind{opened, opened, met}[rng.IntN(3)], bound)
			if rng.IntN(5) > 0 {
				c.add(to, ends[rng.IntN(len(ends))], bound)
			}
			if rng.IntN(3) > 0 {
				c.add(to, timeWait, bound)
				if rng.IntN(3) > 0 {
					c.add(to.Add(time.Duration(rng.IntN(3))), reused, bound)
					c.add(to.Add(time.Minute), due, bound)
				}
			}
		}
		if most, _ := waiting(&c, time.Minute); c.waits() {
			if waited++; most == 0 {
				t.Fatalf("try %d: none waits: %v", i, c.points)
			}
		}
		if h := s.held(&c, key{}, &p); h.ports > heldAtMost(&p) {
			t.Fatalf("try %d: %d connections hold %d ports", i, p.opened, h.ports)
		}
		for _, keep := range keepAlives {
			all := takenOver(&c, keep, math.MaxUint64, &ended)
			least := uint64(1 + rng.IntN(20))
			if got := takenOver(&c, keep, least, &ended) >= least; got != (all >= least) {
				t.Fatalf("try %d: %d could be spared, at least %d: %v", i, all, least, got)
			} else if got {
				spared++
			} else {
				not++
			}
		}
	}
	if waited < 1000 || spared < 1000 || not < 1000 {
		t.Errorf("%d waited, of %d enough could be spared and of %d not: too few to say anything", waited, spared, not)
	}
}
