package incident

import (
	"cmp"
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// kind is something that happens to connections and is counted over time.
type kind uint8

// The kinds. A connection that is over has one of the six ends.
const (
	// opened: it was established, by a SYN that the capture holds; see met.
	opened kind = iota
	// The ends: who closed, and whether it cost data or an error. device is a RST that
	// neither side sent, forgotten that of a host without that socket, which ends nothing
	// that was not over.
	softClient
	softServer
	hardClient
	hardServer
	device
	forgotten
	// The other side closed by itself as well, before it knew of the close: by FIN, and
	// by RST.
	tooClient
	tooServer
	tooHardClient
	tooHardServer
	// idled: the close came after a silence (see reassembly.Idle). Of a listener its own, of
	// a pair the client's.
	idled
	// timeWait: an endpoint came into TIME_WAIT, of a listener its own, of a pair the
	// client's; reused: its ports opened anew before that was over, at due.
	timeWait
	reused
	due
	// stood: an endpoint came into CLOSE_WAIT and stayed for closeWait or longer;
	// leftCloseWait: it went on. Of a listener its own, of a pair the client's.
	stood
	leftCloseWait
	// met: the first segment of a connection that was open before the capture began.
	met

	kinds
)

// ends are the kinds of end.
var ends = [...]kind{softClient, softServer, hardClient, hardServer, device, forgotten}

// kindSet is a set of kinds.
type kindSet uint32

func kindsOf(all ...kind) (s kindSet) {
	for _, k := range all {
		s |= 1 << k
	}
	return s
}

func (s kindSet) has(k kind) bool { return s>>k&1 != 0 }

// point counts what happened in one interval: its number, since 1970, in two halves, the kind, and
// how often it did. There are some five of them to a connection, and so they take no octet more than
// that needs.
type point struct {
	low  uint32
	high uint32
	much uint32 // how often, above the kind
}

// kindBits are those of a kind in a point; mostOf is the most that a point counts. Of what
// happened more often there are more points, alike, of which all but the first count so much.
const (
	kindBits = 5
	mostOf   = 1<<(32-kindBits) - 1

	_ = uint(1<<kindBits - kinds)
)

// pointOf returns the point of an interval in which something happened n times, at most mostOf.
func pointOf(at int64, what kind, n uint32) point {
	return point{uint32(at), uint32(at >> 32), n<<kindBits | uint32(what)}
}

func (p *point) at() int64  { return int64(uint64(p.high)<<32 | uint64(p.low)) }
func (p *point) n() uint32  { return p.much >> kindBits }
func (p *point) what() kind { return kind(p.much & (1<<kindBits - 1)) }

// widen has the point stand in an interval so many times as wide.
func (p *point) widen(shift uint8) { *p = pointOf(p.at()>>shift, p.what(), p.n()) }

func (p point) compare(q point) int {
	if a, b := p.at(), q.at(); a != b {
		return cmp.Compare(a, b)
	}
	return int(p.what()) - int(q.what())
}

// before reports whether a point comes before another one in their order, like whether they
// are to be one.
func (p *point) before(q *point) bool {
	a, b := p.at(), q.at()
	return a < b || a == b && p.what() < q.what()
}

func (p *point) like(q *point) bool {
	return p.low == q.low && p.high == q.high && p.what() == q.what()
}

// take adds what a point like this one counts, and returns how much of that is left for another
// one that comes before it.
func (p *point) take(n uint32) (left uint32) {
	left = n - min(n, mostOf-p.n())
	p.much += (n - left) << kindBits
	return left
}

// chronicle counts events by kind over time. It is exact, to the nanosecond, until
// there are more instants than it may have; then time is divided into intervals whose
// width doubles until they are few enough. Which width that is depends on the events
// and the bound alone.
type chronicle struct {
	// shift is the logarithm of the width in nanoseconds.
	shift uint8
	// points are in order, no two of them alike.
	points []point
}

// widest is the largest width: 2^62 ns, more than any capture lasts.
const widest = 62

// settle widens the intervals until there are at most so many.
func (c *chronicle) settle(most int) {
	for len(c.points) > most && c.shift < widest {
		c.widen()
	}
}

// begin makes points of exact times and in no order its first ones.
func (c *chronicle) begin(points []point) {
	if c.shift > 0 {
		for i := range points {
			points[i].widen(c.shift)
		}
	}
	sortPoints(points)
	c.points = unite(points)
}

// mergeInto puts the points, and further ones of exact times and in no order, at the end of
// to, and returns how many points of to are left before them. The points may lie in to, before
// that place or at it.
func (c *chronicle) mergeInto(to, more []point) (left int) {
	if c.shift > 0 {
		for i := range more {
			more[i].widen(c.shift)
		}
	}
	sortPoints(more)
	old, at := c.points, len(to)
	for len(more) > 0 {
		p := &more[len(more)-1]
		if n := len(old); n > 0 && p.before(&old[n-1]) {
			p, old = &old[n-1], old[:n-1]
		} else {
			more = more[:len(more)-1]
		}
		next := *p
		if at < len(to) && next.like(&to[at]) {
			left := to[at].take(next.n())
			if left == 0 {
				continue
			}
			next = pointOf(next.at(), next.what(), left)
		}
		at--
		to[at] = next
	}
	for n := len(old); n > 0 && at < len(to) && old[n-1].like(&to[at]); n = len(old) {
		left := to[at].take(old[n-1].n())
		if left > 0 {
			at--
			to[at] = pointOf(to[at+1].at(), to[at+1].what(), left)
		}
		old = old[:n-1]
	}
	copy(to[at-len(old):at], old) // where they are, as a rule
	at -= len(old)
	c.points = to[at:]
	return at
}

// nearby is how many places each point may be moved on average, one by one, before all are
// sorted. Most connections are told of in the order in which they began, give or take a few.
const nearby = 16

// sortPoints puts points in order.
func sortPoints(points []point) {
	moves := nearby * len(points)
	for i := 1; i < len(points); i++ {
		if !points[i].before(&points[i-1]) {
			continue
		}
		p, j := points[i], i
		for ; j > 0 && p.before(&points[j-1]); j-- {
			points[j] = points[j-1]
		}
		points[j] = p
		if moves -= i - j; moves < 0 {
			slices.SortFunc(points, point.compare)
			return
		}
	}
}

// cost is the least of most and the number of exact instants that were added, of which
// a chronicle that is not exact any more had more than most.
func (c *chronicle) cost(most int) int {
	if c.shift > 0 {
		return most
	}
	return len(c.points)
}

// widen doubles the intervals of points that are in order.
func (c *chronicle) widen() {
	c.shift++
	for i := range c.points {
		c.points[i].widen(1)
	}
	c.fold()
}

// fold makes one point of those that are alike; the intervals are in order.
func (c *chronicle) fold() {
	n := 0
	for from := 0; from < len(c.points); {
		at := c.points[from].at()
		to := from + 1
		for to < len(c.points) && c.points[to].at() == at {
			to++
		}
		switch to - from {
		case 1:
			c.points[n] = c.points[from]
			n++
		case 2:
			p, q := c.points[from], c.points[from+1]
			if q.what() < p.what() {
				p, q = q, p
			}
			if p.what() == q.what() {
				n += put(c.points[n:], at, p.what(), uint64(p.n())+uint64(q.n()))
				break
			}
			c.points[n], c.points[n+1] = p, q
			n += 2
		default:
			// There are no more to put than there were, so nothing is overwritten unread.
			var counts [kinds]uint64
			for i := from; i < to; i++ {
				p := &c.points[i]
				counts[p.what()] += uint64(p.n())
			}
			for k, many := range counts {
				if many > 0 {
					n += put(c.points[n:], at, kind(k), many)
				}
			}
		}
		from = to
	}
	c.points = c.points[:n]
}

// unite makes one of points that are alike and stand side by side.
func unite(points []point) []point {
	n := 0
	for from := 0; from < len(points); {
		p, to := points[from], from+1
		if to == len(points) || !p.like(&points[to]) {
			points[n] = p
			n, from = n+1, to
			continue
		}
		many := uint64(p.n())
		for ; to < len(points) && p.like(&points[to]); to++ {
			many += uint64(points[to].n())
		}
		n += put(points[n:], p.at(), p.what(), many)
		from = to
	}
	return points[:n]
}

// put writes that something happened many times, and returns how many points that takes.
func put(to []point, at int64, what kind, many uint64) (n int) {
	to[0] = pointOf(at, what, uint32((many-1)%mostOf+1))
	for n = 1; uint64(n) <= (many-1)/mostOf; n++ {
		to[n] = pointOf(at, what, mostOf)
	}
	return n
}

// width is how wide the intervals are.
func (c *chronicle) width() time.Duration { return 1 << c.shift }

// from returns the first instant of a point's interval, to the last.
func (c *chronicle) from(p point) wire.Time { return wire.Time(p.at() << c.shift) }
func (c *chronicle) to(p point) wire.Time   { return wire.Time((p.at()+1)<<c.shift - 1) }

// moments calls do for each interval in which something happened, with its first and
// last instant and what happened by kind. The counts are do's until it returns: they
// escape, and there are as many intervals as connections.
func (c *chronicle) moments(do func(from, to wire.Time, n *[kinds]uint32)) {
	n := new([kinds]uint32)
	for i := 0; i < len(c.points); {
		j := i
		for at := c.points[i].at(); j < len(c.points) && c.points[j].at() == at; j++ {
			n[c.points[j].what()] += c.points[j].n()
		}
		do(c.from(c.points[i]), c.to(c.points[i]), n)
		for ; i < j; i++ {
			n[c.points[i].what()] = 0
		}
	}
}

// count returns how often something happened.
func (c *chronicle) count(what kind) (n uint64) {
	for i := range c.points {
		if c.points[i].what() == what {
			n += uint64(c.points[i].n())
		}
	}
	return n
}

// joiner adds chronicles up, again and again in the same memory.
type joiner struct {
	sum  chronicle
	into []point
	ends []int // of the runs that are in order
	// parts and halves are for those who look at chronicles before they are added up.
	parts  []*chronicle
	halves []halfSecond
	// exact: mayBurst excludes next to nothing. For tests.
	exact bool
}

// join returns the sum of chronicles that are settled, as far as some kinds go, at the widest
// of their widths. It is valid until the next call, may be one of them, with other kinds too,
// and must not be changed.
func (j *joiner) join(all []*chronicle, kinds kindSet) *chronicle {
	if len(all) == 1 {
		return all[0]
	}
	j.sum = chronicle{points: j.sum.points[:0]}
	for _, c := range all {
		j.sum.shift = max(j.sum.shift, c.shift)
	}
	j.ends = j.ends[:0]
	for _, c := range all {
		for _, p := range c.points {
			if kinds.has(p.what()) {
				if by := j.sum.shift - c.shift; by > 0 {
					p.widen(by)
				}
				j.sum.points = append(j.sum.points, p)
			}
		}
		from := 0
		if n := len(j.ends); n > 0 {
			from = j.ends[n-1]
		}
		if c.shift < j.sum.shift {
			slices.SortFunc(j.sum.points[from:], point.compare) // within an interval they are not, any more
		}
		j.ends = append(j.ends, len(j.sum.points))
	}
	// Two and two, so that each point is moved only as often as there are doublings.
	for len(j.ends) > 1 {
		j.into = slices.Grow(j.into[:0], len(j.sum.points))
		n, from := 0, 0
		for i := 0; i < len(j.ends); i += 2 {
			mid := j.ends[i]
			to := mid
			if i+1 < len(j.ends) {
				to = j.ends[i+1]
			}
			j.into = appendMerged(j.into, j.sum.points[from:mid], j.sum.points[mid:to])
			j.ends[n] = len(j.into)
			n, from = n+1, to
		}
		j.ends = j.ends[:n]
		j.sum.points, j.into = j.into, j.sum.points
	}
	j.sum.points = unite(j.sum.points)
	return &j.sum
}

// appendMerged appends the points of two lists that are in order, in order.
func appendMerged(to, a, b []point) []point {
	for len(a) > 0 && len(b) > 0 {
		if p, q := &a[0], &b[0]; !q.before(p) {
			to, a = append(to, *p), a[1:]
		} else {
			to, b = append(to, *q), b[1:]
		}
	}
	return append(append(to, a...), b...)
}
