package reassembly

import "github.com/tcplife/tcplife/wire"

// Range is the sequence numbers from From up to, not including, To.
type Range struct{ From, To wire.Seq }

// Len returns how many sequence numbers the range holds.
func (r Range) Len() uint32 { return uint32(r.To - r.From) }

// rangesMax bounds the ranges that are told of a side: of more, nobody looks at the exact
// places. The two that lie closest together are joined then, which overstates them by the gap.
const rangesMax = 14

// Ranges is a sorted list of disjoint, non-adjacent ranges of one sequence space.
// All of it spans less than 2^31. The zero value is empty.
type Ranges struct {
	n uint32
	r [rangesMax]Range
	// Joined counts ranges that were joined because the list was full.
	joined uint32
}

// All returns the ranges; the slice is valid until the next change.
func (rs *Ranges) All() []Range { return rs.r[:rs.n] }

// Add puts a range in, joining it with what it overlaps or touches.
func (rs *Ranges) Add(from, to wire.Seq) {
	if !to.After(from) {
		return
	}
	i := uint32(0)
	for i < rs.n && rs.r[i].To.Before(from) {
		i++
	}
	j := i
	for j < rs.n && !rs.r[j].From.After(to) {
		if rs.r[j].From.Before(from) {
			from = rs.r[j].From
		}
		if rs.r[j].To.After(to) {
			to = rs.r[j].To
		}
		j++
	}
	if j > i {
		rs.r[i] = Range{from, to}
		copy(rs.r[i+1:], rs.r[j:rs.n])
		rs.n -= j - i - 1
		return
	}
	if rs.n == rangesMax {
		rs.join()
		rs.Add(from, to)
		return
	}
	copy(rs.r[i+1:rs.n+1], rs.r[i:rs.n])
	rs.r[i] = Range{from, to}
	rs.n++
}

// join makes one of the two neighbours that lie closest together.
func (rs *Ranges) join() {
	best, gap := uint32(0), ^uint32(0)
	for i := uint32(0); i+1 < rs.n; i++ {
		if g := uint32(rs.r[i+1].From - rs.r[i].To); g < gap {
			best, gap = i, g
		}
	}
	rs.r[best].To = rs.r[best+1].To
	copy(rs.r[best+1:], rs.r[best+2:rs.n])
	rs.n--
	rs.joined++
}
