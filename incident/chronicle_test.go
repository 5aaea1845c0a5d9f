package incident

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What happened more often than a point can say takes several, the same ones in whatever order and
// parts it comes; and an interval's number is any.
func TestPointsOfMany(t *testing.T) {
	split := 0
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		type happened struct {
			at   int64
			what kind
		}
		want := map[happened]uint64{}
		var all []point
		for range rapid.IntRange(1, 30).Draw(t, "points") {
			h := happened{[]int64{math.MinInt64, -1, 0, 1, math.MaxInt32, math.MaxUint32, math.MaxInt64}[r.IntN(7)], []kind{opened, reused, kinds - 1}[r.IntN(3)]}
			n := []uint32{1, 2, mostOf / 2, mostOf - 1, mostOf}[r.IntN(5)]
			p := pointOf(h.at, h.what, n)
			if p.at() != h.at || p.what() != h.what || p.n() != n {
				t.Fatalf("%d %d %d became %d %d %d", h.at, h.what, n, p.at(), p.what(), p.n())
			}
			want[h] += uint64(n)
			all = append(all, p)
		}
		counted := func(shift uint8) chronicle {
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			part := r.IntN(len(all) + 1)
			var c, o chronicle
			c.begin(slices.Clone(all[:part]))
			o.begin(slices.Clone(all[part:]))
			if r.IntN(2) == 0 {
				c.mergeInto(make([]point, len(all)), slices.Clone(all[part:]))
			} else {
				var j joiner
				c = *j.join([]*chronicle{&c, &o}, 1<<kinds-1)
			}
			for c.shift < shift {
				c.widen()
			}
			return c
		}
		shift := uint8(rapid.SampledFrom([]int{0, 1, 2, 40}).Draw(t, "shift"))
		one, other := counted(shift), counted(shift)
		if !slices.Equal(one.points, other.points) {
			t.Fatalf("%v in one order, %v in another one", one.points, other.points)
		}
		wide, got := map[happened]uint64{}, map[happened]uint64{}
		for h, n := range want {
			wide[happened{h.at >> shift, h.what}] += n
		}
		for i := range one.points {
			p := &one.points[i]
			if got[happened{p.at(), p.what()}] += uint64(p.n()); i > 0 && p.like(&one.points[i-1]) {
				if split++; p.n() != mostOf {
					t.Fatalf("%v is not full", p)
				}
			}
		}
		if len(got) != len(wide) {
			t.Fatalf("%v, not %v", got, wide)
		}
		for h, n := range wide {
			if got[h] != n {
				t.Fatalf("%v: %d counted, %d happened", h, got[h], n)
			}
		}
	})
	if split < 100 {
		t.Errorf("%d points were alike: too few to say anything", split)
	}
}
