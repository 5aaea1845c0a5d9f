package census

import (
	"cmp"
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// curve is how a number rises and falls over time: at which instants it went up and
// down, in any order. It is exact as long as there are few enough such instants.
// When there are too many, all are moved up to multiples of a width that doubles
// until few enough are left. So its values at those multiples stay exact, whatever
// happened between; and since the width depends on the instants alone, not on their
// order, curves of parts merge into the curve of the whole.
type curve struct {
	// width is what the instants are multiples of, in nanoseconds since 1970; 0
	// stands for 1, the exact times.
	width  int64
	points []point
	// tidy is the number of points at the front that are in order of time, no two
	// at the same.
	tidy int
}

// point is an instant at which the number changes: 16 octets.
type point struct {
	at       wire.Time
	up, down uint32
}

// budget bounds the points of all curves of a census together.
type budget struct {
	// points is how many there are, limit how many one curve may have when it is
	// tidied up.
	points, limit int
	scratch       []point // of sorting
}

// span adds one to the curve from an instant up to another, which may be Forever.
func (k *curve) span(from, to wire.Time, b *budget) {
	k.change(point{at: from, up: 1}, b)
	if to != Forever {
		k.change(point{at: to, down: 1}, b)
	}
}

func (k *curve) change(p point, b *budget) {
	p.at = roundUp(p.at, k.width)
	if n := len(k.points); n > 0 && k.points[n-1].at == p.at {
		k.points[n-1].up += p.up
		k.points[n-1].down += p.down
		return
	}
	k.points = append(k.points, p)
	b.points++
	// So much room between two sortings that each costs little for each point.
	if len(k.points) >= 2*k.tidy+64 {
		k.settle(b)
	}
}

// settle puts the points in order, and coarsens the curve until they are few enough.
func (k *curve) settle(b *budget) {
	was := len(k.points)
	if k.tidy < was {
		k.sort(b)
		k.fold()
	}
	for len(k.points) > b.limit && k.width < 1<<61 {
		k.width = max(k.width, 1) * 2
		for i := range k.points {
			k.points[i].at = roundUp(k.points[i].at, k.width)
		}
		k.fold()
	}
	k.tidy = len(k.points)
	b.points -= was - k.tidy
}

// sort puts the points behind the tidy ones among them.
func (k *curve) sort(b *budget) {
	tail := k.points[k.tidy:]
	slices.SortFunc(tail, func(x, y point) int { return cmp.Compare(x.at, y.at) })
	if k.tidy == 0 || k.points[k.tidy-1].at <= tail[0].at {
		return
	}
	b.scratch = append(b.scratch[:0], tail...)
	i, j := k.tidy-1, len(b.scratch)-1
	for at := len(k.points) - 1; j >= 0; at-- {
		if i >= 0 && k.points[i].at > b.scratch[j].at {
			k.points[at] = k.points[i]
			i--
		} else {
			k.points[at] = b.scratch[j]
			j--
		}
	}
}

// fold makes one point of those at one time, which follow each other.
func (k *curve) fold() {
	n := 0
	for _, p := range k.points {
		if n > 0 && k.points[n-1].at == p.at {
			k.points[n-1].up += p.up
			k.points[n-1].down += p.down
			continue
		}
		k.points[n] = p
		n++
	}
	k.points = k.points[:n]
}

// merge adds what o has and empties it: its width is then the one that it began
// with.
func (k *curve) merge(o *curve, start int64, b *budget) {
	if o.width > k.width {
		k.width = o.width
		for i := range k.points {
			k.points[i].at = roundUp(k.points[i].at, k.width)
		}
		k.tidy = 0
	}
	b.points -= len(o.points)
	for _, p := range o.points {
		k.change(p, b)
	}
	*o = curve{width: start, points: o.points[:0]}
	if cap(o.points) > 64 {
		o.points = nil
	}
}

// roundUp returns the first multiple of width at or after t.
func roundUp(t wire.Time, width int64) wire.Time {
	if width <= 1 {
		return t
	}
	rest := int64(t) % width
	if rest < 0 {
		rest += width
	}
	if rest == 0 {
		return t
	}
	if up := t + wire.Time(width-rest); up >= t {
		return up
	}
	return Forever - 1 // beyond what a time can be
}

// Peak is the highest value of a count.
type Peak struct {
	// Count is the value and At the first instant at which it was reached.
	Count uint64
	At    wire.Time
	// Within is 0 when Count is exact. Otherwise there were too many changes to keep
	// all: Count is the highest of the values at the multiples of Within, and between
	// them it was at most AtMost.
	Within time.Duration
	AtMost uint64
}

// peak returns the highest value of a settled curve.
func (k *curve) peak() (p Peak) {
	if k.width > 1 {
		p.Within = time.Duration(k.width)
	}
	level := int64(0)
	for _, x := range k.points {
		p.AtMost = max(p.AtMost, uint64(level+int64(x.up)))
		level += int64(x.up) - int64(x.down)
		if level > int64(p.Count) {
			p.Count, p.At = uint64(level), x.at
		}
	}
	if p.Within == 0 {
		p.AtMost = p.Count
	}
	return p
}

// reading walks along a settled curve.
type reading struct {
	k     *curve
	i     int
	level int64
}

// at returns the value at an instant, which is not before the one asked for last.
func (r *reading) at(t wire.Time) uint64 {
	for r.i < len(r.k.points) && r.k.points[r.i].at <= t {
		r.level += int64(r.k.points[r.i].up) - int64(r.k.points[r.i].down)
		r.i++
	}
	return uint64(max(r.level, 0))
}
