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
// into one shard.
func (s Seed) Hash(t *wire.Tuple) uint64 {
	// Each end is folded by itself and the two are added: no need to know which is
	// the lower one.
	a := mix(t.Src.Hi^s.A^fold1, t.Src.Lo^uint64(t.SrcPort)<<48^s.B)
	b := mix(t.Dst.Hi^s.A^fold1, t.Dst.Lo^uint64(t.DstPort)<<48^s.B)
	return mix(a+b^s.B, s.A|1^fold2)
}

// table maps connections to record numbers: open addressing with linear probing.
// A slot holds half of the hash: most mismatches cost no look at the record, and
// entries move without one.
type table struct {
	slots []slot
	count int
}

type slot struct {
	tag uint32 // lower half of the hash; its lowest bits choose the slot
	rec uint32 // 0: empty
}

const tableMin = 16

// find returns the record for which same holds among those filed under the hash,
// and its slot; 0 and the slot where it would go if there is none, -1 in an empty
// table.
func (t *table) find(hash uint64, same func(rec uint32) bool) (rec uint32, at int) {
	if len(t.slots) == 0 {
		return 0, -1
	}
	mask := len(t.slots) - 1
	tag := uint32(hash)
	for i := int(tag) & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s.rec == 0 {
			return 0, i
		}
		if s.tag == tag && same(s.rec) {
			return s.rec, i
		}
	}
}

// insert files a record that is not in the table yet.
func (t *table) insert(hash uint64, rec uint32) {
	if len(t.slots) == 0 {
		t.slots = make([]slot, tableMin)
	} else if t.count*4 >= len(t.slots)*3 {
		old := t.slots
		t.slots = make([]slot, 2*len(old))
		for _, s := range old {
			if s.rec != 0 {
				t.place(s)
			}
		}
	}
	t.place(slot{uint32(hash), rec})
	t.count++
}

func (t *table) place(s slot) {
	mask := len(t.slots) - 1
	i := int(s.tag) & mask
	for t.slots[i].rec != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

// remove empties slot i and closes the gap, so that no probe ends too early.
func (t *table) remove(i int) {
	mask := len(t.slots) - 1
	t.count--
	for j := (i + 1) & mask; t.slots[j].rec != 0; j = (j + 1) & mask {
		home := int(t.slots[j].tag) & mask
		// The entry at j may move to i unless its home lies behind i.
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}
