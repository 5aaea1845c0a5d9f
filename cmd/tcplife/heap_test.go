package main

import "testing"

// TestGrowth: the heap may grow to heapFree, and from there by heapRoom or a part of what is
// held; by more where the collector has much to do.
func TestGrowth(t *testing.T) {
	const globals = 5 << 20
	for _, c := range []struct {
		live uint64
		busy bool
		to   uint64 // MiB, to the next one
	}{
		{10, false, 40},
		{10, true, 42},
		{36, false, 44},
		{36, true, 68},
		{100, false, 113},
		{100, true, 151},
	} {
		live := c.live << 20
		to := live + (live+globals)*uint64(growth(live, globals, c.busy))/100
		if most := c.to << 20; to > most || to < most-1<<20 {
			t.Errorf("%d MiB, busy %v: may grow to %.1f MiB, not %d", c.live, c.busy, float64(to)/(1<<20), c.to)
		}
	}
}
