package census

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A bucket may be no wider than 1/32 of what it holds, and buckets follow each
// other without a gap.
func TestBuckets(t *testing.T) {
	last := time.Duration(-1)
	for i := range bucketOf(math.MaxInt64) + 1 {
		h := highest(i)
		low := last + 1
		if bucketOf(low) != i || bucketOf(h) != i {
			t.Fatalf("bucket %d holds %d to %d by its bounds, but they fall into %d and %d", i, low, h, bucketOf(low), bucketOf(h))
		}
		if h > low && h-low >= low/32+1 {
			t.Errorf("bucket %d, %d to %d, is wider than 1/32", i, low, h)
		}
		last = h
	}
	if last != math.MaxInt64 {
		t.Errorf("the last bucket ends at %d", last)
	}
}

func durations() *rapid.Generator[[]int64] {
	return rapid.SliceOf(rapid.OneOf(rapid.Int64Range(0, 200), rapid.Int64Range(0, int64(time.Hour)), rapid.Int64Min(0)))
}

// The nearest rank in the sorted list is the definition of a percentile.
func TestPercentile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := durations().Draw(t, "durations")
		var h Histogram
		for _, d := range all {
			h.Record(time.Duration(d))
		}
		slices.Sort(all)
		if h.Count() != uint64(len(all)) {
			t.Fatalf("counted %d of %d", h.Count(), len(all))
		}
		if len(all) == 0 {
			if h.Percentile(50) != 0 || h.Max() != 0 || h.Min() != 0 {
				t.Fatal("an empty histogram has values")
			}
			return
		}
		if h.Min() != time.Duration(all[0]) || h.Max() != time.Duration(all[len(all)-1]) {
			t.Fatalf("from %d to %d, want %d to %d", h.Min(), h.Max(), all[0], all[len(all)-1])
		}
		for _, p := range []uint64{1, 50, 90, 99, 100} {
			rank := (len(all)*int(p) + 99) / 100
			want := all[max(rank, 1)-1]
			got := int64(h.Percentile(p))
			if got < want || got-want > want/32 {
				t.Fatalf("p%d is %d, the exact one %d", p, got, want)
			}
		}
	})
}

func TestHistogramsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := durations().Draw(t, "a"), durations().Draw(t, "b")
		var x, y, both Histogram
		for _, d := range a {
			x.Record(time.Duration(d))
			both.Record(time.Duration(d))
		}
		for _, d := range b {
			y.Record(time.Duration(d))
			both.Record(time.Duration(d))
		}
		x.Merge(&y)
		if x.count != both.count || x.min != both.min || x.max != both.max || !slices.Equal(x.buckets, both.buckets) {
			t.Fatalf("merged %+v, together %+v", x, both)
		}
	})
}

// The rows of bcc's tools: 0 -> 1, 2 -> 3, 4 -> 7 ... microseconds.
func TestPowers(t *testing.T) {
	var p Powers
	for _, d := range []time.Duration{0, 999, time.Microsecond, 1999, 2 * time.Microsecond, 3999, 4 * time.Microsecond,
		1023 * time.Microsecond, 1024 * time.Microsecond, math.MaxInt64} {
		p.Record(d)
	}
	for i, want := range map[int]uint64{0: 4, 1: 2, 2: 1, 9: 1, 10: 1, 53: 1} {
		if p[i] != want {
			t.Errorf("bucket %d has %d, want %d", i, p[i], want)
		}
	}
	if from, to := p.Bounds(9); from != 512*time.Microsecond || to != 1024*time.Microsecond {
		t.Errorf("bucket 9 is from %v to %v", from, to)
	}
	if from, to := p.Bounds(0); from != 0 || to != 2*time.Microsecond {
		t.Errorf("bucket 0 is from %v to %v", from, to)
	}
	if first, last, ok := p.Used(); first != 0 || last != 53 || !ok {
		t.Errorf("used %d to %d", first, last)
	}
}
