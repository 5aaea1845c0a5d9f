package incident

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// What softAtMost says without joining is what the joined chronicles say.
func TestSoftAtMost(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	soft, hards := 0, 0
	for i := range 4000 {
		var all []*chronicle
		bound := []int{1 << 20, 12}[rng.IntN(2)] // exact, or coarse
		span := time.Duration(1+rng.IntN(8)) * 400 * time.Millisecond
		harm := 1 + rng.IntN(12) // one in so many is hard
		for range 1 + rng.IntN(4) {
			c := &chronicle{}
			for range rng.IntN(40) {
				what := []kind{softClient, tooClient, softServer, opened, device}[rng.IntN(5)]
				if rng.IntN(harm) == 0 {
					what = []kind{hardClient, tooHardClient}[rng.IntN(2)]
				}
				c.add(wire.Time(1e18).Add(time.Duration(rng.Int64N(int64(span)))), what, bound)
			}
			c.settle(bound)
			all = append(all, c)
		}
		var j joiner
		b := burstOf(j.join(all, ^kindSet(0)), softClient, hardClient, tooClient, tooHardClient)
		hard := b.by[hardClient] + b.by[tooHardClient]
		told := b.some && hard*onceHarm >= b.n
		if told {
			hards++
		}
		if softAtMost(all) {
			if soft++; told {
				t.Fatalf("try %d: %d of %d ends were hard within a second, and softAtMost says there are fewer", i, hard, b.n)
			}
		}
	}
	if soft < 100 || hards < 100 {
		t.Errorf("%d tries were soft and %d hard: too few to say anything", soft, hards)
	}
}
