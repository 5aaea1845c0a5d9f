package reassembly

import "github.com/tcplife/tcplife/wire"

// Range is the sequence numbers from From up to, not including, To.
type Range struct{ From, To wire.Seq }

// Len returns how many sequence numbers the range holds.
func (r Range) Len() uint32 { return uint32(r.To - r.From) }

// rangesMax bounds a side's ranges. A connection with more holes than that at one
// time is too broken for their exact places to matter; their sum is kept exact by
// joining the two that lie closest together, which overstates it by the gap.
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

// Sum returns how many numbers the ranges hold.
func (rs *Ranges) Sum() (n uint64) {
	for _, r := range rs.All() {
		n += uint64(r.Len())
	}
	return n
}

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

// Remove takes a range out and returns how many numbers of it were in.
func (rs *Ranges) Remove(from, to wire.Seq) (removed uint32) {
	if !to.After(from) {
		return 0
	}
	for i := uint32(0); i < rs.n; i++ {
		r := &rs.r[i]
		if !r.To.After(from) {
			continue
		}
		if !r.From.Before(to) {
			break
		}
		lo, hi := r.From, r.To
		if from.After(lo) {
			lo = from
		}
		if to.Before(hi) {
			hi = to
		}
		removed += uint32(hi - lo)
		switch {
		case lo == r.From && hi == r.To:
			copy(rs.r[i:], rs.r[i+1:rs.n])
			rs.n--
			i--
		case lo == r.From:
			r.From = hi
		case hi == r.To:
			r.To = lo
		default: // a hole in the middle: one range becomes two
			tail := Range{hi, r.To}
			r.To = lo
			if rs.n == rangesMax {
				// No place for the second: it is given back to the first, which
				// overstates by the part that was to go.
				r.To = tail.To
				rs.joined++
				return removed - uint32(hi-lo)
			}
			copy(rs.r[i+2:rs.n+1], rs.r[i+1:rs.n])
			rs.r[i+1] = tail
			rs.n++
			return removed
		}
	}
	return removed
}
