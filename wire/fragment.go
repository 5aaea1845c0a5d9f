package wire

import (
	"slices"
	"time"
)

// Fragments counts what came of the fragments of IP packets that could carry TCP.
// Each of their frames is counted as SkipFragment, but for the one that completed
// a packet: that is counted as what the packet held.
type Fragments struct {
	// Packets counts packets put together, Frames the frames that they came in.
	Packets, Frames uint64
	// Incomplete counts packets of which something was missing when their time was
	// over, or is still missing; IncompleteFrames the frames that came of them.
	Incomplete, IncompleteFrames uint64
	// IncompleteTCP counts those among them whose first fragment is there and
	// begins with a TCP header: segments that no connection shows.
	IncompleteTCP uint64
	// Evicted counts those among them that had to go early, for want of room.
	Evicted uint64
	// Overlapping counts packets, complete or not, with fragments that overlap in
	// part. No sender does that by itself; a Linux host drops the packet, others
	// choose one copy or the other (RFC 5722).
	Overlapping uint64
}

const (
	// How long a packet waits for its missing fragments, counted from the first.
	// It is Linux's time for IPv4 (ip_frag_time), and RFC 8200 section 4.5's for
	// IPv6. IPv4's identification has 16 bits and comes round: waiting longer
	// joins halves of different packets (RFC 4963).
	fragmentTime4 = 30 * time.Second
	fragmentTime6 = 60 * time.Second
	// fragmentRoom is what waiting packets may take together, in octets. It is
	// Linux's bound (ipfrag_high_thresh), and more here, where of a packet's
	// octets only the headers are kept.
	fragmentRoom = 4 << 20
	// datagramHead is how much is kept of a packet, from its IP payload on: enough
	// for a dozen tunnels' headers, or for the largest IPv6 extension header.
	datagramHead = 4096
	// maxDatagram is the largest IP payload that fragments can make (RFC 791,
	// RFC 8200). What claims to reach beyond is the "ping of death".
	maxDatagram = 65535
	// datagramCost and pieceCost are what a waiting packet and each of its fragments
	// take beside the octets kept.
	datagramCost = 384
	pieceCost    = 16
)

// datagramKey tells apart the packets that fragments belong to.
type datagramKey struct {
	// path holds the encapsulation's octets: two tunnels may carry the same
	// addresses, and count identifications each on its own.
	path     string
	src, dst Addr // of the header that the packet travels with
	id       uint32
	// proto is IPv4's protocol field. IPv6 does not compare it: it may differ
	// between fragments, and the first one's holds (RFC 8200 section 4.5).
	proto byte
	v6    bool
}

// fragment is one fragment of an IP packet.
type fragment struct {
	key  datagramKey
	at   Time
	head ipHead
	// from is where its octets belong in the packet's payload, length how many
	// there were by the IP header, and data those that were captured.
	from, length uint32
	data         []byte
	more         bool // it is not the packet's last
}

// ipHead is what a segment takes from the IP header. The first fragment's holds
// for the packet (RFC 791 section 3.2, RFC 8200 section 4.5).
type ipHead struct {
	src, dst Addr // the ends: home address and last stop, where there are such
	id       uint16
	ttl      uint8
	traits   Traits
	next     byte // the protocol that the payload begins with
}

// datagram is an IP packet of which fragments have come. When it is whole it stays until
// its time is over, without octets, so that further copies of its fragments are
// known for what they are.
type datagram struct {
	key          datagramKey
	older, newer *datagram
	expires      Time
	head         ipHead
	pieces       []piece // ascending by from; of equal ones the earlier first
	data         []byte  // the first octets; only those below captured mean something
	total        uint32  // length of the payload; 0 until the last fragment comes
	captured     uint32  // valid when whole: up to where no captured octet is missing
	frames       uint32
	cost         int
	overlaps     bool
	whole        bool
}

// piece is the place of one fragment, and how often it came.
type piece struct {
	from, to uint32
	captured uint32 // up to where its octets were captured
	copies   uint16
}

// reassembler puts packets together out of their fragments. The zero value is
// ready. It is given what could carry TCP, and nothing of it reaches the ordinary
// path: only here, memory is allocated for each frame.
type reassembler struct {
	datagrams      map[datagramKey]*datagram
	oldest, newest *datagram // by first fragment
	cost           int
	clock          Time
	started        bool
	counts         Fragments
}

// add takes a fragment in, and returns the packet if that makes it whole. The
// packet belongs to the caller until the next call. Without a packet the skip is
// the fragment's.
func (r *reassembler) add(f *fragment) (*datagram, Skip) {
	length := f.length
	if f.more {
		// Offsets count in units of eight octets. IPv6 hosts refuse a fragment in
		// the middle that does not fill its last one; those of IPv4 cut it off.
		if f.key.v6 && length%8 != 0 {
			return nil, SkipMalformed
		}
		length &^= 7
	}
	if length == 0 || f.from+length > maxDatagram {
		return nil, SkipMalformed
	}
	to := f.from + length
	r.expire(f.at)

	p := r.datagrams[f.key]
	// Too old, or whole: the identification is used anew.
	if p != nil && (p.expires < r.clock || p.whole && !p.owes(f.from, to)) {
		r.remove(p)
		p = nil
	}
	if p == nil {
		p = r.open(f)
	}
	if p.whole {
		r.counts.Frames++
		return nil, SkipFragment
	}
	// A packet has one end. What disagrees with the end that came first is left
	// out; a host would throw away the packet.
	if !f.more && (p.total != 0 && p.total != to || p.reaches() > to) || f.more && p.total != 0 && to > p.total {
		return nil, SkipMalformed
	}
	p.frames++
	if !f.more {
		p.total = to
	}
	if f.from == 0 {
		p.head = f.head
	}
	p.put(f.from, to, f.data)
	r.charge(p)
	if !p.complete() {
		return nil, SkipFragment
	}
	r.counts.Packets++
	r.counts.Frames += uint64(p.frames)
	if p.overlaps {
		r.counts.Overlapping++
	}
	p.whole = true
	whole := *p
	p.data = nil
	r.charge(p)
	return &whole, SkipNone
}

// open begins a packet with its first fragment to come.
func (r *reassembler) open(f *fragment) *datagram {
	if r.datagrams == nil {
		r.datagrams = make(map[datagramKey]*datagram)
	}
	wait := fragmentTime4
	if f.key.v6 {
		wait = fragmentTime6
	}
	// By the largest time so far: where a capture's times leap back, counting from
	// the fragment's own would end its wait at once.
	p := &datagram{key: f.key, expires: r.clock.Add(wait), older: r.newest}
	if r.newest != nil {
		r.newest.newer = p
	} else {
		r.oldest = p
	}
	r.newest = p
	r.datagrams[f.key] = p
	return p
}

// holds reports whether fragments of the packet have come.
func (r *reassembler) holds(key datagramKey) bool {
	_, ok := r.datagrams[key]
	return ok
}

// expire drops what has waited for too long. A packet of IPv4 behind an older one
// of IPv6 may stay past its time, and is dropped when a fragment asks for it.
func (r *reassembler) expire(at Time) {
	if !r.started || at > r.clock {
		r.clock, r.started = at, true
	}
	for r.oldest != nil && r.oldest.expires < r.clock {
		r.remove(r.oldest)
	}
}

// charge brings the account up to date, and makes room at the expense of the
// packets that have waited longest.
func (r *reassembler) charge(p *datagram) {
	cost := datagramCost + len(p.key.path) + cap(p.data) + pieceCost*cap(p.pieces)
	r.cost += cost - p.cost
	p.cost = cost
	for r.cost > fragmentRoom && r.oldest != p {
		if !r.oldest.whole {
			r.counts.Evicted++
		}
		r.remove(r.oldest)
	}
}

func (r *reassembler) remove(p *datagram) {
	if !p.whole {
		r.counts.lost(p)
	}
	delete(r.datagrams, p.key)
	r.cost -= p.cost
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		r.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		r.newest = p.older
	}
}

// lost counts a packet that is not whole.
func (c *Fragments) lost(p *datagram) {
	c.Incomplete++
	c.IncompleteFrames += uint64(p.frames)
	if p.overlaps {
		c.Overlapping++
	}
	if len(p.pieces) > 0 && p.pieces[0].from == 0 && p.head.next == ipTCP {
		c.IncompleteTCP++
	}
}

// count returns the counts as of now; what still waits is counted as incomplete.
func (r *reassembler) count() Fragments {
	c := r.counts
	for p := r.oldest; p != nil; p = p.newer {
		if !p.whole {
			c.lost(p)
		}
	}
	return c
}

// owes reports whether one more copy of a fragment belongs to the packet, though
// that is whole: where every frame was captured twice, the last fragment's copy
// comes when the packet is whole already, and nothing else will come of it.
func (p *datagram) owes(from, to uint32) bool {
	most, mine := uint16(0), uint16(0)
	for i := range p.pieces {
		q := &p.pieces[i]
		most = max(most, q.copies)
		if q.from == from && q.to == to {
			mine = q.copies
		}
	}
	if mine == 0 || mine == most {
		return false
	}
	for i := range p.pieces {
		if q := &p.pieces[i]; q.from == from && q.to == to {
			q.copies++
		}
	}
	return true
}

// reaches returns the end of the octets that have come so far.
func (p *datagram) reaches() (end uint32) {
	for i := range p.pieces {
		end = max(end, p.pieces[i].to)
	}
	return end
}

// put enters a fragment's octets.
//
// Where fragments overlap, those of the one that begins first hold, and among
// equals of the earlier one: that is what Wireshark shows, and agreeing with it is
// the most that can be done, since hosts differ. Dropping the packet, as Linux
// does, would say less than was seen: a segment that a host drops looks like one
// lost behind the tap, which the sender's repetition then shows. Of two fragments
// for the same place the later one holds: mostly they are copies, and if not, the
// identification has come round and the older packet has lost its rest.
func (p *datagram) put(from, to uint32, data []byte) {
	captured := from + min(uint32(len(data)), to-from)
	at, taken := 0, from // taken: up to where earlier beginnings hold the octets
	for ; at < len(p.pieces) && p.pieces[at].from <= from; at++ {
		q := &p.pieces[at]
		if q.from == from && q.to == to {
			if q.copies < ^uint16(0) {
				q.copies++
			}
			q.captured = max(q.captured, captured)
			p.write(taken, captured, from, data)
			return
		}
		taken = max(taken, q.to)
	}
	if taken > from || at < len(p.pieces) && p.pieces[at].from < to {
		p.overlaps = true
	}
	p.pieces = slices.Insert(p.pieces, at, piece{from, to, captured, 1})
	p.write(taken, captured, from, data)
}

// write copies the octets for the places from up to to, as far as they are kept;
// data begins at the place start.
func (p *datagram) write(from, to, start uint32, data []byte) {
	if to = min(to, datagramHead); from >= to {
		return
	}
	if n := int(to) - len(p.data); n > 0 {
		p.data = slices.Grow(p.data, n)[:to]
	}
	copy(p.data[from:to], data[from-start:])
}

// complete reports whether no octet is missing between the beginning and the end,
// and then how many of the first were captured.
func (p *datagram) complete() bool {
	if p.total == 0 {
		return false
	}
	at, captured, cut := uint32(0), uint32(0), false
	for i := range p.pieces {
		q := &p.pieces[i]
		if q.from > at {
			return false
		}
		if q.to <= at {
			continue
		}
		if !cut {
			captured = max(at, q.captured)
			cut = q.captured < q.to
		}
		at = q.to
	}
	p.captured = captured
	return at >= p.total
}

// kept returns the packet's first octets: all that were captured, up to a bound.
func (p *datagram) kept() []byte { return p.data[:min(int(p.captured), len(p.data))] }

// snapped reports whether the capture lacks some of the packet's octets.
func (p *datagram) snapped() bool { return p.captured < p.total }
