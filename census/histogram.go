package census

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that widen with the value: 32 to each
// power of two, so that a bucket is at most 1/32 (3.2 %) of what falls into it
// wide, from one nanosecond to centuries. The zero value is empty.
type Histogram struct {
	count    uint64
	min, max time.Duration
	buckets  []uint64 // as long as the largest value needs
}

// subBits is the logarithm of the buckets to each power of two. More would not be
// read: percentiles are printed with two or three digits.
const subBits = 5

func bucketOf(d time.Duration) int {
	v := uint64(d)
	if v < 2<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift<<subBits + int(v>>shift)
}

// highest returns the largest duration that falls into bucket i.
func highest(i int) time.Duration {
	if i < 2<<subBits {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	v := uint64(i&(1<<subBits-1)) | 1<<subBits
	return time.Duration((v+1)<<shift - 1)
}

// Record counts one duration; one below zero counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	i := bucketOf(d)
	if i >= len(h.buckets) {
		h.buckets = append(h.buckets, make([]uint64, i+1-len(h.buckets))...)
	}
	h.buckets[i]++
	if h.count == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.count++
}

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.count == 0 {
		return
	}
	if n := len(o.buckets) - len(h.buckets); n > 0 {
		h.buckets = append(h.buckets, make([]uint64, n)...)
	}
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	if h.count == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.count += o.count
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 { return h.count }

// Min returns the shortest duration, exactly; 0 when there is none.
func (h *Histogram) Min() time.Duration { return h.min }

// Max returns the longest duration, exactly; 0 when there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Percentile returns a duration that p percent of those counted do not exceed: the
// upper end of the bucket that the nearest rank falls into, so at most 1/32 more
// than the exact value, and never more than Max. It is 0 when there is none.
func (h *Histogram) Percentile(p uint64) time.Duration {
	if h.count == 0 {
		return 0
	}
	// The nearest rank is count*p/100, rounded up; the product needs 128 bits.
	hi, lo := bits.Mul64(h.count, p)
	rank, rest := bits.Div64(hi, lo, 100)
	if rest > 0 {
		rank++
	}
	rank = max(rank, 1)
	seen := uint64(0)
	for i, n := range h.buckets {
		if seen += n; seen >= rank {
			return max(min(highest(i), h.max), h.min)
		}
	}
	return h.max
}

// Powers counts durations by powers of two of a microsecond, the buckets of bcc's
// tools: [0] holds 0 and 1, [1] 2 and 3, [2] 4 to 7. The zero value is empty.
type Powers [55]uint64 // 2^63 ns is below 2^54 us

// Record counts one duration.
func (p *Powers) Record(d time.Duration) {
	p[max(bits.Len64(uint64(max(d, 0)/time.Microsecond)), 1)-1]++
}

// Merge adds what o has counted.
func (p *Powers) Merge(o *Powers) {
	for i, n := range o {
		p[i] += n
	}
}

// Bounds returns the shortest duration of bucket i and the first beyond it.
func (p *Powers) Bounds(i int) (from, to time.Duration) {
	if i > 0 {
		from = time.Microsecond << i
	}
	if i >= 53 {
		return from, 1<<63 - 1
	}
	return from, time.Microsecond << (i + 1)
}

// Used returns the first and the last bucket in which something was counted; ok is
// false when there is none.
func (p *Powers) Used() (first, last int, ok bool) {
	for i, n := range p {
		if n > 0 {
			if !ok {
				first, ok = i, true
			}
			last = i
		}
	}
	return first, last, ok
}
