package reassembly

import "github.com/tcplife/tcplife/wire"

// wheel holds the connections that have a deadline, in slots of one second. It is
// lazy: a segment that moves a deadline back only writes the record; the slot's turn
// finds the record too early and files it again. And it takes nothing out: what was
// filed anew, or has left, is known by its record, which names its turn, and is passed
// over when another one's comes. Links in the records would wait for memory at every
// change.
type wheel struct {
	slots [wheelSlots]uint32 // first chunk of each slot's list
	now   int64              // the second up to which slots were emptied
	lists slab[wheelChunk]
}

// wheelChunk is a part of a slot's list: 64 octets, the rest is in next.
type wheelChunk struct {
	ids  [14]uint32
	n    uint32
	next uint32
}

// wheelSlots reaches further than the longest ordinary deadline (an attempt's);
// what lies beyond is filed in the last slot and looked at again.
const wheelSlots = 256

// turn is the second for which a record is filed, as the record keeps it; 0 is none.
// The upper bit is set in all others, the rest is the second but for its upper bits:
// nothing is filed further ahead than the wheel's circumference.
type turn uint32

const (
	turnFiled = 1 << 31
	// turnLater: the record is in no list, as it may well have no deadline when its second is
	// over; see fileLater.
	turnLater = 1 << 30
)

func turnOf(second int64) turn { return turn(uint32(second))&^turnLater | turnFiled }

// in reports whether the turn is one of a slot's.
func (t turn) in(slot uint64) bool {
	return t&(turnFiled|turnLater) == turnFiled && uint64(t)%wheelSlots == slot
}

// comesFirst reports whether a turn comes no later than another.
func (t turn) comesFirst(u turn) bool { return int32(t-u)<<2 <= 0 }

// shortTurn is a turn without the upper bits of its second: enough for what has never been
// past its turn.
type shortTurn uint16

func (t turn) short() shortTurn { return shortTurn(t>>16)&shortFlags | shortTurn(t)&^shortFlags }

// The upper two bits are those of a turn.
const (
	shortLater = turnLater >> 16
	shortFlags = turnFiled>>16 | shortLater
)

// long returns the turn that has been made short, which lies in the wheel.
func (w *wheel) long(s shortTurn) turn {
	if s == 0 {
		return 0
	}
	ahead := (int64(s&^shortFlags) - w.now) % shortLater
	if ahead < 0 {
		ahead += shortLater
	}
	return turnOf(w.now+ahead) | turn(s)<<16&turnLater
}

func second(t wire.Time) int64 {
	s := int64(t) / 1e9
	if t < 0 {
		s--
	}
	return s
}

func (w *wheel) start(t wire.Time) { w.now = second(t) }

// file puts a record into the slot of its deadline, unless it is in one whose turn
// comes no later. filed is where the record keeps its turn.
func (w *wheel) file(id uint32, deadline wire.Time, filed *turn) {
	at := w.turnFor(deadline)
	switch held := *filed &^ turnLater; {
	case held == 0:
	case held == *filed:
		if held.comesFirst(at) {
			return
		}
	case held.comesFirst(turnOf(w.now)): // it had no deadline when that turn came
	case held.comesFirst(at):
		at = held
	}
	*filed = at
	w.put(id, uint64(at)%wheelSlots)
}

// turnFor is the turn of a deadline: a slot's comes when its second is over.
func (w *wheel) turnFor(deadline wire.Time) turn {
	at := second(deadline) + 1
	at = max(at, w.now+1)
	return turnOf(min(at, w.now+wheelSlots-1))
}

// put enters a record into a slot's list.
func (w *wheel) put(id uint32, at uint64) {
	slot := &w.slots[at]
	if *slot == 0 || w.lists.at(*slot).n == uint32(len(wheelChunk{}.ids)) {
		c := w.lists.get()
		w.lists.at(c).n, w.lists.at(c).next = 0, *slot
		*slot = c
	}
	c := w.lists.at(*slot)
	c.ids[c.n] = id
	c.n++
}

// advance settles what is due at now.
func (w *wheel) advance(t *Tracker, now wire.Time) {
	to := second(now)
	if to <= w.now {
		return
	}
	t.fileNow()
	// After wheelSlots steps every slot had its turn. All are taken before the first is
	// looked at: what is filed again meanwhile is filed as of the end of the way, maybe
	// into one of them.
	from := max(w.now, to-wheelSlots)
	w.now = to
	var due [wheelSlots]uint32
	for at := from + 1; at <= to; at++ {
		slot := uint64(at) % wheelSlots
		due[slot], w.slots[slot] = w.slots[slot], 0
	}
	for at := from + 1; at <= to; at++ {
		for list := due[uint64(at)%wheelSlots]; list != 0; {
			c := w.lists.at(list)
			t.await(c.ids[:c.n], true, uint64(at)%wheelSlots)
			for _, id := range c.ids[:c.n] {
				t.turn(id, uint64(at)%wheelSlots, now)
			}
			next := c.next
			w.lists.put(list)
			list = next
		}
	}
}
