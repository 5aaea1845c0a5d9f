package reassembly

import (
	"math"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// course is what one look at a brief record's segments tells.
type course struct {
	b    *brief
	ends [2]courseEnd
	seen Seen
	// quiet is the last long silence.
	quiet Quiet
	// answer is the SYN-ACK, opening the client's segment behind it, talk the server's
	// first one behind it. close holds the first FIN, its ACK (or the second FIN, if that
	// brought it), the second FIN and its ACK.
	answer, opening, talk moment
	close                 [4]moment
	stage                 int // how many of close there are
	// idle is the time between the segment before the first FIN and that.
	idle time.Duration
	// silences are those of both sides. still is the shortest time without a segment that
	// they have to hear of: once there was one, they hear of every segment.
	silences Idle
	still    time.Duration
	closer   Side
	// ends: a FIN came.
	ending bool
	// long: a segment is longer than its receiver takes them.
	long bool
	// odd: it is none of the three; see odd. repeated: it is, but something came again behind it.
	odd, repeated bool
}

// courseEnd is one side of it.
type courseEnd struct {
	packets   uint32
	repeats   uint32 // of its FIN
	isn, next wire.Seq
	// ack is what it acknowledged last, and the most, as it never goes back; so it is what
	// it is known to have received of the peer.
	ack wire.Seq
	// tsMax is its newest time stamp, if hasTime; while look is at work, since that of the SYN.
	tsMax   uint32
	offered wire.Seq // the right edge of the window that it offered last
	slack   int32    // how much less it may offer than before: its window's unit
	most    uint32   // the longest segment that it takes
	log     tail
	options wire.OptionSet
	mss     uint16
	// scale is the SYN's, shift what it comes to.
	scale, shift uint8
	hasTime      bool
	hasFIN       bool
	knowsFIN     bool // it acknowledged the other's FIN
}

// moment is a segment's place in time and capture.
type moment struct {
	at    wire.Time
	frame wire.FrameID
}

// look goes once over the segments, and reports whether what it notes of them is all that
// there is to say; c.odd says whether their course is an ordinary one. It reads the entries
// as reading does, and takes from them only what it needs: what only the log's readers ask
// for is left to retell.
func (c *course) look(t *Tracker, b *brief) bool {
	*c = course{b: b, seen: SeenSYN, still: idleMin}
	client := &c.ends[Client]
	client.packets, client.isn, client.next, client.log.heard = 1, b.isn, b.isn+1, b.start
	client.options, client.mss, client.scale, client.hasTime = b.synOptions(), b.mss, b.how>>howScale, b.how&howStamps != 0
	count := b.counted()
	c.odd = count == 2 // half open
	if count == 1 {
		c.seen |= SeenUnanswered
		client.tsMax = b.stamps[Client]
		return true
	}
	blocks, place := t.blocksOf(b), 0
	now := moment{b.start, b.first}
	for n := uint8(1); n < count; n++ {
		if place == entryBlock {
			blocks, place = blocks[1:], 0
		}
		e := &blocks[0].list[place]
		place++
		wait, frames, behind, val := uint64(e.since), uint32(e.frames), uint32(e.behind), uint32(e.tsVal)
		if e.more&entryWide != 0 {
			if place == entryBlock {
				blocks, place = blocks[1:], 0
			}
			e = &blocks[0].list[place]
			place++
			wait, frames, behind, val = wait<<32|uint64(e.since), frames<<16|uint32(e.frames), behind<<16|uint32(e.behind), val<<16|uint32(e.tsVal)
		}
		since := time.Duration(wait)
		now.at += wire.Time(wait)
		now.frame += wire.FrameID(frames)
		from := Side(e.is & howServer)
		if n <= 2 {
			if n == 1 {
				c.answered(e, now, wire.Seq(val<<16|behind))
				continue
			}
			if from != Client || behind != 0 || e.is&isFIN != 0 {
				return false
			}
			c.opening = now
		}
		f, p := &c.ends[from], &c.ends[from^1]
		size, span := uint32(e.len), uint32(e.len)
		if e.is&isFIN != 0 {
			span++
		}
		// No window is closed, no acknowledgment goes back, and no time stamp is an old one.
		// What carries nothing must acknowledge something new: else it may be a doubled frame, or
		// one of many that answer each other. And no window is taken back.
		ack := p.next - wire.Seq(behind)
		news := ack.Sub(f.ack)
		if news < 0 || uint32(news)|span == 0 || e.window == 0 {
			return false
		}
		if e.is&howStamps != 0 {
			if f.hasTime && int32(val-f.tsMax) < 0 {
				return false
			}
			f.tsMax, f.hasTime = val, true
		}
		if span == 0 && !f.offers(ack, e.window) {
			return false
		}
		if since >= c.still {
			c.silence(from, now, since)
		}
		f.ack = ack
		f.next += wire.Seq(span)
		f.packets++
		f.log.heard = now.at
		if size > 0 {
			c.long = c.long || size > p.most
		}
		if span > size || c.ending {
			c.closing(from, now, since, size, span, behind)
		} else {
			// What note would make of it.
			if size > 0 {
				c.seen |= SeenData
			}
			if f.log.run {
				f.log.hold(now.at, size > 0)
			} else {
				f.log.list(&p.log, now.at, size > 0)
				if c.talk.frame == 0 && from == Server {
					c.talk = now
				}
			}
		}
		if size > 0 {
			c.silences.said(from)
		}
	}
	c.odd = c.odd || c.ending && c.stage != len(c.close)
	for s := range c.ends {
		c.ends[s].tsMax += b.stamps[s]
	}
	return true
}

// offers takes a window, and reports whether it takes nothing back of the one before.
func (f *courseEnd) offers(ack wire.Seq, window uint16) bool {
	edge := ack + wire.Seq(uint32(window)<<(f.shift&15))
	if f.offered.Sub(edge) > f.slack {
		return false
	}
	f.offered = edge
	return true
}

// answered takes the SYN-ACK.
func (c *course) answered(e *entry, now moment, isn wire.Seq) {
	client, server := &c.ends[Client], &c.ends[Server]
	c.seen |= SeenSYNACK
	c.answer = now
	server.packets, server.isn, server.next, server.log.heard = 1, isn, isn+1, now.at
	client.ack, server.ack = isn, client.next
	// Whatever they offer, it is no less than what they have received.
	client.offered, server.offered = isn, client.next
	server.options, server.mss, server.scale = wire.OptionSet(e.more>>entryOption)&entryOptions, e.len, e.more>>howScale
	if e.is&howStamps != 0 {
		server.options |= wire.OptTimestamps
		server.hasTime = true
	}
	if client.options&offered&^server.options != 0 {
		c.seen |= SeenLessOptions
	}
	scaled := client.options.Has(wire.OptWindowScale) && server.options.Has(wire.OptWindowScale)
	for s := range c.ends {
		x := &c.ends[s]
		x.most = math.MaxUint32
		if x.options.Has(wire.OptMSS) && x.mss > 0 {
			x.most = uint32(x.mss)
		}
		shift := min(x.scale, 14)
		x.slack = 1 << shift
		if scaled {
			x.shift = shift
		}
	}
	if d := now.at.Sub(c.b.start); d >= idleMin {
		c.silences.broken(Server, now.at, d, false)
		c.still = 0
		if d >= quietMin {
			c.quiet = Quiet{now.at, now.frame, d}
		}
	}
}

// silence notes the time before a segment, or that one before it was answered.
func (c *course) silence(from Side, now moment, since time.Duration) {
	c.silences.answered(from, KindACK)
	if since >= idleMin {
		c.silences.broken(from, now.at, since, c.outstanding(from))
		if c.silences.For != 0 {
			c.still = 0
		}
	}
	if since >= quietMin {
		c.quiet = Quiet{now.at, now.frame, since}
	}
}

// outstanding reports whether a side has sent what the other has not acknowledged.
func (c *course) outstanding(s Side) bool {
	return c.ends[s].next.After(c.ends[s.Peer()].ack)
}

// closing takes a segment from the first FIN on. The close is orderly if that is followed at
// once by its ACK, a FIN, its ACK, and nothing more; where the second FIN brings the ACK of the
// first, there is no other.
func (c *course) closing(from Side, now moment, since time.Duration, size, span, behind uint32) {
	f, p := &c.ends[from], &c.ends[from^1]
	fin := span > size
	if !c.ending {
		c.ending, c.idle = true, since
		c.silences.closing(from, now.at)
		f.log.spill()
		p.log.spill()
	}
	// The log has each of them by itself.
	f.log.push(now.at, size > 0)
	if from == Server && c.talk.frame == 0 {
		c.talk = now
	}
	knows := p.hasFIN && behind == 0
	if size > 0 {
		if !fin {
			c.seen |= SeenData
		}
		if knows {
			c.seen |= SeenHalfClose
		}
	}
	if fin {
		c.seen |= SeenFINClient << from
		f.hasFIN = true
		if p.hasFIN && !knows {
			c.seen |= SeenCrossedFIN
		} else if p.hasFIN && !f.knowsFIN {
			c.seen |= SeenPromptFIN
		}
	}
	f.knowsFIN = f.knowsFIN || knows
	switch {
	case behind != 0:
		c.odd = true
	case c.stage == 0 && fin:
		c.closer = from
		c.close[0], c.stage = now, 1
	case c.stage == 1 && from != c.closer && span == 0:
		c.close[1], c.stage = now, 2
	case (c.stage == 1 || c.stage == 2) && from != c.closer && fin:
		if c.stage == 1 {
			c.close[1] = now
		}
		c.close[2], c.stage = now, 3
	case c.stage == 3 && from == c.closer && span == 0:
		c.close[3], c.stage = now, 4
	default:
		c.odd = true
	}
}
