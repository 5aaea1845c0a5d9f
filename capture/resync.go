package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Behind damage, records are looked for whose headers can be, one behind the other,
// near in time to the last one before it. Nothing says for certain where a record
// begins, so the criteria are strict: a frame that was never captured would be worse
// than one that is missed. In random octets a header alone passes once in 2^40
// octets (microseconds) or 2^30 (nanoseconds), and three have to follow each other.

const (
	// neighbourhood is how far apart in time, in seconds, neighbouring frames are
	// believed to be. Captures that pause for longer are read all the same: only
	// behind damage, or with something else wrong, does it tell.
	neighbourhood = 24 * 60 * 60
	// chainLen headers in a row make a find; fewer where the input ends. farChainLen
	// have to if they are far in time from the last record, which may itself have
	// been none.
	chainLen    = 3
	farChainLen = 8
)

// recordHead is a record's header, in its format's units.
type recordHead struct {
	sec, sub, caplen, length uint32
	// size is that of the whole record, in octets.
	size int
}

// soundLengths is the part of soundness that all formats share. A frame of nothing
// would be found in every hole of zeros.
func soundLengths(h recordHead) bool {
	return h.caplen > 0 && h.caplen <= h.length && h.length <= maxFrame
}

// near reports whether two whole seconds lie in one neighbourhood.
func near(a, b uint32) bool { return a-b+neighbourhood <= 2*neighbourhood }

// records is a format of records that follow each other, as resync needs to know it.
type records interface {
	headLen() int
	// lengths returns where in a header both lengths stand, side by side, and their
	// byte order.
	lengths() (at int, big bool)
	// readHead reads the header that b, of at least headLen octets, begins with.
	readHead(b []byte) recordHead
	// sound reports whether a header can be one.
	sound(h recordHead) bool
	// lastSecond is the time of the last frame, when there was one.
	lastSecond() uint32
}

const lostHere = "what follows cannot be found"

// resync passes over the damaged record at the input's head, and returns the damage
// with what it passed over. The input is then at the next record, or at its end.
func (s *stream) resync(at int64, what string, f records) error {
	found := s.findRecord(f)
	return s.passedOver(at, what, found, "record")
}

// passedOver ends a search that began at the offset at.
func (s *stream) passedOver(at int64, what string, found bool, unit string) error {
	in := s.in
	if !found {
		in.r = in.w
		if err := s.ended(); err != nil {
			return err
		}
		s.over = true
		return s.damage(at, fmt.Sprintf("%s; the %d octets from there to the end are passed over", what, in.offset()-at), lostHere, nil)
	}
	return s.damage(at, fmt.Sprintf("%s; %d octets are passed over, and reading goes on with the %s at byte %d", what, in.offset()-at, unit, in.offset()), "", nil)
}

// findRecord brings the input to the next place where a chain of records begins.
func (s *stream) findRecord(f records) bool {
	in := s.in
	in.r++
	n := f.headLen()
	for in.need(n) {
		// A chain may take more octets than there are in the buffer, which then
		// moves.
		for in.w-in.r >= n {
			in.r += unlikely(f, in.buf[in.r:in.w])
			if in.w-in.r < n {
				break
			}
			if s.chain(f, 0) {
				return true
			}
			in.r++
		}
	}
	return false
}

// unlikely returns how many octets at the begin of b, at least a header, begin no
// header for the lengths that it would have. It makes the search some ten times as
// fast, and a hole may have the size of a disk.
func unlikely(f records, b []byte) int {
	at, big := f.lengths()
	// The last place for a header.
	last := len(b) - f.headLen()
	b = b[at:]
	for i := 0; i <= last; i++ {
		one, other := binary.LittleEndian.Uint32(b[i:]), binary.LittleEndian.Uint32(b[i+4:])
		if big {
			one, other = bits.ReverseBytes32(one), bits.ReverseBytes32(other)
		}
		if one-1 < maxFrame && other-1 < maxFrame {
			return i
		}
	}
	return last + 1
}

// recordWithin returns where in the record at the input's head, of size octets, a
// chain of other records begins, or 0.
func (s *stream) recordWithin(f records, size int) int {
	for at := 1; at < size && s.in.need(at+f.headLen()); at++ {
		if s.chain(f, at) {
			return at
		}
	}
	return 0
}

// chain reports whether a record begins at octets behind the input's head that
// others follow: chainLen in all, or as many up to the end of the input, where the
// last may be cut off unless it is the only one.
func (s *stream) chain(f records, at int) bool {
	in := s.in
	h := f.readHead(in.buf[in.r+at : in.w])
	if !f.sound(h) {
		return false
	}
	length := chainLen
	if s.info.Frames > 0 && !near(h.sec, f.lastSecond()) {
		length = farChainLen
	}
	n := f.headLen()
	for k := 1; k < length; k++ {
		at += h.size
		if !in.need(at + n) {
			return (k > 1 || in.w-in.r >= at) && (length == chainLen || k >= chainLen)
		}
		next := f.readHead(in.buf[in.r+at : in.w])
		if !f.sound(next) || !near(next.sec, h.sec) {
			return false
		}
		h = next
	}
	return true
}
