package reassembly

import (
	"math/bits"

	"github.com/tcplife/tcplife/wire"
)

// UIDKey is what a connection's uid is made of besides its encapsulation path's
// content: the same connection has the same key in every report.
type UIDKey struct {
	// Tuple runs from the client to the server.
	Tuple wire.Tuple
	Start wire.Time
	// ISN is the first segment's sequence number: the client's ISN unless the
	// capture began later.
	ISN wire.Seq
}

// UID names a connection in every report: a hash over the tuple, the encapsulation path,
// the first time and the first sequence number. 64 bits make a chance of one in 37 million
// that two of a million connections share one.
//
// The tuple runs from client to server. Of a connection whose opening was not
// captured the roles are a guess, but one made from its first segment alone; so
// the same capture always gives the same uid.
type UID uint64

// UID returns the uid of a connection behind the layers of an encapsulation path.
func (k *UIDKey) UID(layers []string) UID {
	h := fnv64(0xcbf29ce484222325)
	h.word(k.Tuple.Src.Hi)
	h.word(k.Tuple.Src.Lo)
	h.word(k.Tuple.Dst.Hi)
	h.word(k.Tuple.Dst.Lo)
	v6 := uint64(0)
	if k.Tuple.V6 {
		v6 = 1
	}
	h.word(uint64(k.Tuple.SrcPort)<<32 | uint64(k.Tuple.DstPort)<<16 | v6)
	h.word(uint64(k.Start))
	h.word(uint64(k.ISN))
	for _, e := range layers {
		for i := range len(e) {
			h.octet(e[i])
		}
		h.octet(0)
	}
	return UID(h)
}

// Text returns the uid as it is printed, 13 letters and digits: base 32 of RFC 4648 without
// padding, five bits a letter, of which the last has four.
func (u UID) Text() (text [13]byte) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	for i := range text {
		text[i] = letters[u>>59]
		u <<= 5
	}
	return text
}

// String returns the uid as it is printed.
func (u UID) String() string {
	text := u.Text()
	return string(text[:])
}

// fnv64 is FNV-1a; written out because it must stay the same for ever and must not
// allocate.
type fnv64 uint64

const fnvPrime = 0x100000001b3

func (h *fnv64) octet(b byte) { *h = (*h ^ fnv64(b)) * fnvPrime }

// word takes the octets of a word, the highest first. Of those that are 0 in front nothing is
// left but the products, which are known: a third of all octets are such.
func (h *fnv64) word(w uint64) {
	zeros := bits.LeadingZeros64(w) / 8
	x := *h * fnvPowers[zeros]
	for shift := 56 - 8*zeros; shift >= 0; shift -= 8 {
		x = (x ^ fnv64(w>>shift&0xff)) * fnvPrime
	}
	*h = x
}

// fnvPowers are the powers of the prime.
var fnvPowers = func() (p [9]fnv64) {
	p[0] = 1
	for i := range p[1:] {
		p[i+1] = p[i] * fnvPrime
	}
	return p
}()
