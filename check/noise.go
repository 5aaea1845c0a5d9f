package check

import (
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// fisher returns the probability, if two samples come from one population, of a table
// at most as likely as this one: a of n in one sample have something, b of m in the
// other. It is Fisher's exact test, two-sided: right for the rare events and the small
// numbers that captures have, where a normal approximation is not.
func fisher(a, n, b, m uint64) float64 {
	have, all := a+b, n+m
	if n == 0 || m == 0 || have == 0 || have == all {
		return 1
	}
	// Of all tables with these sums, a is between low and high.
	low, high := have-min(have, m), min(have, n)
	log := func(k uint64) float64 { return choose(n, k) + choose(m, have-k) - choose(all, have) }
	seen := log(a)
	// Tables that are equally likely count, and logarithms are rounded.
	limit := seen + 1e-7*math.Max(1, -seen)
	p := 0.0
	// The distribution has one peak: from both ends inwards, as long as tables are no
	// likelier than this one. Those a thousand standard deviations away are 0 anyway, so
	// the ends begin where it matters.
	mean := float64(n) / float64(all) * float64(have)
	deviation := math.Sqrt(mean*float64(m)/float64(all)*float64(all-have)/float64(max(all-1, 1))) + 1
	from, to := low, high
	far := math.Max(math.Abs(float64(a)-mean), 10*deviation) + 40*deviation
	if mean-far > float64(low) {
		from = uint64(mean - far)
	}
	if mean+far < float64(high) {
		to = uint64(mean + far)
	}
	for k := from; k <= to; k++ {
		l := log(k)
		if l > limit {
			break
		}
		p += math.Exp(l)
	}
	for k := to; k >= from; k-- {
		l := log(k)
		if l > limit {
			break
		}
		if p += math.Exp(l); k == 0 {
			break
		}
	}
	return math.Min(p, 1)
}

// choose is the logarithm of a binomial coefficient.
func choose(n, k uint64) float64 {
	x, _ := math.Lgamma(float64(n) + 1)
	y, _ := math.Lgamma(float64(k) + 1)
	z, _ := math.Lgamma(float64(n-k) + 1)
	return x - y - z
}

// fewest is how many times each sample must have: of five, the approximation of the test
// below gives half as many false alarms again as it promises (TestNoiseIsCalibrated).
const fewest = 8

// kolmogorov returns the probability, if two samples come from one population, that
// their distributions are as far apart as these: the two-sample Kolmogorov-Smirnov test
// with Stephens' approximation. It asks for no shape and sees a second peak as well as a
// shift. Times in one bucket count as equal, which makes the distance smaller, never
// larger.
func kolmogorov(x, y *buckets) float64 {
	if x.count < fewest || y.count < fewest {
		return 1
	}
	var places []int
	for _, b := range []*buckets{x, y} {
		for at := range b.n {
			places = append(places, at)
		}
	}
	slices.Sort(places)
	far, i, k := 0.0, uint64(0), uint64(0)
	for _, at := range slices.Compact(places) {
		i, k = i+x.n[at], k+y.n[at]
		far = math.Max(far, math.Abs(float64(i)/float64(x.count)-float64(k)/float64(y.count)))
	}
	n, m := float64(x.count), float64(y.count)
	root := math.Sqrt(n * m / (n + m))
	lambda := (root + 0.12 + 0.11/root) * far
	// Of small samples the approximation promises more than two that do not overlap at all
	// can show: that happens in 2 of all ways to part them.
	return math.Max(smirnov(lambda), 2*math.Exp(-choose(x.count+y.count, x.count)))
}

// smirnov is the tail of Kolmogorov's distribution.
func smirnov(lambda float64) float64 {
	if lambda < 0.2 {
		return 1 // the series converges too slowly, and to 1
	}
	sum, sign := 0.0, 1.0
	for k := 1.0; k <= 100; k++ {
		term := math.Exp(-2 * k * k * lambda * lambda)
		sum += sign * term
		if sign = -sign; term < 1e-18 {
			break
		}
	}
	return math.Min(math.Max(2*sum, 0), 1)
}

// holm makes probabilities of several comparisons such that the chance of one false
// alarm in all of them is the level (Holm's step-down correction).
func holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(p[a], p[b]), a-b) })
	out, least := make([]float64, len(p)), 0.0
	for rank, i := range order {
		least = math.Max(least, math.Min(p[i]*float64(len(p)-rank), 1))
		out[i] = least
	}
	return out
}

// buckets counts times in buckets that are at most 1/32 wide, by their number.
type buckets struct {
	n     map[int]uint64
	count uint64
}

func (b *buckets) add(d time.Duration) {
	if b.n == nil {
		b.n = map[int]uint64{}
	}
	b.n[bucket(d)]++
	b.count++
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-6, 0) // six bits are kept: 32 to 63, below that all
	return shift<<5 + int(v>>shift)
}

// at returns the bounds of the bucket that holds the value of a rank, from 1.
func (b *buckets) at(rank uint64) (low, high time.Duration) {
	for _, i := range slices.Sorted(maps.Keys(b.n)) {
		if b.n[i] >= rank {
			return bucketBounds(i)
		}
		rank -= b.n[i]
	}
	return 0, 0
}

// bucketBounds returns the shortest and the longest time in a bucket.
func bucketBounds(i int) (low, high time.Duration) {
	shift := max(i>>5-1, 0)
	v := uint64(i) - uint64(shift)<<5
	return time.Duration(v << shift), time.Duration((v+1)<<shift - 1)
}
