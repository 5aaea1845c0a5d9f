package reassembly

import (
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// fuzzSize is how many bytes make a segment.
const fuzzSize = 7

// fuzzSegments reads segments of few tuples, with numbers that lie together, and
// times that now and then leap or go back.
func fuzzSegments(data []byte) []wire.Segment {
	flags := [16]wire.Flags{syn, synack, ack, ack, psh, psh, fin, fin, rst, rstack, syn | rst, 0, wire.FIN, syn | fin, fin | rst, synack | wire.FIN}
	gaps := [8]time.Duration{0, 3 * time.Microsecond, time.Millisecond, 30 * time.Millisecond, time.Second, 61 * time.Second, 300 * time.Second, -2 * time.Second}
	offsets := func(b byte) wire.Seq {
		if b >= 250 {
			return wire.Seq(b-249) << 28 // far away
		}
		return wire.Seq(int8(b)) * 5
	}
	tuple := newScript().tuple
	at := scriptStart
	var segs []wire.Segment
	for n := 0; len(data) >= fuzzSize && n < 2000; n++ {
		b := data[:fuzzSize]
		data = data[fuzzSize:]
		at = at.Add(gaps[b[1]&7])
		s := wire.Segment{Frame: wire.NewFrameID(0, uint64(n+1)), At: at, Tuple: tuple, Flags: flags[b[0]>>4], TTL: 64, IPID: uint16(b[1] >> 6)}
		s.Tuple.SrcPort += uint16(b[0]>>1) & 3
		isn := wire.Seq(0xffffff00)
		s.Seq, s.Ack = isn+offsets(b[2]), isn+offsets(b[3])
		if b[0]&1 != 0 {
			s.Tuple = s.Tuple.Reverse()
		}
		if s.Flags&wire.ACK == 0 {
			s.Ack = 0
		}
		if s.Flags&wire.PSH != 0 || b[4]&1 != 0 {
			s.Len = uint32(b[4])
		}
		s.Window = uint16(b[5]) << 8
		if b[6]&1 != 0 {
			s.Options.Set |= wire.OptTimestamps
			s.Options.TSVal = uint32(b[6])
		}
		if b[6]&2 != 0 {
			s.Options.Set |= wire.OptSACK | wire.OptSACKPerm
			s.Options.SACKs = 1
			s.Options.SACK[0] = wire.SACKBlock{Left: s.Ack - 5, Right: s.Ack}
		}
		segs = append(segs, s)
	}
	return segs
}

// FuzzTracker: whatever comes, nothing panics, nothing is lost, and nothing is kept
// that nobody holds.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{
		0x00, 2, 0, 0, 0, 255, 0, 0x11, 2, 0, 1, 0, 255, 0, 0x20, 2, 1, 1, 0, 255, 0, // a handshake,
		0x40, 2, 1, 1, 50, 255, 0, 0x60, 2, 11, 1, 0, 255, 0, 0x61, 3, 1, 12, 0, 255, 2, 0x20, 5, 12, 2, 0, 255, 0, // data and a close
	})
	f.Add([]byte{0x00, 2, 0, 0, 0, 255, 0, 0x00, 3, 40, 0, 0, 255, 0, 0x00, 3, 80, 0, 0, 255, 0, 0x00, 3, 120, 0, 0, 255, 0, 0x00, 3, 160, 0, 0, 255, 0, 0x11, 6, 40, 41, 0, 1, 0}) // incarnations
	f.Add([]byte{0x40, 1, 1, 1, 5, 0, 0, 0x40, 1, 9, 1, 5, 0, 0, 0x40, 1, 17, 1, 5, 0, 0, 0x40, 1, 5, 1, 5, 0, 0, 0x41, 6, 1, 250, 5, 0, 3, 0x80, 7, 1, 1, 0, 0, 0})                // holes, a leap and a step back
	f.Fuzz(func(t *testing.T, data []byte) {
		segs := fuzzSegments(data)
		h := &heard{}
		tr := listener(h)
		for i := range segs {
			tr.Feed(&segs[i])
			if i%3 == 0 {
				tr.Advance(segs[i].At)
			}
			if i%16 == 0 {
				checkMemory(t, tr)
			}
		}
		tr.Advance(scriptStart.Add(time.Hour))
		checkMemory(t, tr)
		tr.Flush()
		var packets, octets, fed uint64
		for i := range h.conns {
			c := &h.conns[i]
			checkTimelines(t, c, uint64(len(segs)))
			var logged uint64
			for j := range c.Events {
				logged += uint64(c.Events[j].Count)
			}
			var frames, doubles uint64
			for side := range c.Ends {
				e := &c.Ends[side]
				frames += e.Packets
				doubles += e.Duplicates
				octets += e.Bytes
			}
			packets += frames
			// What an older life of the tuple still has on the way is logged here, too.
			if logged+uint64(c.Dropped)+doubles < frames {
				t.Errorf("%d frames, but %d logged, %d dropped, %d doubles", frames, logged, c.Dropped, doubles)
			}
			if len(c.Events) > logMax {
				t.Errorf("%d events, the bound is %d", len(c.Events), logMax)
			}
		}
		for i := range h.late {
			packets += h.late[i].Packets[0] + h.late[i].Packets[1]
			octets += h.late[i].Bytes[0] + h.late[i].Bytes[1]
		}
		for i := range segs {
			fed += uint64(segs[i].Len)
		}
		if packets != uint64(len(segs)) || octets != fed {
			t.Errorf("%d packets with %d octets told of, %d with %d fed", packets, octets, len(segs), fed)
		}
		if uint64(len(h.conns)) != h.opened {
			t.Errorf("%d connections opened, %d settled", h.opened, len(h.conns))
		}
	})
}

// checkMemory adds up: every record, block and extent that is out is held by a
// connection of the table, every list of incarnations is within its bound, and the
// ranges are in order.
func checkMemory(t *testing.T, tr *Tracker) {
	t.Helper()
	records, blocks, extents, filed, holeOctets := 0, 0, 0, 0, 0
	lones, briefs, entries := 0, 0, 0
	tr.table.each(func(newest uint32) {
		lives := 0
		if newest&loneBit != 0 {
			lones++
			if tr.lones.at(newest&^loneBit).turn&shortLater == 0 {
				filed++
			}
			return
		}
		if newest&briefBit != 0 {
			b := tr.briefs.at(newest &^ briefBit)
			briefs++
			for e := b.stowed; e != 0; e = tr.entries.at(e).older {
				entries++
			}
			if b.n > briefMax {
				t.Fatalf("%d segments in a brief record", b.n)
			}
			if b.turn != 0 && b.turn&turnLater == 0 {
				filed++
			}
			return
		}
		for rec := newest; rec != 0; rec = tr.recs.at(rec).older {
			r := tr.recs.at(rec)
			records++
			if lives++; lives > incarnationsMax {
				t.Fatalf("more than %d incarnations", incarnationsMax)
			}
			if r.logLen > logMax {
				t.Fatalf("%d events", r.logLen)
			}
			n := 0
			for b := r.logHead; b != 0; b = tr.blocks.at(b).next {
				n++
			}
			if want := int(r.logLen+blockEvents-1) / blockEvents; n != want {
				t.Fatalf("%d blocks for %d events", n, r.logLen)
			}
			blocks += n
			for i := range r.half {
				if e := r.half[i].ext; e != 0 {
					extents++
					checkRanges(t, tr.extents.at(e).missing.all(), holesMax)
					holeOctets += tr.extents.at(e).missing.octets()
					checkRanges(t, tr.extents.at(e).repeated.All(), rangesMax)
				}
			}
			if r.turn != 0 {
				filed++
			}
		}
	})
	if tr.holeOctets != holeOctets {
		t.Fatalf("holes take %d octets beside extents, counted %d", holeOctets, tr.holeOctets)
	}
	if tr.recs.live() != records || tr.blocks.live() != blocks || tr.extents.live() != extents {
		t.Fatalf("records %d, blocks %d, extents %d are out; %d, %d, %d are held", tr.recs.live(), tr.blocks.live(), tr.extents.live(), records, blocks, extents)
	}
	if tr.lones.live() != lones {
		t.Fatalf("%d lone SYNs are out, %d are held", tr.lones.live(), lones)
	}
	if tr.briefs.live() != briefs || tr.entries.live() != entries {
		t.Fatalf("brief records %d, entries %d are out; %d, %d are held", tr.briefs.live(), tr.entries.live(), briefs, entries)
	}
	// A record may stand in the wheel several times, but has one turn.
	inWheel, chunks := map[uint32]bool{}, 0
	for at, list := range tr.wheel.slots {
		for ; list != 0; list = tr.wheel.lists.at(list).next {
			chunks++
			c := tr.wheel.lists.at(list)
			for _, id := range c.ids[:c.n] {
				filed := id&shortBits != 0 && tr.turnOf(id).in(uint64(at)) || id&shortBits == 0 && tr.recs.at(id).turn.in(uint64(at))
				if filed {
					inWheel[id] = true
				}
			}
		}
	}
	if len(inWheel) != filed || tr.wheel.lists.live() != chunks {
		t.Fatalf("%d records in the wheel, %d think so; %d lists of %d", len(inWheel), filed, chunks, tr.wheel.lists.live())
	}
}
