package census

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

type spell struct{ from, to int64 }

func (v spell) covers(t int64) bool { return v.from <= t && t < v.to }

func spells(n int, most int64) *rapid.Generator[[]spell] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) spell {
		from := rapid.Int64Range(-most, most).Draw(t, "from")
		return spell{from, from + rapid.Int64Range(1, most).Draw(t, "lasts")}
	}), 0, n)
}

func curveOf(all []spell, width int64, limit int) (*curve, *budget) {
	k, b := &curve{width: width}, &budget{limit: limit}
	for _, v := range all {
		k.span(wire.Time(v.from), wire.Time(v.to), b)
	}
	k.settle(b)
	return k, b
}

// A curve is compared with counting the intervals, at every instant at which it
// promises to be exact.
func TestCurveCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := spells(300, 500).Draw(t, "intervals")
		width := rapid.SampledFrom([]int64{0, 7, 100}).Draw(t, "width")
		limit := rapid.SampledFrom([]int{4, 16, 1000}).Draw(t, "limit")
		k, b := curveOf(all, width, limit)
		if len(k.points) > limit || b.points != len(k.points) {
			t.Fatalf("%d points, %d in the budget, at most %d are allowed", len(k.points), b.points, limit)
		}
		count := func(at int64) (n uint64) {
			for _, v := range all {
				if v.covers(at) {
					n++
				}
			}
			return n
		}
		r := reading{k: k}
		most, exact := uint64(0), uint64(0)
		for at := int64(-600); at <= 1200; at++ {
			n := count(at)
			most = max(most, n)
			if k.width > 1 && at%k.width != 0 {
				continue
			}
			exact = max(exact, n)
			if got := r.at(wire.Time(at)); got != n {
				t.Fatalf("%d at %d, want %d; width %d", got, at, n, k.width)
			}
		}
		p := k.peak()
		switch {
		case p.Within != 0 && k.width <= 1:
			t.Fatalf("the peak is within %v, though all is exact", p.Within)
		case k.width <= 1 && (p.Count != most || p.AtMost != most):
			t.Fatalf("peak %+v, want %d", p, most)
		case k.width > 1 && (p.Count != exact || p.AtMost < most):
			t.Fatalf("peak %+v, want %d, and at most %d", p, exact, most)
		}
		if p.Count > 0 && count(int64(p.At)) != p.Count {
			t.Fatalf("the peak is said to be at %d, where there are %d", p.At, count(int64(p.At)))
		}
	})
}

// The order of adding, and who added what, must not show.
func TestCurvesMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := spells(200, 100_000).Draw(t, "intervals")
		limit := rapid.SampledFrom([]int{4, 64}).Draw(t, "limit")
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		whole, _ := curveOf(all, 0, limit)
		b := &budget{limit: limit}
		x, y := &curve{}, &curve{}
		for i := len(all) - 1; i >= 0; i-- {
			k := x
			if i >= cut {
				k = y
			}
			k.span(wire.Time(all[i].from), wire.Time(all[i].to), b)
		}
		x.merge(y, 0, b)
		x.settle(b)
		if whole.width != x.width && max(whole.width, x.width) > 1 || len(whole.points) != len(x.points) || b.points != len(x.points) {
			t.Fatalf("width %d with %d points, merged %d with %d; %d in the budget", whole.width, len(whole.points), x.width, len(x.points), b.points)
		}
		for i := range whole.points {
			if whole.points[i] != x.points[i] {
				t.Fatalf("point %d: %v and %v", i, whole.points[i], x.points[i])
			}
		}
	})
}

func TestRoundUp(t *testing.T) {
	for _, x := range []struct {
		at    wire.Time
		width int64
		want  wire.Time
	}{
		{10, 0, 10}, {10, 1, 10}, {10, 5, 10}, {11, 5, 15}, {-11, 5, -10}, {-10, 5, -10}, {-1, 5, 0},
		{Forever - 3, int64(time.Hour), Forever - 1}, // the last hour of all time is not full
	} {
		if got := roundUp(x.at, x.width); got != x.want {
			t.Errorf("roundUp(%d, %d) = %d, want %d", x.at, x.width, got, x.want)
		}
	}
}
