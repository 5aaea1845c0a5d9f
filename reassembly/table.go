package reassembly

import (
	"math/bits"

	"github.com/tcplife/tcplife/wire"
)

// Seed makes hashes unpredictable: addresses and ports are the attacker's choice.
// Results never depend on it, only the order in memory does.
type Seed struct{ A, B uint64 }

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// fold1 and fold2 are arbitrary odd numbers: a product with the upper half of an
// IPv4 address, which is 0, must not be 0.
const fold1, fold2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93

// Hash returns the same value for both directions of a connection. It leaves the
// encapsulation path out, so that both views of a doubly captured connection fall
// to one worker.
func (s Seed) Hash(t *wire.Tuple) uint64 {
	f := s.spread()
	return f.join(f.fold(t.Src, uint64(t.SrcPort)), f.fold(t.Dst, uint64(t.DstPort)))
}

// HashEach is Hash of each segment's tuple, into as many hashes.
func (s Seed) HashEach(segments []wire.Segment, hashes []uint64) {
	f := s.spread()
	hashes = hashes[:len(segments)]
	for i := range segments {
		t := &segments[i].Tuple
		hashes[i] = f.join(f.fold(t.Src, uint64(t.SrcPort)), f.fold(t.Dst, uint64(t.DstPort)))
	}
}

// spread is a seed as it is used.
type spread struct{ high, low, both uint64 }

func (s Seed) spread() spread { return spread{s.A ^ fold1, s.B, s.A | 1 ^ fold2} }

// fold folds one end by itself, and join adds the two: no need to know which is the
// lower one.
func (s spread) fold(x wire.Addr, port uint64) uint64 { return mix(x.Hi^s.high, x.Lo^port<<48^s.low) }

func (s spread) join(a, b uint64) uint64 { return mix(a+b^s.low, s.both) }

// hash is where the table files a key.
func (s Seed) hash(k *tupleKey) uint64 {
	f := s.spread()
	return slotHash(f.join(f.fold(k.low, uint64(k.ports>>16)), f.fold(k.high, uint64(uint16(k.ports)))), k.path())
}

// slotHash is where the table files a tuple: the same one in another VLAN is another
// connection in another slot.
func slotHash(tuple uint64, encap wire.EncapID) uint64 {
	return tuple + uint64(encap)*0x9e3779b97f4a7c15
}

// table maps connections to record numbers: open addressing with linear probing, in
// parts that the hash chooses. Each part grows by itself: a whole table would be there twice
// while it doubles, and a tracker may have a million connections.
type table struct {
	parts [tableParts]tablePart
	count int
}

type tablePart struct {
	slots []slot
	count int
}

// A slot holds half of the hash: most mismatches cost no look at the record, and
// entries move without one.
type slot struct {
	tag uint32 // lower half of the hash; its lowest bits choose the slot
	rec uint32 // 0: empty
}

// place is where a slot is: the number of its part in the lowest bits.
type place int

const (
	tableShift = 5
	tableParts = 1 << tableShift
	// tableMin is what a part has at least.
	tableMin = 16
	// slotsPerPage is how many slots a page of memory holds, at least.
	slotsPerPage = 4096 / 8
)

// part goes by bits that neither choose the slot nor, as the highest do, whose a connection is.
func (t *table) part(hash uint64) (p *tablePart, number int) {
	number = int(hash >> 32 % tableParts)
	return &t.parts[number], number
}

// first returns a record that is filed under the hash, and where; 0 if there is none.
func (t *table) first(hash uint64) (rec uint32, at place) {
	p, number := t.part(hash)
	if len(p.slots) == 0 {
		return 0, 0
	}
	rec, i := p.seek(uint32(hash), int(uint32(hash)))
	return rec, place(i<<tableShift | number)
}

// named is first for those who do not ask where.
func (t *table) named(hash uint64) (rec uint32) {
	slots := t.parts[hash>>32%tableParts].slots
	for at := int(uint32(hash)); len(slots) > 0; at++ {
		if s := &slots[at&(len(slots)-1)]; s.rec == 0 || s.tag == uint32(hash) {
			return s.rec
		}
	}
	return 0
}

// approach reads where first begins, if anything is filed; what it returns says nothing.
func (t *table) approach(hash uint64) uint64 {
	p, _ := t.part(hash)
	if n := len(p.slots); n > 0 {
		return uint64(p.slots[int(uint32(hash))&(n-1)].tag)
	}
	return 0
}

// after returns the next one behind a place, if that was another key's.
func (t *table) after(hash uint64, at place) (rec uint32, next place) {
	p, number := t.part(hash)
	rec, i := p.seek(uint32(hash), int(at>>tableShift)+1)
	return rec, place(i<<tableShift | number)
}

func (p *tablePart) seek(tag uint32, at int) (rec uint32, found int) {
	mask := len(p.slots) - 1
	for {
		s := &p.slots[at&mask]
		if s.rec == 0 || s.tag == tag {
			return s.rec, at & mask
		}
		at++
	}
}

// at returns a slot.
func (t *table) at(at place) *slot {
	return &t.parts[at%tableParts].slots[at>>tableShift]
}

// replace files a record in the place of another one.
func (t *table) replace(hash uint64, held, rec uint32) { t.at(t.slot(hash, held)).rec = rec }

// slot returns where a record is that is filed.
func (t *table) slot(hash uint64, held uint32) place {
	rec, at := t.first(hash)
	for rec != held {
		rec, at = t.after(hash, at)
	}
	return at
}

// insert files a record that is not in the table yet.
func (t *table) insert(hash uint64, rec uint32) {
	p, _ := t.part(hash)
	if p.count*4 >= len(p.slots)*3 {
		p.grow()
	}
	p.place(slot{uint32(hash), rec})
	p.count++
	t.count++
}

func (p *tablePart) grow() {
	old := p.slots
	p.slots = make([]slot, max(2*len(old), tableMin))
	// Memory that is read before it is written is asked for twice, and at random places
	// reading comes first.
	for i := 0; i < len(p.slots); i += slotsPerPage {
		p.slots[i] = slot{}
	}
	for _, s := range old {
		if s.rec != 0 {
			p.place(s)
		}
	}
}

func (p *tablePart) place(s slot) {
	mask := len(p.slots) - 1
	i := int(s.tag) & mask
	for p.slots[i].rec != 0 {
		i = (i + 1) & mask
	}
	p.slots[i] = s
}

// remove empties a slot and closes the gap, so that no probe ends too early.
func (t *table) remove(at place) {
	p, i := &t.parts[at%tableParts], int(at>>tableShift)
	mask := len(p.slots) - 1
	p.count--
	t.count--
	for j := (i + 1) & mask; p.slots[j].rec != 0; j = (j + 1) & mask {
		home := int(p.slots[j].tag) & mask
		// The entry at j may move to i unless its home lies behind i.
		if (j-home)&mask >= (j-i)&mask {
			p.slots[i] = p.slots[j]
			i = j
		}
	}
	p.slots[i] = slot{}
}

// each calls do with every record that is filed.
func (t *table) each(do func(rec uint32)) {
	for i := range t.parts {
		for _, s := range t.parts[i].slots {
			if s.rec != 0 {
				do(s.rec)
			}
		}
	}
}
