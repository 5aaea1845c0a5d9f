package reassembly

import "github.com/tcplife/tcplife/wire"

// A tracker of many connections waits for memory most of the time: for the table, for
// the record that it names, for the block that the record names. Who has many segments
// at hand may have all of them looked for before the first is fed: Locate for each, then
// Look for each, and the waiting is done for several at once. Neither changes anything,
// and what they return says nothing.

// Place is where a connection's record may be.
type Place uint32

// Locate finds where the record of a segment's connection may be.
func (t *Tracker) Locate(s *wire.Segment, hash uint64) Place {
	rec, _ := t.table.first(slotHash(hash, s.Tuple.Encap))
	return Place(rec)
}

// Look reads what FeedHashed will need of a record that Locate found.
func (t *Tracker) Look(p Place) uint64 {
	switch id := uint32(p); {
	case id == 0:
		return 0
	case id&briefBit != 0:
		// Both lines of the record, and that of the entries.
		b := t.briefs.at(id &^ briefBit)
		if b.tail == 0 {
			return uint64(b.fill)
		}
		return uint64(b.fill) + uint64(t.entries.at(b.tail).next)
	default:
		r := t.recs.at(id)
		return uint64(r.half[Client].flags) + uint64(r.half[Server].flags) + uint64(r.recentN)
	}
}
