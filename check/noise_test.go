package check

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	_ "github.com/tcplife/tcplife/internal/property"
)

func near(a, b, share float64) bool { return math.Abs(a-b) <= share*math.Max(math.Abs(a), math.Abs(b)) }

// Textbook values: Fisher's tea, his criminal twins, and a table without any overlap.
func TestFisher(t *testing.T) {
	for _, x := range []struct {
		a, n, b, m uint64
		want       float64
	}{
		{3, 4, 1, 4, 34. / 70},           // the lady and her tea
		{10, 12, 3, 18, 0.000536724},     // of 13 twins alike and 17 others
		{10, 10, 0, 10, 2. / 184756},     // 2 / C(20,10)
		{1, 10, 11, 14, 0.002759456},     // studying, by sex
		{0, 5, 0, 7, 1}, {5, 5, 7, 7, 1}, // all alike
		{0, 0, 3, 7, 1},             // nobody
		{500, 1000, 5000, 10000, 1}, // the same share
		{0, 1000000, 0, 1000000, 1},
	} {
		if got := fisher(x.a, x.n, x.b, x.m); !near(got, x.want, 1e-4) {
			t.Errorf("fisher(%d of %d, %d of %d) = %g, want %g", x.a, x.n, x.b, x.m, got, x.want)
		}
	}
	if p := fisher(100, 1000000, 300, 1000000); p > 1e-20 || p <= 0 {
		t.Errorf("of a million, 100 and 300: %g", p)
	}
}

// Against the sum over all tables, and alike from both sides.
func TestFisherAgainstAllTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.Uint64Range(1, 60).Draw(t, "n"), rapid.Uint64Range(1, 60).Draw(t, "m")
		a, b := rapid.Uint64Range(0, n).Draw(t, "a"), rapid.Uint64Range(0, m).Draw(t, "b")
		of := func(k uint64) float64 { // exact enough: below 2^53 ways would be exact
			p := 1.0
			for i := range k {
				p *= float64(n-i) / float64(i+1)
			}
			rest := a + b - k
			for i := range rest {
				p *= float64(m-i) / float64(i+1)
			}
			return p
		}
		sum, all := 0.0, 0.0
		for k := uint64(0); k <= n; k++ {
			if k > a+b || a+b-k > m {
				continue
			}
			all += of(k)
			if of(k) <= of(a)*(1+1e-7) {
				sum += of(k)
			}
		}
		got := fisher(a, n, b, m)
		if !near(got, sum/all, 1e-6) {
			t.Fatalf("%g, and all tables make %g", got, sum/all)
		}
		if !near(got, fisher(b, m, a, n), 1e-9) || !near(got, fisher(n-a, n, m-b, m), 1e-9) {
			t.Fatalf("it depends on the order or on what is called success")
		}
	})
}

// Kolmogorov's distribution, from tables.
func TestSmirnov(t *testing.T) {
	for lambda, want := range map[float64]float64{0.5: 0.9639, 1.0: 0.2700, 1.36: 0.0495, 1.63: 0.0098, 2.0: 0.00067} {
		if got := smirnov(lambda); math.Abs(got-want) > 0.0006 {
			t.Errorf("smirnov(%g) = %g, want %g", lambda, got, want)
		}
	}
}

func TestHolm(t *testing.T) {
	got := holm([]float64{0.01, 0.04, 0.03, 0.005})
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		if !near(got[i], want, 1e-12) {
			t.Errorf("holm: %v", got)
		}
	}
}

// Where nothing changed, no more false alarms than promised; where something did, alarms.
func TestNoiseIsCalibrated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(n int, shift float64) *buckets {
		b := &buckets{}
		for range n {
			b.add(time.Duration(math.Exp(r.NormFloat64()*0.5+shift) * float64(10*time.Millisecond)))
		}
		return b
	}
	const rounds, level = 1000, 0.05
	for _, n := range [][2]int{{8, 8}, {8, 40}, {60, 60}, {300, 200}} {
		alarms, seen := 0, 0
		for range rounds {
			if kolmogorov(sample(n[0], 0), sample(n[1], 0)) < level {
				alarms++
			}
			if kolmogorov(sample(n[0], 0), sample(n[1], 1)) < level {
				seen++
			}
		}
		// Three standard deviations of the count above the promise.
		if most := rounds*level + 3*math.Sqrt(rounds*level*(1-level)); float64(alarms) > most {
			t.Errorf("times, %v: %d false alarms in %d, at most %.0f", n, alarms, rounds, most)
		}
		if n[0] >= 60 && seen < rounds*99/100 {
			t.Errorf("times, %v: a doubled time is seen in %d of %d", n, seen, rounds)
		}
	}
	for _, n := range []uint64{10, 100, 2000} {
		alarms := 0
		draw := func() (a uint64) {
			for range n {
				if r.Float64() < 0.1 {
					a++
				}
			}
			return a
		}
		for range rounds {
			if fisher(draw(), n, draw(), n) < level {
				alarms++
			}
		}
		if most := rounds*level + 3*math.Sqrt(rounds*level*(1-level)); float64(alarms) > most {
			t.Errorf("shares of %d: %d false alarms in %d", n, alarms, rounds)
		}
	}
}

// Buckets are in the order of what falls into them, and no wider than a 32nd.
func TestBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "a"))
		b := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "b"))
		if a > b {
			a, b = b, a
		}
		if bucket(a) > bucket(b) {
			t.Fatalf("%d is in bucket %d, and %d in %d", a, bucket(a), b, bucket(b))
		}
		if low, high := bucketBounds(bucket(a)); a < low || a > high {
			t.Fatalf("%d is in a bucket from %d to %d", a, low, high)
		}
		if bucket(a) == bucket(b) && float64(b-a) > float64(b)/32 {
			t.Fatalf("%d and %d share a bucket", a, b)
		}
	})
}

// Of more times than are kept, a percentile is known within a bucket, whatever it is.
func TestPercentilesOfMany(t *testing.T) {
	var s spread
	var all []time.Duration
	r := rand.New(rand.NewPCG(3, 4))
	for range 3 * maxExact {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		s.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []float64{0, 0.1, 50, 90, 99, 99.9, 99.999, 100} {
		low, high := s.percentile(p)
		want := all[min(max(int(math.Ceil(p/100*float64(len(all)))), 1), len(all))-1]
		if want < low || want > high || float64(high-low) > float64(high)/32 {
			t.Errorf("p%g is between %v and %v, and really %v", p, low, high, want)
		}
	}
}
