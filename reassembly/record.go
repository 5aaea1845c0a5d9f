package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// record is one connection while it is tracked. It has no pointers: the slab of
// records costs the garbage collector nothing.
type record struct {
	key  tupleKey
	hash uint64

	start, last      wire.Time
	first, lastFrame wire.FrameID
	// deadline is when the connection leaves if nothing more comes; 0 is never.
	deadline wire.Time
	// carrier is what the last segment came through (see wire.Segment).
	carrier uint32
	// firstSeq is the first segment's sequence number, a part of the uid.
	firstSeq wire.Seq
	// stamp is what Config.Opened returned.
	stamp uint64

	half [2]half // by Side

	seen Seen
	// The last long silence: when and by which frame it ended, and its length.
	quietAt    wire.Time
	quietFrame wire.FrameID
	quietFor   time.Duration
	idle       Idle
	// older and newer link the incarnations of the tuple that are held at once;
	// the table knows the newest.
	older, newer uint32
	turn         turn // of the wheel
	// changed: the list of that name has it. released: it is free.
	changed, released bool

	logHead, logTail uint32 // blocks
	logLen           uint32 // events
	packAt           uint32 // no pack before the log is longer than this
	dropped          uint32
	icmp             uint32 // first of the ICMP errors; 0 none
	// run is, by side, the event into which plain data and ACKs are folded; 0 none. held
	// has the last of them, which is not yet.
	run  [2]eventRef
	held uint32
	// sinceFIN counts events from the first FIN on.
	sinceFIN uint16

	state  recordState
	roleBy RoleBy
	// clientIsLow: the client is the key's lower end.
	clientIsLow bool
	// replaced: a newer incarnation was answered.
	replaced bool
	// aliveAfterRST has a bit for each side that sent something else after a RST.
	aliveAfterRST uint8
	// noted has bits, by side, for events that always get an entry of their own
	// the first time.
	noted uint8

	// otherEncap is the path of the direction of otherFrom, where it is not the
	// key's.
	otherEncap    wire.EncapID
	otherFrom     Side
	hasOtherEncap bool

	recentN uint8 // of recent

	previous, next incarnation

	recent [recentMax]recentFrame
	// origin is what names the connection if it goes on after it was evicted; 0 if it does
	// not.
	origin uint32
	// view is the watcher's name for the connection; 0 while the log says all.
	view uint32
}

// incarnation is what a record keeps of a neighbour.
type incarnation struct {
	start, last wire.Time
	frame       wire.FrameID
	answer      wire.FrameID
	answerAt    wire.Time
	seq         wire.Seq
	clientIsLow bool
	openedByLow bool
	known       bool
	hasTime     bool
	ttl         uint8
	tsMax       uint32
}

// recordState says, without hindsight, how far a connection has come; it decides
// only when the record may leave.
type recordState uint8

const (
	stateAttempt recordState = iota // a SYN, maybe its answer
	stateOpen                       // data or ACKs both ways, or mid-stream
	stateClosed                     // both FINs acknowledged
	stateReset                      // a RST that fits
)

// half is one side of a record.
type half struct {
	packets, bytes, unique uint64
	// pendAt is when the segment ending at pendEnd passed; its answer gives a
	// sample of the peer's response time.
	pendAt   wire.Time
	response time.Duration

	dups, rexmits uint32

	isn, first, next, acked, fin, pendEnd wire.Seq
	// lastAck is what the side's last segment acknowledged, if hasLast.
	lastAck wire.Seq
	// stray is the last acknowledgment that seemed impossible, if hasStray.
	stray wire.Seq
	// edge is the right edge of the window that this side offered.
	edge wire.Seq
	// offered is the right edge that its last segment offered, SYNs apart.
	offered wire.Seq
	ext     uint32 // ranges; 0 none

	flags halfFlags

	// tsMax is the newest time stamp that the side sent, if hasTime.
	tsMax uint32
	// echoes counts ACKs in a row that acknowledge nothing new; hops is the hop limit
	// of the last segment.
	echoes, hops uint8

	// The SYN's options, without time stamps and blocks.
	optSet      wire.OptionSet
	mss         uint16
	userTimeout uint16
	wscale      uint8
	fastOpenLen uint8
	mptcp       uint8
	ttl         uint8
}

type halfFlags uint16

const (
	hasISN      halfFlags = 1 << iota // isn is known
	hasNext                           // first and next are known: the side sent something with a sequence number
	hasAcked                          // acked is known: the peer acknowledged something
	hasFIN                            // the FIN was seen; fin is the number after it
	finAcked                          // and the peer acknowledged it
	hasSYN                            // its SYN was seen
	hasPend                           // pendAt and pendEnd are set
	hasEdge                           // edge is known
	talked                            // it sent something besides a SYN
	answeredSYN                       // it sent a SYN,ACK
	hasTime                           // tsMax is set
	hasLast                           // lastAck is set
	hasOffered                        // offered is known
	hasStray                          // stray is set
)

func (h *half) has(f halfFlags) bool { return h.flags&f == f }

// extent holds the ranges of a side whose sequence space has holes or repetitions;
// most sides need none.
type extent struct {
	missing  holes
	repeated Ranges
}

const recentMax = 4

// recentFrame remembers a frame to know its double.
type recentFrame struct {
	mark uint64
	at   wire.Time
}

// heldEvents are the last plain segment of each side; Count is 0 where there is none.
type heldEvents struct {
	events [2]Event // by Side
	newest Side
}

// blockEvents is how many events one block of the log holds: a connection attempt
// without answer needs one block, an ordinary short connection three.
const blockEvents = 4

type block struct {
	events [blockEvents]Event
	next   uint32
}

// eventRef names an event in the log: its block's number and its place there.
// Block numbers begin at 1, so 0 is no event.
type eventRef uint32

func refOf(blk, place uint32) eventRef { return eventRef(blk*blockEvents + place) }

func (t *Tracker) event(r eventRef) *Event {
	return &t.blocks.at(uint32(r) / blockEvents).events[uint32(r)%blockEvents]
}

// side returns who sent a segment whose tuple was, or was not, swapped by keyOf.
func (r *record) side(swapped bool) Side {
	if r.clientIsLow != swapped {
		return Client
	}
	return Server
}

// tuple returns the tuple from the client to the server.
func (r *record) tuple() wire.Tuple { return r.key.tuple(r.clientIsLow) }

func (t *Tracker) neighbour(r *record) incarnation {
	name := t.named(r)
	f := &r.half[Client]
	if r.roleBy != RoleBySYN {
		f = &r.half[Server]
	}
	return incarnation{
		hasTime: f.has(hasTime), ttl: f.hops, tsMax: f.tsMax,
		start: name.start, last: r.last, frame: r.first, seq: name.seq, clientIsLow: r.clientIsLow,
		openedByLow: r.clientIsLow == (r.roleBy == RoleBySYN), known: true,
	}
}

// public describes a neighbour for the connection whose client is, or is not, the
// key's lower end.
func (i *incarnation) public(key *tupleKey, clientIsLow bool) Incarnation {
	if !i.known {
		return Incarnation{}
	}
	opener := Server
	if i.openedByLow == clientIsLow {
		opener = Client
	}
	return Incarnation{Key: UIDKey{Tuple: key.tuple(i.clientIsLow), Start: i.start, ISN: i.seq}, Last: i.last, Frame: i.frame, Opener: opener, Answer: i.answer, AnswerAt: i.answerAt, TTL: i.ttl, TSVal: i.tsMax, HasTime: i.hasTime}
}

// The bits of record.noted, to be shifted by the Side.
const (
	notedTalk   = 1      // something besides SYN and RST
	notedFinAck = 1 << 2 // an acknowledgment of the peer's FIN
)

func (r *record) talkedBefore(from Side) bool { return r.noted&(notedTalk<<from) != 0 }

func (r *record) noteTalked(from Side, kind Kind) {
	if kind == KindACK || kind == KindData || kind == KindFIN {
		r.noted |= notedTalk << from
	}
}

// listen gives each side's next segment an entry of its own: after a RST or a new
// SYN it shows what the side made of it.
func (r *record) listen() {
	r.run = [2]eventRef{}
	r.noted &^= notedTalk | notedTalk<<1
}

func (r *record) finAckNoted(from Side) bool { return r.noted&(notedFinAck<<from) != 0 }
func (r *record) noteFinAck(from Side)       { r.noted |= notedFinAck << from }
