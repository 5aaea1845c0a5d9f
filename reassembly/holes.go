package reassembly

import (
	"slices"

	"github.com/tcplife/tcplife/wire"
)

// holesMax bounds what one side may lack at a time. A path that loses one segment in
// fifty makes some 230 holes in 16 MiB under way; who has more than twice as many is better
// captured anew than followed to the last of them.
const holesMax = 512

// holes are the ranges of one side's sequence space, below what is known of it, that the
// capture has not held so far: sorted, disjoint, not adjacent. They are exact, because
// what fills them is told by them from what repeats. The zero value has none.
type holes struct {
	n   uint32
	few [14]Range // what fits in here needs no memory of its own
	// many holds all of them, if they have been more than that.
	many []Range
	// acked is the length of those that were given up for want of room after they had been
	// acknowledged; given is the end of the last one that had not, if any was (gave).
	acked uint64
	given wire.Seq
	gave  bool
}

// all returns the holes; the slice is valid until the next change.
func (h *holes) all() []Range {
	if h.many != nil {
		return h.many
	}
	return h.few[:h.n]
}

// add puts a hole in that begins no lower than the last one ends: holes are made at the
// front of what is sent.
func (h *holes) add(from, to wire.Seq) {
	if !to.After(from) {
		return
	}
	list := h.all()
	if n := len(list); n > 0 && list[n-1].To == from {
		list[n-1].To = to
		return
	}
	h.insert(len(list), Range{from, to})
}

// bound lets the lowest holes go while there are too many, or while they lie so far behind
// next, the end of what is known, that numbers may come round to them: they are filled
// next, or never. acked is up to where the other side has acknowledged, if that is known.
func (h *holes) bound(next, acked wire.Seq, known bool) {
	h.gave = h.gave && !(known && !h.given.After(acked))
	for {
		list := h.all()
		if len(list) <= holesMax && (len(list) == 0 || next.Sub(list[0].From) <= acceptSpan) {
			return
		}
		if low := list[0]; known && !low.To.After(acked) {
			h.acked += uint64(low.Len())
		} else {
			h.given, h.gave = low.To, true
		}
		h.drop(0, 1)
	}
}

// remove takes out what a segment fills, and returns how many numbers that are.
func (h *holes) remove(from, to wire.Seq) (filled uint32) {
	if !to.After(from) {
		return 0
	}
	list := h.all()
	first := 0 // the first hole that ends behind from
	for beyond := len(list); first < beyond; {
		if mid := (first + beyond) / 2; list[mid].To.After(from) {
			beyond = mid
		} else {
			first = mid + 1
		}
	}
	last := first // the first one behind it that the segment leaves as it is
	var rest [2]Range
	n := 0
	for ; last < len(list) && list[last].From.Before(to); last++ {
		r := list[last]
		filled += uint32(earlier(r.To, to) - later(r.From, from))
		if r.From.Before(from) {
			rest[n], n = Range{r.From, from}, n+1
		}
		if r.To.After(to) {
			rest[n], n = Range{to, r.To}, n+1
		}
	}
	switch kept := copy(list[first:last], rest[:n]); {
	case kept < n:
		h.insert(first+kept, rest[kept]) // one became two
	case first+kept < last:
		h.drop(first+kept, last)
	}
	return filled
}

// insert puts a hole in at a place.
func (h *holes) insert(at int, r Range) {
	switch {
	case h.many != nil:
		h.many = slices.Insert(h.many, at, r)
	case int(h.n) < len(h.few):
		copy(h.few[at+1:h.n+1], h.few[at:h.n])
		h.few[at] = r
		h.n++
	default:
		h.many = make([]Range, 0, 4*len(h.few))
		h.many = append(append(append(h.many, h.few[:at]...), r), h.few[at:]...)
	}
}

// drop takes out the holes from a place up to another.
func (h *holes) drop(from, to int) {
	if h.many != nil {
		h.many = slices.Delete(h.many, from, to)
		return
	}
	copy(h.few[from:], h.few[to:h.n])
	h.n -= uint32(to - from)
}

// told appends the holes below acked, up to where the other side has acknowledged, if that
// is known: those that lie closest together as one, so that they are no more than a reader
// looks at. n is how many numbers those are that were acknowledged, without what lies
// between; open reports whether the side also sent something that was neither captured nor
// acknowledged.
func (h *holes) told(list []Range, acked wire.Seq, known bool) (_ []Range, n uint64, open bool) {
	if !known {
		return list, 0, h.gave || len(h.all()) > 0
	}
	open = h.gave && h.given.After(acked)
	n = h.acked
	var told Ranges
	for _, m := range h.all() {
		if m.To.After(acked) {
			open = true
			m.To = acked
		}
		if m.To.After(m.From) {
			told.Add(m.From, m.To)
			n += uint64(m.Len())
		}
	}
	return append(list, told.All()...), n, open
}

// octets is what they take beside the extent.
func (h *holes) octets() int { return len(h.many) * octets[Range]() }
