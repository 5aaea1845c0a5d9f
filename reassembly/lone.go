package reassembly

import "github.com/tcplife/tcplife/wire"

// lone is a connection of which there is only the SYN, of IPv4, in one line of the cache:
// floods and scans leave millions of them, and others are it until they are answered. It has
// what its brief record would have, and gets that with the next segment that comes for it
// (see answered). Who only reads one reads it as a brief record (see briefOf).
type lone struct {
	key               nearKey
	start             wire.Time
	stamp             uint64
	first             wire.FrameID
	carrier           uint32
	isn               wire.Seq
	tsVal             uint32
	window, ipid, mss uint16
	turn              shortTurn
	syn, how, ttl     uint8
	is                briefFlags
	// That makes 64.
}

const (
	// loneBit marks the numbers of lone SYNs, shortBits those of all that have no full record.
	loneBit   = 1 << 30
	shortBits = briefBit | loneBit
	// loneHeld is a flag that no such connection has: without it, the place is free.
	loneHeld = briefOpen
)

// openBrief begins a connection with its SYN.
func (t *Tracker) openBrief(s *wire.Segment, key *tupleKey, hash uint64, swapped bool) {
	o := &s.Options
	l, id := &t.first, uint32(briefBit)
	if !key.v6() {
		id = t.lones.get()
		l = t.lones.at(id)
		id |= loneBit
	}
	l.key, l.start, l.first, l.carrier, l.isn, l.tsVal = key.near(), s.At, s.Frame, s.Carrier, s.Seq, o.TSVal
	l.window, l.ipid, l.mss, l.syn, l.how, l.ttl, l.is = s.Window, s.IPID, o.MSS, synOf(s), howOf(s, Client), s.TTL, loneHeld
	due := t.wheel.turnFor(l.deadline(&t.patience)) | turnLater
	l.turn = due.short()
	if !swapped {
		l.is |= briefClientIsLow
	}
	if id == briefBit {
		id |= t.briefs.get()
		t.briefs.at(id&^briefBit).begin(l, key.far(), due)
	}
	t.table.insert(hash, id)
	t.tag(id, key, hash)
	if stamp := t.cfg.Opened(); id&loneBit != 0 {
		l.stamp = stamp
	} else {
		t.briefs.at(id &^ briefBit).stamp = stamp
	}
	t.fileLater(id)
	if t.cfg.Follow {
		t.touch(id)
	}
}

// begin makes a brief record of a SYN.
func (b *brief) begin(l *lone, far farKey, due turn) {
	b.key, b.last, b.next, b.lastFrame, b.stamps, b.carrier = l.key, l.start, [2]wire.Seq{l.isn + 1}, l.first, [2]uint32{l.tsVal}, l.carrier
	b.stowed, b.turn, b.n, b.is, b.ttl, b.tail.older = 0, due, 1, l.is&^loneHeld, [2]uint8{l.ttl}, 0
	b.far, b.start, b.stamp, b.first, b.isn, b.window, b.ipid, b.mss, b.syn, b.how = far, l.start, l.stamp, l.first, l.isn, l.window, l.ipid, l.mss, l.syn, l.how
}

// answered gives a lone SYN its brief record, for what follows it, and returns the number.
func (t *Tracker) answered(id uint32, hash uint64) uint32 {
	l := t.lones.at(id &^ loneBit)
	fresh := t.briefs.get()
	b := t.briefs.at(fresh)
	fresh |= briefBit
	b.begin(l, farIPv4, t.wheel.long(l.turn)|turnLater)
	t.fileLater(fresh)
	t.table.replace(hash, id, fresh)
	if b.key.encap != 0 {
		t.retag(id, fresh)
	}
	if b.has(briefChanged) {
		b.is &^= briefChanged
		t.touch(fresh)
	}
	t.drop(id)
	return fresh
}

// goOnLone gives a lone SYN the segment that follows it, and reports whether it could: the
// record is of its tuple, and the segment such as a brief record holds.
func (t *Tracker) goOnLone(id uint32, s *wire.Segment, hash uint64) bool {
	l := t.lones.at(id &^ loneBit)
	if key, _ := keyOf(&s.Tuple); l.is&loneHeld == 0 || l.key != key.near() || l.deadline(&t.patience) < s.At {
		return false
	}
	id = t.answered(id, slotHash(hash, s.Tuple.Encap))
	return t.goOn(id, t.briefs.at(id&^briefBit), s)
}

// aloneSeen is what happened to a SYN that nothing answered.
const aloneSeen = SeenSYN | SeenUnanswered

// lonely returns what is the same of all lone SYNs.
func lonely() (c Conn) {
	c.Seen, c.Unlogged.Is = aloneSeen, true
	c.Handshake.SYNs = 1
	e := &c.Ends[Client]
	e.Packets, e.HasISN, e.HasNext, e.HasSYN = 1, true, true, true
	return c
}

// alone describes in t.lonely a SYN that nothing answered, and reports whether it can: whether
// nobody wants its log. It is what ordinary says of it, which can say more.
func (t *Tracker) alone(l *lone, why Ended, now wire.Time) bool {
	if aloneSeen&^t.cfg.Unread != 0 {
		return false
	}
	conn := &t.lonely
	conn.Tuple = l.key.tuple(&farIPv4, l.is&briefClientIsLow != 0)
	conn.First, conn.Last, conn.Start, conn.End, conn.Unlogged.Heard[Client] = l.first, l.first, l.start, l.start, l.start
	conn.Key.Tuple, conn.Key.Start, conn.Key.ISN = conn.Tuple, l.start, l.isn
	conn.Ended, conn.Until = why, max(now, l.start)
	client, server := &conn.Ends[Client], &conn.Ends[Server]
	client.TTL, client.ISN, client.First, client.Next = l.ttl, l.isn, l.isn, l.isn+1
	client.SYN.Set, client.SYN.MSS, client.SYN.WindowScale = synOptions(l.syn, l.how), l.mss, l.how>>howScale
	client.Timeline, server.Timeline = client.Timeline[:0], server.Timeline[:0]
	attempt(conn, moment{l.start, l.first}, [2]*Profile{t.cfg.profileOf(conn.Tuple.Src, conn.Tuple.V6), t.cfg.profileOf(conn.Tuple.Dst, conn.Tuple.V6)})
	return true
}

// briefOf returns the brief record of a number, and of a lone SYN what that would be, to be
// read until the next call.
func (t *Tracker) briefOf(id uint32) *brief {
	if id&loneBit == 0 {
		return t.briefs.at(id &^ briefBit)
	}
	l := t.lones.at(id &^ loneBit)
	t.only.begin(l, farIPv4, t.wheel.long(l.turn))
	return &t.only
}

// turnOf returns for when a number is filed.
func (t *Tracker) turnOf(id uint32) turn {
	if id&loneBit != 0 {
		return t.wheel.long(t.lones.at(id &^ loneBit).turn)
	}
	return t.briefs.at(id &^ briefBit).turn
}

// setTurn notes it.
func (t *Tracker) setTurn(id uint32, at turn) {
	if id&loneBit != 0 {
		t.lones.at(id &^ loneBit).turn = at.short()
	} else {
		t.briefs.at(id &^ briefBit).turn = at
	}
}

// deadlineOf returns when the connection of a number leaves.
func (t *Tracker) deadlineOf(id uint32) wire.Time {
	if id&loneBit != 0 {
		return t.lones.at(id &^ loneBit).deadline(&t.patience)
	}
	return t.briefs.at(id &^ briefBit).deadline(&t.patience)
}

func (l *lone) deadline(p *Profile) wire.Time { return l.start.Add(p.SYNSpan + p.TimeWait) }

// unfiledMost is how many connections wait for being filed: what begins in a second, but for
// floods. They take a megabyte then, which is what the wheel would take for them.
const unfiledMost = 1 << 18

// fileLater enters a connection whose handshake is under way into the wheel when the second is
// over, if it still is. Most handshakes are over then, and the wheel never hears of them. The
// turn that they would have had is noted all the same: what happens to a connection does not
// depend on who was filed.
func (t *Tracker) fileLater(id uint32) {
	if len(t.unfiled) == unfiledMost {
		t.fileNow()
	}
	t.unfiled = append(t.unfiled, id)
}

// fileNow files those that wait. Some have gone meanwhile, and others may have their places.
func (t *Tracker) fileNow() {
	for _, id := range t.unfiled {
		if id&loneBit != 0 {
			if l := t.lones.at(id &^ loneBit); l.turn&shortLater != 0 {
				l.turn &^= shortLater
				t.wheel.put(id, uint64(l.turn)%wheelSlots)
			}
		} else if b := t.briefs.at(id &^ briefBit); b.turn&turnLater != 0 && !b.has(briefOpen) {
			b.turn &^= turnLater
			t.wheel.put(id, uint64(b.turn)%wheelSlots)
		}
	}
	t.unfiled = t.unfiled[:0]
}
