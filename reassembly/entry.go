package reassembly

import "github.com/tcplife/tcplife/wire"

// An entry is one segment of a brief record, in 20 octets: most of what a segment says
// follows from those before, and the rest is a small difference. Its sequence number is the
// sum of what its side sent before. Of the SYN-ACK, which acknowledges the SYN and carries
// nothing, len is the MSS, behind and tsVal are the halves of its number, and more has its
// options.
type entry struct {
	since        uint32 // nanoseconds since the segment before
	frames       uint16 // since that
	behind       uint16 // what the acknowledgment leaves of the peer's numbers
	tsVal, tsEcr uint16 // since the first of the side, and of the peer
	window, ipid uint16
	len          uint16
	is           uint8 // below howScale as in brief.how, above that the flags
	more         uint8
}

// What entry.more holds.
const (
	// entryWide: this is no segment, but has the upper halves of the differences that the
	// following one has no room for.
	entryWide = 1
	// Behind it are the SYN-ACK's options, these three; the upper four bits are its window
	// scale. Time stamps are in is.
	entryOption  = 1 // shift
	entryOptions = wire.OptMSS | wire.OptWindowScale | wire.OptSACKPerm
)

// entryBlock is how many entries make a block, which takes a line of the cache.
const entryBlock = 3

// entries is a block of them.
type entries struct {
	list  [entryBlock]entry
	older uint32 // the block before; in a brief record itself, how many places are taken
}

// isHow are the bits of entry.is that are how; those above are flags, by isOf, isFIN one of
// them.
const (
	isHow = 1<<howScale - 1
	isFIN = uint8(wire.FIN) << howScale
)

func isOf(f wire.Flags) uint8 {
	return uint8(f&(wire.ECE|wire.CWR) | f&wire.PSH<<2 | f&wire.FIN<<howScale)
}

func flagsOf(is uint8) wire.Flags {
	f := wire.Flags(is)
	return f&(wire.ECE|wire.CWR) | f>>2&wire.PSH | f>>howScale&wire.FIN
}

// stow moves the entries of a brief record out of it, and so makes room for more. Nobody
// waits for where they go: that is only written.
func (t *Tracker) stow(b *brief) {
	blk := t.entries.get()
	if b.stowed == 0 {
		b.oldest = blk
	}
	e := t.entries.at(blk)
	e.list, e.older = b.tail.list, b.stowed
	b.stowed, b.tail.older = blk, 0
}

// blocksMax is how many blocks a brief record can have: for each entry one that widens it, and
// a RST or what is repeated.
const blocksMax = 2*(briefMax-1)/entryBlock + 1 + briefMaxRepeats

// blocksOf returns the blocks of a brief record's entries, the first one first. They are valid
// until the next call.
func (t *Tracker) blocksOf(b *brief) []*entries {
	list := &t.retold.blocks
	at := len(list) - 1
	list[at] = &b.tail
	for blk := b.stowed; blk != 0 && at > 0; blk = list[at].older {
		at--
		list[at] = t.entries.at(blk)
	}
	return list[at:]
}

// widen adds what the entry that follows has no room for, and makes room for that; it
// reports whether this is enough.
func (t *Tracker) widen(b *brief, since, frames uint64, behind, val, ecr uint32) bool {
	if since>>48 != 0 || frames>>32 != 0 {
		return false
	}
	b.tail.list[b.tail.older] = entry{
		since: uint32(since >> 32), frames: uint16(frames >> 16), behind: uint16(behind >> 16), tsVal: uint16(val >> 16), tsEcr: uint16(ecr >> 16), more: entryWide,
	}
	if b.tail.older++; b.tail.older == entryBlock {
		t.stow(b)
	}
	return true
}

// retold is what brief records are read with.
type retold struct {
	segment wire.Segment        // see segments
	ending  briefEnd            // see endingOf
	blocks  [blocksMax]*entries // see blocksOf
	whole   []Event             // see retell
}

// reading reads a brief record's segments behind the SYN, as events.
type reading struct {
	left, place int
	blocks      []*entries
	at          wire.Time
	frame       wire.FrameID
	stamps      [2]uint32
	ahead       [2]wire.Seq // by side, the number of its next segment
	ttl         [2]uint8
	answered    bool // the SYN-ACK was read
}

func (t *Tracker) reading(b *brief) reading {
	r := reading{left: int(b.counted()) - 1, at: b.start, frame: b.first, stamps: b.stamps, ahead: [2]wire.Seq{b.isn + 1, 0}, ttl: b.ttl}
	if r.left > 0 {
		r.blocks = t.blocksOf(b)
	}
	return r
}

// entry returns the next entry.
func (r *reading) entry() *entry {
	if r.place == entryBlock {
		r.blocks, r.place = r.blocks[1:], 0
	}
	r.place++
	return &r.blocks[0].list[r.place-1]
}

// newest returns the entry that was read last.
func (r *reading) newest() *entry { return &r.blocks[0].list[r.place-1] }

// next makes v what the next segment says. There must be one left.
func (r *reading) next(v *Event) {
	r.left--
	e := r.entry()
	since, frames, behind, val, ecr := uint64(e.since), uint32(e.frames), uint32(e.behind), uint32(e.tsVal), uint32(e.tsEcr)
	if e.more&entryWide != 0 {
		e = r.entry()
		since, frames = since<<32|uint64(e.since), frames<<16|uint32(e.frames)
		behind, val, ecr = behind<<16|uint32(e.behind), val<<16|uint32(e.tsVal), ecr<<16|uint32(e.tsEcr)
	}
	r.at += wire.Time(since)
	r.frame += wire.FrameID(frames)
	from := Side(e.is & howServer)
	v.At, v.LastAt, v.Frame, v.LastFrame, v.Count = r.at, r.at, r.frame, r.frame, 1
	v.Window, v.IPID, v.TTL, v.From, v.Marks, v.Traits = e.window, e.ipid, r.ttl[from], from, 0, traitsOf(e.is&isHow)
	if !r.answered {
		// The SYN-ACK.
		r.answered = true
		v.Flags, v.Kind, v.Len = wire.SYN|wire.ACK|flagsOf(e.is), KindSYNACK, 0
		v.Seq, v.Ack = wire.Seq(val<<16|behind), r.ahead[Client]
		v.End = v.Seq + 1
		r.ahead[Server], val = v.End, 0
	} else {
		v.Flags, v.Kind, v.Len = wire.ACK|flagsOf(e.is), KindACK, uint32(e.len)
		v.Seq, v.Ack = r.ahead[from], r.ahead[from^1]-wire.Seq(behind)
		v.End = v.Seq + wire.Seq(e.len)
		switch {
		case e.is&isFIN != 0:
			v.Kind = KindFIN
			v.End++
		case e.len > 0:
			v.Kind = KindData
		}
		r.ahead[from] = v.End
	}
	v.TSVal, v.TSEcr = 0, 0
	if e.is&howStamps != 0 {
		v.Marks, v.TSVal, v.TSEcr = MarkTimestamp, r.stamps[from]+val, r.stamps[from^1]+ecr
	}
}
