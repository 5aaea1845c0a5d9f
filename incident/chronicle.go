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

// point counts what happened in one interval.
type point struct {
	at   int64 // the interval's number, since 1970
	n    uint32
	what kind
}

func (p point) compare(q point) int {
	if p.at != q.at {
		return cmp.Compare(p.at, q.at)
	}
	return int(p.what) - int(q.what)
}

// before reports whether a point comes before another one in their order, like whether they
// are to be one.
func (p *point) before(q *point) bool { return p.at < q.at || p.at == q.at && p.what < q.what }
func (p *point) like(q *point) bool   { return p.at == q.at && p.what == q.what }

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
			points[i].at >>= c.shift
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
			more[i].at >>= c.shift
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
		if at < len(to) && p.like(&to[at]) {
			to[at].n += p.n
			continue
		}
		at--
		to[at] = *p
	}
	if n := len(old); n > 0 && at < len(to) && old[n-1].like(&to[at]) {
		to[at].n += old[n-1].n
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
		c.points[i].at >>= 1
	}
	c.fold()
}

// fold makes one point of those that are alike; the intervals are in order.
func (c *chronicle) fold() {
	n := 0
	for from := 0; from < len(c.points); {
		at := c.points[from].at
		to := from + 1
		for to < len(c.points) && c.points[to].at == at {
			to++
		}
		switch to - from {
		case 1:
			c.points[n] = c.points[from]
			n++
		case 2:
			p, q := c.points[from], c.points[from+1]
			if q.what < p.what {
				p, q = q, p
			}
			if p.what == q.what {
				p.n += q.n
				c.points[n] = p
				n++
				break
			}
			c.points[n], c.points[n+1] = p, q
			n += 2
		default:
			// There are at most as many kinds as points, so nothing is overwritten unread.
			var counts [kinds]uint32
			for _, p := range c.points[from:to] {
				counts[p.what] += p.n
			}
			for k, many := range counts {
				if many > 0 {
					c.points[n] = point{at: at, n: many, what: kind(k)}
					n++
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
	for _, p := range points {
		if n > 0 && points[n-1].at == p.at && points[n-1].what == p.what {
			points[n-1].n += p.n
			continue
		}
		points[n] = p
		n++
	}
	return points[:n]
}

// width is how wide the intervals are.
func (c *chronicle) width() time.Duration { return 1 << c.shift }

// from returns the first instant of a point's interval, to the last.
func (c *chronicle) from(p point) wire.Time { return wire.Time(p.at << c.shift) }
func (c *chronicle) to(p point) wire.Time   { return wire.Time((p.at+1)<<c.shift - 1) }

// moments calls do for each interval in which something happened, with its first and
// last instant and what happened by kind. The counts are do's until it returns: they
// escape, and there are as many intervals as connections.
func (c *chronicle) moments(do func(from, to wire.Time, n *[kinds]uint32)) {
	n := new([kinds]uint32)
	for i := 0; i < len(c.points); {
		j := i
		for ; j < len(c.points) && c.points[j].at == c.points[i].at; j++ {
			n[c.points[j].what] += c.points[j].n
		}
		do(c.from(c.points[i]), c.to(c.points[i]), n)
		for ; i < j; i++ {
			n[c.points[i].what] = 0
		}
	}
}

// count returns how often something happened.
func (c *chronicle) count(what kind) (n uint64) {
	for i := range c.points {
		if c.points[i].what == what {
			n += uint64(c.points[i].n)
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
			if kinds.has(p.what) {
				p.at >>= j.sum.shift - c.shift
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
		if p, q := &a[0], &b[0]; p.at < q.at || p.at == q.at && p.what <= q.what {
			to, a = append(to, *p), a[1:]
		} else {
			to, b = append(to, *q), b[1:]
		}
	}
	return append(append(to, a...), b...)
}
