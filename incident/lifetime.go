package incident

import (
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// lifetime is what is counted of nearly every connection over time, with its pair and with its
// listener: when it began, when it was over, and when a side came into TIME_WAIT. Told of each
// of the two one by one, that would take more than twice as much until it is put in order.
type lifetime struct {
	start, over, timeWait wire.Time
	// places are those of the pair, as what the client's side goes by, and of the listener, as
	// what the server's does; nowhere if it is not counted with that.
	places [2]uint16
	// first is opened or met, end the kind of its end if it is over, 0 if it is not.
	first, end kind
	// waits has a bit for each side that came into TIME_WAIT then.
	waits uint8
}

// lifetime returns what a connection is counted with over time. If both sides came into
// TIME_WAIT, what it says of that is the client's.
func (f *facts) lifetime() lifetime {
	c := f.c
	x := lifetime{start: c.Start, first: opened}
	if c.Handshake.Outcome == reassembly.HandshakeUnseen {
		x.first = met
	}
	if f.isOver {
		x.over, x.end = c.Close.At, f.end
	}
	if f.timeWaits[reassembly.Client] {
		x.timeWait, x.waits = f.timeWait[reassembly.Client], 1<<reassembly.Client
	} else if f.timeWaits[reassembly.Server] {
		x.timeWait, x.waits = f.timeWait[reassembly.Server], 1<<reassembly.Server
	}
	return x
}

// nowhere is no place.
const nowhere = 1<<16 - 1

// placeOf makes a place of one in a table.
func placeOf(at int32) uint16 {
	if at < 0 {
		return nowhere
	}
	return uint16(at)
}

// Places of pairs and listeners, of which there may be one too many for a moment.
const _ = uint(nowhere - 1 - max(mostPairs, mostListeners))

// mostPoints is the most points over time that one is.
const mostPoints = 3

// points is how many points over time it is with the key of a side.
func (x *lifetime) points(side reassembly.Side) uint32 {
	n := 1 + uint32(x.waits>>side&1)
	if x.end != 0 {
		n++
	}
	return n
}

// lifetimes are those of which not every table has taken what it counts, in the order in which
// they were added, in blocks that never move.
type lifetimes struct {
	blocks [][]lifetime
	at     int // the block that is being filled; behind it all are empty
	n      int
}

// lifetimesOf: one of so many of the instants that there is room for, at first. As long as they
// wait they take less than half of what the instants take which come of them, and if all fit, as
// they do with some 130,000 connections, nothing is put in order twice. laterOf holds when some
// are in order: then their room is needed for those, all of which are moved when more come.
const lifetimesOf, laterOf = 2, 16

// blockSize keeps what a block takes in a size that is not rounded up.
const blockSize = 1024

func (l *lifetimes) len() int {
	if l == nil {
		return 0
	}
	return l.n
}

// next returns the room for a further one, of which the caller writes all.
func (l *lifetimes) next() *lifetime {
	if l.at == len(l.blocks) || len(l.blocks[l.at]) == cap(l.blocks[l.at]) {
		l.grow()
	}
	b := l.blocks[l.at]
	b = b[:len(b)+1]
	l.blocks[l.at] = b
	l.n++
	return &b[len(b)-1]
}

// grow goes on to the next block.
func (l *lifetimes) grow() {
	if l.at < len(l.blocks) {
		l.at++
	}
	if l.at == len(l.blocks) {
		l.blocks = append(l.blocks, make([]lifetime, 0, blockSize))
	}
}

// clear forgets all, and keeps the room for some.
func (l *lifetimes) clear(room int) {
	if n := room/blockSize + 1; len(l.blocks) > n {
		clear(l.blocks[n:])
		l.blocks = l.blocks[:n]
	}
	for i := range l.blocks {
		l.blocks[i] = l.blocks[i][:0]
	}
	l.at, l.n = 0, 0
}

// each calls do with those from one place to another one, in parts.
func (l *lifetimes) each(from, to int, do func([]lifetime)) {
	if from == to {
		return
	}
	for _, b := range l.blocks {
		if to > 0 && from < len(b) {
			do(b[max(from, 0):min(to, len(b))])
		}
		from, to = from-len(b), to-len(b)
	}
}

// join takes those of o, of whose places it is told where they are now. Nobody may have taken
// any of them.
func (l *lifetimes) join(o *lifetimes, pairs, listeners []int32) {
	moved := func(at uint16, to []int32) uint16 {
		if at == nowhere {
			return nowhere
		}
		return placeOf(to[at])
	}
	for _, b := range o.blocks {
		for i := range b {
			x := &b[i]
			x.places = [2]uint16{reassembly.Client: moved(x.places[reassembly.Client], pairs), reassembly.Server: moved(x.places[reassembly.Server], listeners)}
		}
	}
	l.blocks, l.n = append(l.blocks, o.blocks...), l.n+o.n
	*o = lifetimes{}
	// In the order of time, give or take, so that there is less to do for those who put all
	// in order.
	l.blocks = slices.DeleteFunc(l.blocks, func(b []lifetime) bool { return len(b) == 0 })
	l.at = max(len(l.blocks)-1, 0)
	slices.SortStableFunc(l.blocks, func(a, b []lifetime) int { return int(min(max(a[0].start-b[0].start, -1), 1)) })
}
