package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Config says what a Tracker shall do and whom it tells.
type Config struct {
	// Seed makes the table's hash unpredictable; the zero value will do for tests.
	Seed Seed
	// Profile holds the timers; the zero value stands for Linux. Networks gives some
	// hosts others.
	Profile  Profile
	Networks []Network
	// Opened is called when a connection begins, before any other call for it, and
	// returns a stamp that grows from one connection to the next: it names the
	// connection in all other calls, and FlushBefore goes by it. If it is nil, stamps
	// count from 0.
	Opened func() (stamp uint64)
	// Settled is called when a connection leaves.
	Settled func(c *Conn, stamp uint64)
	// Late is called for each group of segments that came after their connection
	// had left; may be nil.
	Late func(l *Late)
	// Observed, if set, is called with every segment after it was tracked: which
	// connection it belongs to, who sent it, and what is remarkable about it. doubled:
	// it is the second copy of a frame and was not tracked.
	Observed func(s *wire.Segment, stamp uint64, from Side, m Marks, doubled bool)
	// Watch, if set, follows connections for views that the log does not hold; see
	// Conn.View.
	Watch Watcher
	// Unread has the bits of Seen for which nobody reads Conn.Events: a connection that
	// shows no others, and no silence (Conn.Idle), may come without; see Conn.Unlogged.
	Unread Seen
	// Follow has the tracker keep which connections have changed; see Changed.
	Follow bool

	full bool // no brief records, and no takeRun; for tests
}

// Tracker follows the connections of one capture, or of a part of it. It is
// not safe for concurrent use.
type Tracker struct {
	// What each segment needs comes first: of many trackers no other line is in the cache.
	table    table
	briefs   slab[brief]
	entries  slab[entries]
	lones    slab[lone]
	fed      wire.Time // the largest time of a segment
	cfg      Config
	patience Profile // of cfg
	recs     slab[record]
	blocks   slab[block]
	helds    slab[heldEvents]
	extents  slab[extent]
	// holeOctets is what holes take beside extents.
	holeOctets int
	icmps      slab[icmpNote]
	origins    slab[origin]
	tagged     table // the newest record of each tuple that has an encapsulation
	wheel      wheel
	tombs      tombs
	clock      wire.Time // the largest time that Advance was given
	started    bool

	unfiled []uint32 // see fileLater

	rest  []uint32 // records that Flush has still to hand out
	stood []stood  // see Standings
	// changed has what was touched since Changed was called; see touch.
	changed []uint32
	scratch
}

// scratch is what a tracker works with while it tells of one connection.
type scratch struct {
	conn   Conn    // handed to Settled
	plain  Conn    // the same for ordinary ones: summarize knows what is ever set in it
	lonely Conn    // and for lone SYNs: alone sets what is not the same of all
	replay []Event // handed to Watch
	packed []Event // see pack
	infer  inference
	course course // see ordinary
	retold retold // see segments and retell
	first  lone   // see openBrief
	only   brief  // see briefOf
	// awaited keeps what await reads from being left out.
	awaited uint64
}

// New returns an empty tracker.
func New(cfg Config) *Tracker {
	if cfg.Profile == (Profile{}) {
		cfg.Profile = Linux
	}
	if cfg.Opened == nil {
		var n uint64
		cfg.Opened = func() uint64 { n++; return n - 1 }
	}
	if cfg.Late == nil {
		cfg.Late = func(*Late) {}
	}
	t := &Tracker{cfg: cfg, patience: cfg.patience()}
	t.tombs.t, t.lonely = t, lonely()
	t.reserve()
	return t
}

// Open returns how many connections are held.
func (t *Tracker) Open() int { return t.recs.live() + t.briefs.live() + t.lones.live() }

// Feed takes the next segment. s is not kept.
func (t *Tracker) Feed(s *wire.Segment) { t.FeedHashed(s, t.cfg.Seed.Hash(&s.Tuple)) }

// FeedHashed is Feed for callers that know Seed.Hash of the tuple already.
func (t *Tracker) FeedHashed(s *wire.Segment, hash uint64) {
	t.FeedAt(s, hash, t.Locate(s, hash))
}

// FeedAt is FeedHashed for callers that have asked Locate for the place already; it may
// have been given to another connection since.
func (t *Tracker) FeedAt(s *wire.Segment, hash uint64, p Place) {
	if id := uint32(p); id&briefBit != 0 {
		// If the connection is there still, no other holds the tuple.
		if t.goOn(id, t.briefs.at(id&^briefBit), s) {
			return
		}
	} else if id&loneBit != 0 {
		if t.goOnLone(id, s, hash) {
			return
		}
	} else if id != 0 && t.runAt(id, s) {
		return
	}
	t.feed(s, hash)
}

// feed is FeedHashed for what does not simply go on in a brief record.
func (t *Tracker) feed(s *wire.Segment, hash uint64) {
	if !t.started {
		t.started, t.fed, t.clock = true, s.At, s.At
		t.wheel.start(s.At)
	}
	if s.At > t.fed {
		t.fed = s.At
	}
	key, swapped := keyOf(&s.Tuple)
	tuple := hash
	hash = slotHash(tuple, key.path())
	rec := t.find(&key, hash)
	switch {
	case rec == 0:
		rec = t.otherWay(s, &key, tuple, swapped)
	case rec&shortBits != 0:
		if rec&loneBit != 0 && t.deadlineOf(rec) >= s.At {
			rec = t.answered(rec, hash)
		}
		if b := t.briefOf(rec); b.overdue(s.At, &t.patience) {
			t.settleBrief(rec, EndedSettled, s.At)
			rec = 0
		} else if t.goOn(rec, b, s) {
			return
		} else if t.holdEnd(rec, s, swapped) {
			if t.cfg.Follow {
				t.touch(rec)
			}
			return
		} else {
			rec = t.unfold(rec)
		}
	}
	if rec != 0 {
		if r := t.recs.at(rec); r.deadline != 0 && r.deadline < s.At {
			t.settle(rec, EndedSettled, s.At)
			rec = 0
		} else if r.older != 0 {
			t.settleOverdue(r.older, s.At)
		}
	}
	if rec == 0 {
		tomb := t.tombs.of(&key, hash)
		goesOn := tomb != 0 && t.tombs.goesOn(tomb, s, swapped)
		if tomb != 0 && !goesOn && t.tombs.claim(tomb, s, swapped) {
			return
		}
		other := t.elsewhere(&key, tuple)
		if tomb == 0 && other == 0 && t.isBrief(s, &key) {
			t.openBrief(s, &key, hash, swapped)
			return
		}
		if goesOn {
			rec = t.resume(tomb, s, &key, hash)
		} else {
			rec = t.open(s, &key, hash, swapped)
		}
		t.sibling(t.whole(other), rec, s, swapped)
	} else if of := t.incarnationOf(rec, s, swapped); of != rec {
		if o := t.recs.at(of); o.replaced && s.Span() > 0 {
			// What an old life still has on the way is an event of the new one too.
			r := t.recs.at(rec)
			t.watchFrom(r)
			t.note(r, s, r.side(swapped), kindOf(s), MarkOther)
		}
		t.recs.at(rec).seen |= SeenOlderLife
		if t.cfg.Follow {
			t.touchLives(rec)
		}
		rec = of
	}
	t.take(rec, s, swapped)
	if t.cfg.Follow {
		t.touchLives(rec) // an answer ends those before
	}
}

// find returns the newest connection of a tuple, 0 if none is held.
func (t *Tracker) find(key *tupleKey, hash uint64) uint32 {
	rec, at := t.table.first(hash)
	for rec != 0 && !t.holds(rec, key) {
		rec, at = t.table.after(hash, at)
	}
	return rec
}

// unfile takes a connection out of the table.
func (t *Tracker) unfile(rec uint32, hash uint64) {
	held, at := t.table.first(hash)
	for held != rec {
		held, at = t.table.after(hash, at)
	}
	t.table.remove(at)
}

// quietMin is the silence that is remembered, because devices on the path may have
// forgotten the connection after it: no NAT in use does so sooner.
const quietMin = 30 * time.Second

// take adds a segment to the connection it belongs to.
func (t *Tracker) take(rec uint32, s *wire.Segment, swapped bool) {
	r := t.recs.at(rec)
	from := r.side(swapped)
	if t.takeRun(r, s, from) {
		return
	}
	f := &r.half[from]
	f.packets++
	f.bytes += uint64(s.Len)
	if f.packets == 1 || f.hops == 0 && s.Flags&wire.RST == 0 {
		f.ttl = s.TTL // a RST's only while there is nothing else: somebody else may send it
	}
	silence := s.At.Sub(r.last)
	if silence > 0 {
		if silence >= quietMin {
			r.quietAt, r.quietFrame, r.quietFor = s.At, s.Frame, silence
		}
		r.last = s.At
	}
	r.lastFrame = s.Frame
	if s.Carrier != r.carrier {
		t.watchFrom(r) // the log does not say what carried a segment
		r.carrier = s.Carrier
	}
	if r.doubled(s, from) {
		t.watchFrom(r)
		t.watch(r, s, from)
		f.dups++
		r.seen |= SeenDuplicate
		if t.cfg.Observed != nil {
			t.cfg.Observed(s, r.stamp, from, 0, true)
		}
		return
	}
	kind := kindOf(s)
	r.idle.answered(from, kind)
	if silence >= idleMin {
		r.idle.broken(from, s.At, silence, r.outstanding(from))
	}
	if kind == KindFIN && !r.half[0].has(hasFIN) && !r.half[1].has(hasFIN) {
		r.idle.closing(from, s.At)
	}
	if s.Flags&(wire.SYN|wire.ACK) == wire.SYN && r.startsOver(s, from) {
		t.watchFrom(r)
	}
	marks := t.account(r, s, from, kind)
	if s.Len > 0 && kind != KindRST && marks&(MarkRepeat|MarkKeepalive|MarkOther|MarkOutside) == 0 {
		r.idle.said(from)
	}
	t.note(r, s, from, kind, marks)
	t.watch(r, s, from)
	t.reconsider(rec, s, from, kind, marks)
	if t.cfg.Observed != nil {
		t.cfg.Observed(s, r.stamp, from, marks, false)
	}
}

func kindOf(s *wire.Segment) Kind {
	switch {
	case s.Flags&wire.RST != 0:
		return KindRST
	case s.Flags&(wire.SYN|wire.ACK) == wire.SYN|wire.ACK:
		return KindSYNACK
	case s.Flags&wire.SYN != 0:
		return KindSYN
	case s.Flags&wire.ACK == 0:
		return KindOdd
	case s.Flags&wire.FIN != 0:
		return KindFIN
	case s.Len > 0:
		return KindData
	}
	return KindACK
}

// open begins a connection with its first captured segment.
func (t *Tracker) open(s *wire.Segment, key *tupleKey, hash uint64, swapped bool) uint32 {
	rec := t.recs.get()
	r := t.recs.at(rec)
	*r = record{key: *key, hash: hash, start: s.At, last: s.At, first: s.Frame, firstSeq: s.Seq, carrier: s.Carrier}
	client, by := roles(s)
	r.roleBy = by
	r.clientIsLow = (client == Client) != swapped
	if by != RoleBySYN && by != RoleBySYNACK {
		r.state = stateOpen
	}
	if i := t.tombs.of(key, hash); i != 0 {
		r.previous = t.tombs.life(i)
	}
	t.table.insert(hash, rec)
	t.tag(rec, key, hash)
	r.stamp = t.cfg.Opened()
	return rec
}

// roles says whether the sender of a connection's first captured segment is the
// client, and how that is known.
func roles(s *wire.Segment) (sender Side, by RoleBy) {
	switch {
	case s.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN:
		return Client, RoleBySYN
	case s.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN|wire.ACK:
		return Server, RoleBySYNACK
	}
	// Ephemeral ports begin at 32768 (Linux) or 49152 (IANA, BSD, Windows); nothing
	// listens above, few clients send from below 1024.
	src, dst := s.Tuple.SrcPort, s.Tuple.DstPort
	switch {
	case src < 1024 && dst >= 1024, src < 32768 && dst >= 32768:
		return Server, RoleByPort
	case dst < 1024 && src >= 1024, dst < 32768 && src >= 32768:
		return Client, RoleByPort
	}
	return Client, RoleByGuess
}

// emit reads a record's log with hindsight and hands the connection out.
func (t *Tracker) emit(rec uint32, why Ended, now wire.Time) {
	r := t.recs.at(rec)
	t.conclude(r, why, now)
	t.cfg.Settled(&t.conn, r.stamp)
}

// conclude says in t.conn what a record's log tells, up to now.
func (t *Tracker) conclude(r *record, why Ended, now wire.Time) {
	c := &t.conn
	t.describe(c, r)
	c.Ended = why
	c.Until = max(now, r.last)
	t.infer.run(c, [2]*Profile{t.cfg.profileOf(c.Tuple.Src, c.Tuple.V6), t.cfg.profileOf(c.Tuple.Dst, c.Tuple.V6)})
	judge(c)
}

// describe fills c with what a record says by itself.
func (t *Tracker) describe(c *Conn, r *record) {
	events := t.events(c.Events[:0], r)
	icmp := c.ICMP[:0]
	for i := r.icmp; i != 0; i = t.icmps.at(i).next {
		icmp = append(icmp, t.icmps.at(i).ICMP)
	}
	ends := c.Ends
	r.seen |= r.sum()
	name := t.named(r)
	*c = Conn{
		Tuple: r.tuple(), RoleBy: r.roleBy, First: r.first, Last: r.lastFrame, Start: r.start, End: r.last,
		Events: events, ICMP: icmp, Dropped: r.dropped, Seen: r.seen, Quiet: Quiet{r.quietAt, r.quietFrame, r.quietFor}, Idle: r.idle, Key: UIDKey{Tuple: r.tuple(), Start: name.start, ISN: name.seq},
		Previous: r.previous.public(&r.key, r.clientIsLow), Next: r.next.public(&r.key, r.clientIsLow), Replaced: r.replaced, View: r.view,
	}
	for i := range r.half {
		h, e := &r.half[i], &c.Ends[i]
		if h.has(hasFIN) && !h.has(finAcked) {
			c.Seen |= SeenOpenFIN
		}
		if h.has(hasFIN) && !r.half[1-i].has(hasFIN) {
			c.Seen |= SeenOneFIN
		}
		*e = Endpoint{
			Packets: h.packets, Bytes: h.bytes, UniqueBytes: h.unique, Duplicates: uint64(h.dups), Retransmits: uint64(h.rexmits),
			ISN: h.isn, HasISN: h.has(hasISN), First: h.first, Next: h.next, Acked: h.acked, HasNext: h.has(hasNext), HasAcked: h.has(hasAcked),
			Response: h.response, HasSYN: h.has(hasSYN), TTL: h.ttl, FIN: h.fin, HasFIN: h.has(hasFIN),
			Missing: ends[i].Missing[:0], Repeated: ends[i].Repeated[:0], Timeline: ends[i].Timeline[:0],
		}
		if e.HasSYN {
			e.SYN = wire.Options{Set: h.optSet, MSS: h.mss, WindowScale: h.wscale, FastOpenLen: h.fastOpenLen, MPTCPSubtype: h.mptcp, UserTimeout: h.userTimeout}
		}
		if h.ext == 0 {
			continue
		}
		x := t.extents.at(h.ext)
		e.Repeated = append(e.Repeated, x.repeated.All()...)
		e.Missing, e.MissingBytes, e.HasHole = x.missing.told(e.Missing, h.acked, h.has(hasAcked))
	}
}

// sum says what shows only in the whole of a connection.
func (r *record) sum() (seen Seen) {
	const ended = SeenFINClient | SeenFINServer | SeenRST
	switch {
	case r.seen&SeenSYN != 0 && r.seen&SeenSYNACK == 0:
		seen |= SeenUnanswered
	case r.seen&SeenSYNACK != 0 && !r.half[Client].has(talked):
		seen |= SeenHalfOpen
	}
	if r.seen&SeenSYNACK != 0 && r.seen&SeenData == 0 && r.seen&ended != 0 {
		seen |= SeenNoData
	}
	if r.seen&SeenSYN == 0 && (r.seen&SeenSYNACK != 0 || r.seen&SeenRST != 0 && !r.half[Client].has(talked) && !r.half[Server].has(talked)) {
		seen |= SeenUnsolicited
	}
	if r.previous.known {
		seen |= SeenReused
	}
	if r.next.known {
		seen |= SeenReopened
	}
	if r.key.self() {
		seen |= SeenSelf
	}
	return seen
}

// Late is a group of segments that came after their connection had left.
type Late struct {
	// Key is what the uid of the connection they belong to is made of; Tuple runs
	// from its client to its server.
	Key         UIDKey
	Tuple       wire.Tuple
	Start, End  wire.Time
	First, Last wire.FrameID
	// Packets and Bytes by side.
	Packets, Bytes [2]uint64
	// SYNs, FINs and RSTs count the flags.
	SYNs, FINs, RSTs uint64
}
