package incident

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// sample holds established connections by their initial sequence numbers, to find those that
// stand in the capture twice: of each pair of numbers the two earliest. It is a sum, as
// a table is: where there are too many pairs, those stay whose fixed hash is low. No two
// connections have much in common here, so they are put one behind the other, and only from
// time to time is it looked who has the same numbers.
type sample struct {
	// keep is the most pairs of numbers, share says which part is kept: 1 of 1<<share.
	keep, share int
	all         slab[view]
	// calm is how many may be there before it is looked what they have in common.
	calm int
	// slots are what unite works with, at places that the seed makes unpredictable.
	slots []int32
	seed  reassembly.Seed
}

// sampleOf: so many of the pairs of numbers, and one of so many more, may come before it is
// looked how many there are, which mostly lets half of them go; where it does not, because
// connections stand there twice, one of sampleMore of what is there. It costs some tens of
// instructions for each of them.
const sampleOf, sampleMore = 8, 4

// view is one of the connections that have both initial sequence numbers in common.
type view struct {
	// numbers are both initial sequence numbers, the client's first.
	numbers uint64
	tuple   wire.Tuple
	// frame is its first one, by which views are in order.
	frame       wire.FrameID
	start, last wire.Time
	// octets are the payload of each side without repetitions, missing those that the
	// capture lacks; ttl the hop limits.
	octets, missing [2]uint64
	ttl             [2]uint8
	// turned, began and isn are what its uid is made of, besides the tuple.
	turned bool
	isn    wire.Seq
	began  wire.Time
	// second is the place plus 1 of the next one with the same numbers, once all are united;
	// 0 if there is none, or this is it.
	second int32
}

// uid returns the connection's uid.
func (v *view) uid(layers func(wire.EncapID) []string) reassembly.UID {
	k := reassembly.UIDKey{Tuple: v.tuple, Start: v.began, ISN: v.isn}
	if v.turned {
		k.Tuple = v.tuple.Reverse()
	}
	return k.UID(layers(v.tuple.Encap))
}

// kept reports whether a pair of numbers is one of those that are kept.
func (x *sample) kept(numbers uint64) bool {
	return x.share == 0 || x.share <= 64 && numbersHash(numbers) <= math.MaxUint64>>x.share
}

// numbersHash is the fixed hash of a pair of numbers: that of a key of which they are the
// first word and the others are 0.
func numbersHash(numbers uint64) uint64 {
	high, low := bits.Mul64(hashFrom^numbers, hashBy)
	h := high ^ low ^ bits.RotateLeft64(numbers, 29)
	for range len(key{}) - 1 {
		high, low = bits.Mul64(h, hashBy)
		h = high ^ low
	}
	return hashEnd(h)
}

// next returns the room for a further view, of which the caller writes all, or nil if these
// numbers are not kept.
func (x *sample) next(numbers uint64) *view {
	if !x.kept(numbers) {
		return nil
	}
	if x.all.n >= x.calm {
		if x.calm = max(x.calm, x.keep+x.keep/sampleOf); x.all.n >= x.calm {
			x.settle()
			if !x.kept(numbers) {
				return nil
			}
		}
	}
	return x.all.add()
}

// settle gives up as much as it must.
func (x *sample) settle() {
	for x.all.n > x.keep && x.unite() > x.keep {
		x.share++
		x.drop()
	}
	x.calm = max(x.keep+x.keep/sampleOf, x.all.n+x.all.n/sampleMore) + 1
}

// drop lets those go that are not kept.
func (x *sample) drop() {
	n := int32(0)
	for i := range int32(x.all.n) {
		if x.kept(x.all.at(i).numbers) {
			if n < i {
				*x.all.at(n) = *x.all.at(i)
			}
			n++
		}
	}
	x.all.cut(int(n))
}

// unite leaves the two earliest views of each pair of numbers, the first of which knows where
// the second is, and returns how many pairs there are.
func (x *sample) unite() (pairs int) {
	size := max(16, 1<<bits.Len(uint(2*x.all.n)))
	if len(x.slots) != size {
		x.slots = make([]int32, size)
	} else {
		clear(x.slots)
	}
	shift := 64 - bits.TrailingZeros(uint(size))
	n := int32(0)
	for i := range int32(x.all.n) {
		v := x.all.at(i)
		high, low := bits.Mul64(v.numbers^x.seed.A, x.seed.B|1)
		at := int((high ^ low) >> shift)
		for x.slots[at] > 0 && x.all.at(x.slots[at]-1).numbers != v.numbers {
			at = (at + 1) & (size - 1)
		}
		v.second = 0
		if x.slots[at] == 0 {
			if n < i {
				*x.all.at(n) = *v
			}
			pairs, n = pairs+1, n+1
			x.slots[at] = n
			continue
		}
		first := x.all.at(x.slots[at] - 1)
		if first.second == 0 {
			*x.all.at(n) = *v
			n++
			first.second = n
		} else if x.all.at(first.second-1).compare(v) > 0 {
			*x.all.at(first.second - 1) = *v
		}
		if second := x.all.at(first.second - 1); first.compare(second) > 0 {
			at := first.second
			*first, *second = *second, *first
			first.second, second.second = at, 0
		}
	}
	x.all.cut(int(n))
	return pairs
}

// merge adds what o holds.
func (x *sample) merge(o *sample) {
	if o.share > x.share {
		x.share = o.share
		x.drop()
	}
	for i := range int32(o.all.n) {
		if to := x.next(o.all.at(i).numbers); to != nil {
			*to = *o.all.at(i)
		}
	}
}

// twice returns the places of those whose numbers another one has that is the same connection,
// in the order of their numbers.
func (x *sample) twice() (all []int32) {
	x.settle()
	x.unite()
	for i := range int32(x.all.n) {
		if v := x.all.at(i); v.second != 0 && v.same(x.all.at(v.second-1)) {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b int32) int { return cmp.Compare(x.all.at(a).numbers, x.all.at(b).numbers) })
	return all
}
