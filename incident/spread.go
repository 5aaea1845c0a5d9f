package incident

import (
	"math/bits"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// spread counts durations by size: four buckets to each power of two, from a
// millisecond to twelve days, and the shortest and the longest exactly. A bucket is at
// most a quarter of what falls into it wide.
type spread struct {
	// In front, as the shortest durations are: the commonest change one line of the cache.
	min, max time.Duration
	n        counts
	count    uint32
}

const spreadSize = 4 * 30

const _ = uint(countsSize - spreadSize) // buckets are counted as numbers

func spreadOf(d time.Duration) int {
	ms := uint64(max(d, 0) / time.Millisecond)
	if ms < 4 {
		return int(ms)
	}
	shift := bits.Len64(ms) - 3
	return min(shift<<2+int(ms>>shift), spreadSize-1)
}

// highest returns the longest duration that falls into a bucket.
func highest(i int) time.Duration {
	if i < 8 {
		return time.Duration(i+1)*time.Millisecond - 1
	}
	shift := i>>2 - 1
	return time.Duration((uint64(i&3|4)+1)<<shift)*time.Millisecond - 1
}

func (s *spread) add(d time.Duration) {
	s.n.add(spreadOf(d), 1)
	if s.count == 0 || d < s.min {
		s.min = d
	}
	s.max = max(s.max, d)
	s.count++
}

func (s *spread) merge(o *spread) {
	if o.count == 0 {
		return
	}
	s.n.merge(&o.n)
	if s.count == 0 || o.min < s.min {
		s.min = o.min
	}
	s.max = max(s.max, o.max)
	s.count += o.count
}

// percentile returns a duration that p percent of those counted do not exceed, and at
// most a quarter more than need be; 0 if there is none.
func (s *spread) percentile(p uint64) time.Duration {
	rank, seen := (uint64(s.count)*p+99)/100, uint64(0)
	for i, n := range s.n.list() {
		if seen += uint64(n); i < spreadSize-1 && n > 0 && seen >= max(rank, 1) {
			return max(min(highest(i), s.max), s.min)
		}
	}
	return s.max
}

// within returns how many durations were counted in the buckets of lo and hi and
// between them.
func (s *spread) within(lo, hi time.Duration) (n uint32) {
	for i := spreadOf(lo); i <= spreadOf(hi); i++ {
		n += s.n.times(i)
	}
	return n
}

// pulse counts events in a fixed number of intervals that are wide enough to span all
// of them: from some milliseconds on, doubling. Its width depends on the first and the
// last event alone.
type pulse struct {
	shift       uint8
	some        bool
	first, last int64 // intervals
	n           [pulseSize]uint32
}

const (
	pulseSize = 64
	// pulseShift is the logarithm of the finest width, 8.4 ms.
	pulseShift = 23
)

func (p *pulse) add(at wire.Time) {
	if !p.some {
		p.some, p.shift = true, pulseShift
		p.first = int64(at) >> p.shift
		p.last = p.first
	}
	b := int64(at) >> p.shift
	for max(p.last, b)-min(p.first, b) >= pulseSize {
		p.widen()
		b = int64(at) >> p.shift
	}
	p.first, p.last = min(p.first, b), max(p.last, b)
	p.n[uint64(b)%pulseSize]++
}

func (p *pulse) widen() {
	old := *p
	p.shift++
	p.first, p.last = p.first>>1, p.last>>1
	p.n = [pulseSize]uint32{}
	for b := old.first; b <= old.last; b++ {
		p.n[uint64(b>>1)%pulseSize] += old.n[uint64(b)%pulseSize]
	}
}

func (p *pulse) merge(o *pulse) {
	if !o.some {
		return
	}
	if !p.some {
		*p = *o
		return
	}
	q := *o
	for p.shift < q.shift {
		p.widen()
	}
	for q.shift < p.shift {
		q.widen()
	}
	for max(p.last, q.last)-min(p.first, q.first) >= pulseSize {
		p.widen()
		q.widen()
	}
	p.first, p.last = min(p.first, q.first), max(p.last, q.last)
	for b := q.first; b <= q.last; b++ {
		p.n[uint64(b)%pulseSize] += q.n[uint64(b)%pulseSize]
	}
}

// lasted returns when the first event was and how long it took to the last one, in whole
// intervals.
func (p *pulse) lasted() (from wire.Time, d time.Duration) {
	return wire.Time(p.first << p.shift), time.Duration(p.last-p.first+1) << p.shift
}

// busiest returns the most events in d, or in the shortest time longer than that which
// the pulse still tells, from when on, and how long that time is.
func (p *pulse) busiest(d time.Duration) (n uint64, from wire.Time, span time.Duration) {
	if !p.some {
		return 0, 0, 0
	}
	width := time.Duration(1) << p.shift
	many := max(int64(d/width), 1)
	span = time.Duration(many) * width
	sum := uint64(0)
	for b := p.first; b <= p.last; b++ {
		sum += uint64(p.n[uint64(b)%pulseSize])
		if out := b - many; out >= p.first {
			sum -= uint64(p.n[uint64(out)%pulseSize])
		}
		if sum > n {
			n, from = sum, wire.Time(max(b-many+1, p.first)<<p.shift)
		}
	}
	return n, from, span
}
