package pipeline

import (
	"math/bits"
	"slices"
)

// A connection is named by a stamp: the number of the batch that its first segment
// came in, and the segment's position there. Stamps grow as connections open.
const (
	stampShift = 10 // positions in a batch take so many bits
	stampMask  = 1<<stampShift - 1
)

// positions is a set of positions in a batch.
type positions [batchSegments / 64]uint64

func (p *positions) add(at uint16)      { p[at/64] |= 1 << (at % 64) }
func (p *positions) has(at uint16) bool { return p[at/64]>>(at%64)&1 != 0 }

// rank returns how many of the positions come before at.
func (p *positions) rank(at uint16) (n uint64) {
	for _, w := range p[:at/64] {
		n += uint64(bits.OnesCount64(w))
	}
	return n + uint64(bits.OnesCount64(p[at/64]&(1<<(at%64)-1)))
}

func (p *positions) count() (n int) {
	for _, w := range p {
		n += bits.OnesCount64(w)
	}
	return n
}

// numbers gives connections their numbers, from 1 in the order of their opening, and
// those of Wireshark's streams. It keeps, for each batch in which a connection opened
// that is still open, at which positions connections opened: a bit for each segment,
// from which a number is counted when it is asked for. So memory follows the open
// connections, however many there were.
type numbers struct {
	given uint64 // connections so far
	left  uint64 // of these have left
	// streams counts Wireshark's streams: one for each connection, and one for each
	// other that it begins in the middle of one.
	streams uint64
	epochs  window[epoch]
}

// epoch is what began in one batch.
type epoch struct {
	// given and streams are the numbers given before it.
	given, streams uint64
	open           int // connections that are still to leave
	opened         positions
	// joined are connections that Wireshark has in the stream of another one, splits
	// the positions at which it begins a stream within a connection. Both are rare.
	joined []member
	splits []uint16
}

// member is a connection and the number of the stream that it is in.
type member struct {
	at     uint16
	stream uint64
}

func newNumbers() numbers { return numbers{} }

// open returns how many connections are open.
func (n *numbers) open() uint64 { return n.given - n.left }

// add takes what began in the next batch: at which positions connections opened,
// which of them join the stream of another one, and where streams begin otherwise.
func (n *numbers) add(opened *positions, joins []joining, splits []uint16) {
	e := &epoch{given: n.given, streams: n.streams, open: opened.count(), opened: *opened}
	n.given += uint64(e.open)
	n.streams += uint64(e.open)
	if len(splits) > 0 {
		e.splits = slices.DeleteFunc(slices.Clone(splits), opened.has)
		slices.Sort(e.splits)
		e.splits = slices.Compact(e.splits)
		n.streams += uint64(len(e.splits))
	}
	if e.open == 0 {
		n.epochs.push(nil) // nobody will ask for it
		return
	}
	n.epochs.push(e)
	n.streams -= uint64(len(joins))
	slices.SortFunc(joins, func(a, b joining) int { return int(a.at) - int(b.at) })
	for _, j := range joins {
		// The other one may have opened in this very batch, and have joined before.
		e.joined = append(e.joined, member{j.at, n.stream(j.of)})
	}
}

// id returns the number of a connection that has not left.
func (n *numbers) id(stamp uint64) uint64 {
	e := n.epochs.at(stamp >> stampShift)
	return e.given + e.opened.rank(uint16(stamp&stampMask)) + 1
}

// stream returns the number of the first stream, from 0, of a connection that has not
// left.
func (n *numbers) stream(stamp uint64) uint64 {
	e, at := n.epochs.at(stamp>>stampShift), uint16(stamp&stampMask)
	number := e.streams + e.opened.rank(at)
	for _, j := range e.joined {
		if j.at == at {
			return j.stream
		}
		if j.at < at {
			number--
		}
	}
	for _, s := range e.splits {
		if s < at {
			number++
		}
	}
	return number
}

// leave takes note that so many connections that opened in a batch have left.
func (n *numbers) leave(batch uint64, count int) {
	n.left += uint64(count)
	e := n.epochs.at(batch)
	if e.open -= count; e.open == 0 {
		n.epochs.drop(batch)
	}
}

// portionSize is the number of connections that make a portion of the flush: enough to
// keep all workers busy for much longer than it takes to hand a batch around, little
// enough to hold several encoded.
const portionSize = 256

// portions cuts the open connections, in the order of their opening, into portions
// of at least portionSize, and returns the stamp at which each ends. What opened in
// one batch stays together. The last is for everything that is left, if it be nothing.
func (n *numbers) portions() []uint64 {
	var limits []uint64
	have := 0
	for _, p := range n.epochs.pages {
		if p.p == nil {
			continue
		}
		if have >= portionSize {
			limits = append(limits, p.number<<stampShift)
			have = 0
		}
		have += p.p.open
	}
	return append(limits, everything)
}

// window is a growing list of pages of which those are kept that are still needed: one
// that is needed for months costs nothing for all that came after it.
type window[P any] struct {
	pushed uint64    // pages there ever were
	pages  []page[P] // by number
	gone   int       // of pages that were dropped
}

type page[P any] struct {
	number uint64
	p      *P // nil: dropped
}

// push appends a page; nil is one that is not needed.
func (w *window[P]) push(p *P) {
	if p != nil {
		w.pages = append(w.pages, page[P]{w.pushed, p})
	}
	w.pushed++
}

// at returns page i of all there ever were.
func (w *window[P]) at(i uint64) *P { return w.pages[w.find(i)].p }

// find returns the place of page i, which is kept. Numbers differ, so it is no nearer to
// the end than the last number, and no further from the front than the first: where all
// pages are kept the two meet.
func (w *window[P]) find(i uint64) int {
	low := max(0, len(w.pages)-int(w.pushed-i))
	high := min(uint64(len(w.pages)-1), i-w.pages[0].number)
	for uint64(low) < high {
		if mid := (uint64(low) + high) / 2; w.pages[mid].number < i {
			low = int(mid) + 1
		} else {
			high = mid
		}
	}
	return low
}

// drop forgets page i, and moves the others together when half of them are gone: a
// constant cost per page.
func (w *window[P]) drop(i uint64) {
	w.pages[w.find(i)].p = nil
	if w.gone++; w.gone >= 16 && w.gone*2 >= len(w.pages) {
		w.pages = slices.DeleteFunc(w.pages, func(p page[P]) bool { return p.p == nil })
		w.gone = 0
	}
}
