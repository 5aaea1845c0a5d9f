package reassembly

import (
	"cmp"
	"math/bits"
	"slices"
)

// inOrder returns every record that is held, in the order of the connections' opening.
// Records lie in that order as long as none was freed: what comes in the order of the
// table would have to wait for memory, at each look at a stamp. A flood of SYNs lies so to
// the end, and then nothing is sorted, nor room taken for it.
func (t *Tracker) inOrder() []uint32 {
	o := opened{t: t, list: make([]uint32, 0, t.Open())}
	for id := uint32(1); id <= t.briefs.used; id++ {
		if b := t.briefs.at(id); b.n > 0 {
			o.add(b.stamp, id|briefBit)
		}
	}
	for id := uint32(1); id <= t.lones.used; id++ {
		if l := t.lones.at(id); l.is&loneHeld != 0 {
			o.add(l.stamp, id|loneBit)
		}
	}
	for id := uint32(1); id <= t.recs.used; id++ {
		if r := t.recs.at(id); !r.released {
			o.add(r.stamp, id)
		}
	}
	return o.sorted()
}

// opened is a list of records, in the order of opening as far as they come in it; keys, from
// the first on that does not, has all that came.
type opened struct {
	t      *Tracker
	list   []uint32
	newest uint64
	keys   []uint64 // the stamp, and in the lower half the number
	far    bool     // a stamp has no room in the upper half
}

func (o *opened) add(stamp uint64, id uint32) {
	if o.keys == nil && stamp >= o.newest {
		o.list, o.newest = append(o.list, id), stamp
		return
	}
	if o.keys == nil {
		o.keys = make([]uint64, 0, cap(o.list))
		for _, id := range o.list {
			o.key(o.t.stampOf(id), id)
		}
	}
	o.list = append(o.list, id)
	o.key(stamp, id)
}

func (o *opened) key(stamp uint64, id uint32) {
	o.keys = append(o.keys, stamp<<32|uint64(id))
	o.far = o.far || stamp>>32 != 0
}

func (o *opened) sorted() []uint32 {
	switch {
	case o.keys == nil:
	case o.far: // behind four thousand million segments: then it does not matter what it costs
		slices.SortFunc(o.list, func(a, b uint32) int { return cmp.Compare(o.t.stampOf(a), o.t.stampOf(b)) })
	default:
		for i, key := range sortUpper(o.keys) {
			o.list[i] = uint32(key)
		}
	}
	return o.list
}

// digit is how many bits sortUpper sorts by at once: the counts are 8 KiB, and stamps of four
// million segments have two digits.
const digit = 11

// sortUpper sorts keys by their upper halves, and returns them; keys has anything then. It
// compares nothing, so nothing can be guessed wrong.
func sortUpper(keys []uint64) []uint64 {
	differ := uint64(0)
	for _, k := range keys {
		differ |= k ^ keys[0]
	}
	room := make([]uint64, len(keys))
	for shift := 32; shift < bits.Len64(differ); shift += digit {
		var next [1 << digit]uint32
		for _, k := range keys {
			next[k>>shift%(1<<digit)]++
		}
		at := uint32(0)
		for i, n := range next {
			next[i] = at
			at += n
		}
		for _, k := range keys {
			d := k >> shift % (1 << digit)
			room[next[d]] = k
			next[d]++
		}
		keys, room = room, keys
	}
	return keys
}
