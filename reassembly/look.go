package reassembly

import "github.com/tcplife/tcplife/wire"

// A tracker of many connections waits for memory most of the time: for the table, for
// the record that it names, for the block that the record names. Who has many segments
// at hand may have all of them looked for before the first is fed: Approach for each, Locate
// for each, then Look for each, and the waiting is done for several at once. None of them
// changes anything, and but for the place what they return says nothing.

// Place is where a connection's record may be.
type Place uint32

// Approach reads where Locate will begin, and all lines of the segment. There is nothing in
// it that the processor could guess wrong: so it does not wait for one before it asks for the
// next.
func (t *Tracker) Approach(s *wire.Segment, hash uint64) uint64 {
	return t.table.approach(slotHash(hash, s.Tuple.Encap)) + uint64(s.Frame) + uint64(s.Seq) + uint64(s.Carrier)
}

// Locate finds where the record of a segment's connection may be.
func (t *Tracker) Locate(s *wire.Segment, hash uint64) Place {
	return Place(t.table.named(slotHash(hash, s.Tuple.Encap)))
}

// Look reads what FeedHashed will need of a record that Locate found.
func (t *Tracker) Look(p Place) uint64 {
	switch id := uint32(p); {
	case id == 0:
		return 0
	case id&briefBit != 0:
		b := t.briefs.at(id &^ briefBit)
		return uint64(b.n) + uint64(b.tail.older)
	case id&loneBit != 0:
		return uint64(t.lones.at(id &^ loneBit).is)
	default:
		r := t.recs.at(id)
		return uint64(r.half[Client].flags) + uint64(r.half[Server].flags) + uint64(r.recentN)
	}
}

// awaitMost is how many connections are waited for at once when they leave.
const awaitMost = len(wheelChunk{}.ids)

// await reads what it takes to tell of the connections that have no full records, awaitMost
// at most, and to bury them if told so: the records, their places in the tables and, one
// block of each at a time and the first beside the last, their entries. Then none of them is waited for alone. due is the
// slot of the wheel that names them: those are left out that are not in it any more.
func (t *Tracker) await(ids []uint32, bury bool, due uint64) {
	var blocks, oldest [awaitMost]uint32
	read := uint64(0)
	for i, id := range ids[:min(len(ids), awaitMost)] {
		if id&briefBit != 0 {
			b := t.briefs.at(id &^ briefBit)
			read += uint64(b.start) + uint64(b.tail.older)
			if b.n > 0 && (!bury || b.turn.in(due)) {
				if blocks[i] = b.stowed; b.stowed != 0 {
					oldest[i] = b.oldest
				}
			}
		} else if id&loneBit != 0 {
			read += uint64(t.lones.at(id &^ loneBit).start)
		}
	}
	if bury {
		for _, id := range ids {
			if id&shortBits != 0 && t.turnOf(id).in(due) {
				key := t.keyAt(id)
				hash := t.cfg.Seed.hash(&key)
				read += t.table.approach(hash) + t.tombs.table.approach(hash)
			}
		}
	}
	for _, blk := range oldest {
		if blk != 0 {
			read += uint64(t.entries.at(blk).older)
		}
	}
	for left := true; left; {
		left = false
		for i, blk := range blocks {
			if blk != 0 {
				blocks[i] = t.entries.at(blk).older
				left = true
			}
		}
	}
	t.awaited = read
}
