package pipeline

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// names makes the strings by which a report names connections. The strings of many
// connections share one piece of memory: two or three small allocations for each
// connection would be most of all there are.
type names struct{ b strings.Builder }

// namesSize is small, because the summary's examples hold on to theirs.
const namesSize = 4 << 10

// text returns octets as a string.
func (n *names) text(b []byte) string {
	if n.b.Cap()-n.b.Len() < len(b) {
		n.b.Reset()
		n.b.Grow(max(namesSize, len(b)))
	}
	from := n.b.Len()
	n.b.Write(b)
	return n.b.String()[from:]
}

// view gives a tracked connection the names that a report uses.
func (n *names) view(v *report.Connection) {
	v.UID, v.CommunityID = n.uid(&v.Key, v.Encap), n.communityID(&v.Tuple)
	if v.Previous.Frame != 0 {
		v.PreviousUID = n.uid(&v.Previous.Key, v.Encap)
	}
	if v.Next.Frame != 0 {
		v.NextUID = n.uid(&v.Next.Key, v.Encap)
	}
}

// uid names a connection in every report: a hash over the tuple, the encapsulation
// path, the first time and the first sequence number, as 13 letters and digits. 64
// bits make a chance of one in 37 million that two of a million connections share
// one.
//
// The tuple runs from client to server. Of a connection whose opening was not
// captured the roles are a guess, but one made from its first segment alone; so
// the same capture always gives the same uid.
func (n *names) uid(k *reassembly.UIDKey, encap []string) string {
	h := fnv64(0xcbf29ce484222325)
	h.word(k.Tuple.Src.Hi)
	h.word(k.Tuple.Src.Lo)
	h.word(k.Tuple.Dst.Hi)
	h.word(k.Tuple.Dst.Lo)
	h.word(uint64(k.Tuple.SrcPort)<<32 | uint64(k.Tuple.DstPort)<<16 | uint64(bit(k.Tuple.V6)))
	h.word(uint64(k.Start))
	h.word(uint64(k.ISN))
	for _, e := range encap {
		for i := range len(e) {
			h.octet(e[i])
		}
		h.octet(0)
	}
	// Base 32 of RFC 4648 without padding: five bits a letter, the last has four.
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var text [13]byte
	for i := range text {
		text[i] = letters[h>>59]
		h <<= 5
	}
	return n.text(text[:])
}

// fnv64 is FNV-1a; written out because it must stay the same for ever and must not
// allocate.
type fnv64 uint64

const fnvPrime = 0x100000001b3

func (h *fnv64) octet(b byte) { *h = (*h ^ fnv64(b)) * fnvPrime }

// word takes the octets of a word. Of those that are 0 nothing is left but the
// products, which are known: a third of all octets are such.
func (h *fnv64) word(w uint64) {
	zeros := bits.LeadingZeros64(w) / 8
	*h *= fnvPowers[zeros]
	for i := 56 - 8*zeros; i >= 0; i -= 8 {
		h.octet(byte(w >> i))
	}
}

// fnvPowers are the powers of the prime.
var fnvPowers = func() (p [9]fnv64) {
	p[0] = 1
	for i := range p[1:] {
		p[i+1] = p[i] * fnvPrime
	}
	return p
}()

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// communityID is the flow hash that Zeek, Suricata and others print: version 1 of
// the Community ID specification with seed 0. Both directions have the same.
func (n *names) communityID(t *wire.Tuple) string {
	k, _ := t.Key()
	var b [2 + 2*16 + 2 + 4]byte // seed, addresses, protocol and padding, ports
	end := 2
	for _, a := range [2]wire.Addr{k.Src, k.Dst} {
		if t.V6 {
			binary.BigEndian.PutUint64(b[end:], a.Hi)
			binary.BigEndian.PutUint64(b[end+8:], a.Lo)
			end += 16
		} else {
			binary.BigEndian.PutUint32(b[end:], uint32(a.Lo))
			end += 4
		}
	}
	b[end] = 6 // TCP
	end += 2
	binary.BigEndian.PutUint16(b[end:], k.SrcPort)
	binary.BigEndian.PutUint16(b[end+2:], k.DstPort)
	sum := sha1.Sum(b[:end+4])
	text := [2 + 28]byte{'1', ':'}
	base64.StdEncoding.Encode(text[2:], sum[:])
	return n.text(text[:])
}
