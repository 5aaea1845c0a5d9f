package incident

import (
	"math/bits"

	"github.com/tcplife/tcplife/reassembly"
)

// index finds the place of a key in a list of keys: an open-addressing table of places,
// at most half full. A key's number is the upper half of its hash, so that another key's
// octets are hardly ever looked at in vain.
type index struct {
	slots []slot
	shift uint8 // of a number to its first slot
	// seed is another one in each run: whoever chooses addresses shall not choose where
	// they stand.
	seed reassembly.Seed
}

// slot is a key's number and its place plus 1; the zero slot is free.
type slot struct{ number, at uint32 }

func (x *index) number(k *key) uint32 {
	// Two words to a product, both mixed with the seed.
	a, b := bits.Mul64(k[clientLow]^x.seed.A, k[serverLow]^x.seed.B)
	c, d := bits.Mul64(k[clientHigh]^x.seed.B, k[serverHigh]^a^b)
	high, low := bits.Mul64(k[rest]^c^x.seed.A, d^x.seed.B^0xd6e8feb86659fd93)
	return uint32((high ^ low) >> 32)
}

// find returns the place of a key, -1 if it has none.
func (x *index) find(keys []key, k *key) int32 { return x.findBy(keys, k, x.number(k)) }

// findBy is find for those who have the key's number already.
func (x *index) findBy(keys []key, k *key, number uint32) int32 {
	if len(x.slots) == 0 {
		return -1
	}
	for i := number >> x.shift; ; i++ {
		s := x.slots[i&uint32(len(x.slots)-1)]
		if s.at == 0 {
			return -1
		}
		if s.number == number && keys[s.at-1].is(k) {
			return int32(s.at - 1)
		}
	}
}

// approach reads the slot at which the search for a number begins.
func (x *index) approach(number uint32) uint32 {
	if len(x.slots) == 0 {
		return 0
	}
	return x.slots[number>>x.shift&uint32(len(x.slots)-1)].at
}

// guess returns the place of the first key with a number, which mostly is the right one, -1 if
// there is none: it looks at no key.
func (x *index) guess(number uint32) int32 {
	if len(x.slots) == 0 {
		return -1
	}
	for i := number >> x.shift; ; i++ {
		s := x.slots[i&uint32(len(x.slots)-1)]
		if s.at == 0 || s.number == number {
			return int32(s.at) - 1
		}
	}
}

// add enters the last of the keys, which has no place yet.
func (x *index) add(keys []key) {
	if len(keys)*2 > len(x.slots) {
		old := x.slots
		x.resize(len(keys))
		for _, s := range old {
			if s.at != 0 {
				x.enter(s.number, int(s.at))
			}
		}
	}
	x.enter(x.number(&keys[len(keys)-1]), len(keys))
}

func (x *index) enter(number uint32, at int) {
	i := number >> x.shift
	for x.slots[i&uint32(len(x.slots)-1)].at != 0 {
		i++
	}
	x.slots[i&uint32(len(x.slots)-1)] = slot{number, uint32(at)}
}

// resize makes an empty table with room for as many keys again.
func (x *index) resize(keys int) {
	size := 16
	if keys > 0 {
		size = max(size, 1<<bits.Len(uint(4*keys-1)))
	}
	if len(x.slots) == size {
		clear(x.slots)
		return
	}
	x.slots, x.shift = make([]slot, size), uint8(32-bits.TrailingZeros(uint(size)))
	// Memory that is read before it is written is asked for twice, and at random places
	// reading comes first.
	const slotsPerPage = 4096 / 8
	for i := 0; i < size; i += slotsPerPage {
		x.slots[i] = slot{}
	}
}

// rebuild enters all keys anew: they have come to other places.
func (x *index) rebuild(keys []key) {
	x.resize(len(keys))
	for i := range keys {
		x.enter(x.number(&keys[i]), i+1)
	}
}
