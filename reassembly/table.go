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

// Hash returns the same value for both directions of a connection. It leaves the
// encapsulation path out, so that both views of a doubly captured connection fall
// into one shard.
func (s Seed) Hash(t *wire.Tuple) uint64 {
	// Each end is folded by itself and the two are added: no need to know which is
	// the lower one.
	a := mix(t.Src.Hi^s.A, t.Src.Lo^uint64(t.SrcPort)<<48^s.B)
	b := mix(t.Dst.Hi^s.A, t.Dst.Lo^uint64(t.DstPort)<<48^s.B)
	return mix(a+b^s.B, s.A|1)
}

// table maps connections to record numbers: open addressing with linear probing.
// A slot holds a part of the hash, so that most mismatches cost no look at the
// record.
type table struct {
	slots []slot
	count int
}

type slot struct {
	tag uint32 // upper half of the hash
	rec uint32 // 0: empty
}

const tableMin = 16

// find returns the record for which same holds among those filed under the hash.
func (t *table) find(hash uint64, same func(rec uint32) bool) (rec uint32, at int) {
	if len(t.slots) == 0 {
		return 0, -1
	}
	mask := len(t.slots) - 1
	tag := uint32(hash >> 32)
	for i := int(hash) & mask; ; i = (i + 1) & mask {
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
func (t *table) insert(hash uint64, rec uint32, hashOf func(rec uint32) uint64) {
	if len(t.slots) == 0 {
		t.slots = make([]slot, tableMin)
	} else if t.count*4 >= len(t.slots)*3 {
		old := t.slots
		t.slots = make([]slot, 2*len(old))
		for _, s := range old {
			if s.rec != 0 {
				t.place(hashOf(s.rec), s.rec)
			}
		}
	}
	t.place(hash, rec)
	t.count++
}

func (t *table) place(hash uint64, rec uint32) {
	mask := len(t.slots) - 1
	i := int(hash) & mask
	for t.slots[i].rec != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot{uint32(hash >> 32), rec}
}

// remove empties slot i and closes the gap, so that no probe ends too early.
func (t *table) remove(i int, hashOf func(rec uint32) uint64) {
	mask := len(t.slots) - 1
	t.count--
	for j := (i + 1) & mask; t.slots[j].rec != 0; j = (j + 1) & mask {
		home := int(hashOf(t.slots[j].rec)) & mask
		// The entry at j may move to i unless its home lies behind i.
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}
