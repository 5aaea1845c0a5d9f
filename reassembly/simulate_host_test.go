package reassembly

import (
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// host is one endpoint. Functions are named after what RFC 9293 section 3.10 calls
// the events.
type host struct {
	w       *world
	side    Side
	plan    plan
	listens bool
	sack    bool   // negotiates SACK
	stamps  bool   // and time stamps
	recent  uint32 // TS.Recent (RFC 7323 section 4.3)

	state   State
	request bool // SYN_RECEIVED without a socket yet, as after a passive OPEN
	steps   []step
	cause   *packet // being received

	iss, una, nxt, end wire.Seq // end follows what was written
	finQueued, finSent bool
	out                []sent
	recover            wire.Seq
	recovering         bool
	backoff            int
	rtoTimer           int // the number of the timer that counts; so below
	otherTimer         int
	irs, rcv, acked    wire.Seq
	ahead              []held // received beyond rcv
	ackTimer           int
	ackDue             bool
	unacked            int
	orphan             bool
	challenged         wire.Time
	id                 uint16
	eof                bool
	busy               wire.Time // until then it works on what it received
}

// sent is a segment until it is acknowledged.
type sent struct {
	seq    wire.Seq
	n      uint32
	fin    bool
	sacked bool
	again  int
}

func (s *sent) end() wire.Seq {
	if s.fin {
		return s.seq.Add(s.n + 1)
	}
	return s.seq.Add(s.n)
}

type held struct {
	from, to wire.Seq // without the FIN
	fin      bool
}

const (
	mss        = 1000
	ackDelay   = 40 * time.Millisecond
	leastRTO   = 200 * time.Millisecond
	twoMSL     = 60 * time.Second
	orphanTime = 60 * time.Second
	rateLimit  = 500 * time.Millisecond
)

func (h *host) rto() time.Duration {
	d := (leastRTO + 2*(h.w.path.leg[0]+h.w.path.leg[1])) << h.backoff
	return min(d, 120*time.Second)
}

// become is the only place where the state changes.
func (h *host) become(s State) {
	h.state = s
	h.steps = append(h.steps, step{at: h.w.now, state: s, rx: h.cause})
	switch s {
	case Closed:
		h.rtoTimer, h.otherTimer, h.ackTimer = h.rtoTimer+1, h.otherTimer+1, h.ackTimer+1
	case TimeWait:
		h.rtoTimer++
		h.ackTimer++
		h.timeWait()
	case FinWait2:
		if h.orphan {
			h.orphanTimer()
		}
	}
}

func (h *host) timeWait() {
	h.otherTimer++
	n := h.otherTimer
	h.w.in(twoMSL, func() {
		if h.otherTimer == n && h.state == TimeWait {
			h.become(Closed)
		}
	})
}

func (h *host) orphanTimer() {
	h.otherTimer++
	n := h.otherTimer
	h.w.in(orphanTime, func() {
		if h.otherTimer == n && h.state == FinWait2 {
			h.become(Closed)
		}
	})
}

// send puts one segment on the path.
func (h *host) send(f wire.Flags, seq, ackno wire.Seq, n uint32, blocks ...wire.SACKBlock) {
	tuple := simTuple
	if h.side == Server {
		tuple = tuple.Reverse()
	}
	s := wire.Segment{Tuple: tuple, Flags: f, Seq: seq, Len: n, Window: 502, TTL: 64, Options: wire.Options{}}
	if f&wire.ACK != 0 {
		s.Ack = ackno
	}
	if f&wire.SYN != 0 {
		s.Window = 64240
		s.Options.Set = wire.OptMSS | wire.OptWindowScale
		s.Options.MSS, s.Options.WindowScale = 1460, 7
		if h.sack {
			s.Options.Set |= wire.OptSACKPerm
		}
	}
	if h.stamps && f&wire.RST == 0 {
		s.Options.Set |= wire.OptTimestamps
		s.Options.TSVal = uint32(h.w.now/1e6) + 1<<20
		if f&wire.ACK != 0 {
			s.Options.TSEcr = h.recent
		}
	}
	if len(blocks) > 0 {
		s.Options.Set |= wire.OptSACK
		s.Options.SACKs = uint8(copy(s.Options.SACK[:], blocks))
	}
	// Linux counts per socket; what no full socket sends has 0.
	if f&wire.RST == 0 && !h.request && h.state != TimeWait {
		h.id++
		s.IPID = h.id
	}
	tx := h.w.carry(h.side, s)
	if n := len(h.steps); n > 0 && h.steps[n-1].at == h.w.now {
		for i := n - 1; i >= 0 && h.steps[i].at == h.w.now && h.steps[i].tx == nil; i-- {
			h.steps[i].tx = tx
		}
	}
	if f&wire.ACK != 0 && f&wire.RST == 0 {
		h.acked, h.ackDue, h.unacked = ackno, false, 0
		h.ackTimer++
	}
}

// ack sends a pure acknowledgment, with what lies ahead and what came twice.
func (h *host) ack(twice ...wire.SACKBlock) {
	var blocks []wire.SACKBlock
	if h.sack && h.w.hosts[h.side.Peer()].sack {
		blocks = append(blocks, twice...)
		for i := len(h.ahead) - 1; i >= 0 && len(blocks) < 4; i-- {
			a := h.ahead[i]
			if a.fin {
				a.to++
			}
			blocks = append(blocks, wire.SACKBlock{Left: a.from, Right: a.to})
		}
	}
	h.send(ack, h.nxt, h.rcv, 0, blocks...)
}

func (h *host) limitedAck(twice ...wire.SACKBlock) {
	if h.challenged != 0 && h.w.now.Sub(h.challenged) < rateLimit {
		return
	}
	h.challenged = h.w.now
	h.ack(twice...)
}

// laterAck acknowledges soon: at once, or after the delay if nothing is sent before.
func (h *host) laterAck() {
	h.unacked++
	if h.unacked >= 2 || h.w.chance(0.5) {
		h.ack()
		return
	}
	h.ackDue = true
	h.ackTimer++
	n := h.ackTimer
	h.w.in(h.w.between(4*time.Millisecond, ackDelay), func() {
		if h.ackTimer == n && h.ackDue {
			h.ack()
		}
	})
}

// open is the active OPEN.
func (h *host) open() {
	h.una, h.nxt = h.iss, h.iss+1
	h.become(SynSent)
	h.send(syn, h.iss, 0, 0)
	h.synTimer(0)
}

func (h *host) synTimer(n int) {
	// tcp_syn_linear_timeouts: the first five are a second apart.
	d := time.Second << max(0, n-4)
	h.rtoTimer++
	serial := h.rtoTimer
	h.w.in(d, func() {
		switch {
		case h.rtoTimer != serial:
		case n == 10 || h.state == SynReceived && n == 5:
			h.become(Closed)
		case h.state == SynSent:
			h.send(syn, h.iss, 0, 0)
			h.synTimer(n + 1)
		case h.state == SynReceived:
			h.send(synack, h.iss, h.rcv, 0)
			h.synTimer(n + 1)
		}
	})
}

// requestTimer repeats the SYN,ACK of a request: 1, 2, 4, 8, 16 seconds.
func (h *host) requestTimer(n int) {
	h.rtoTimer++
	serial := h.rtoTimer
	h.w.in(time.Second<<n, func() {
		switch {
		case h.rtoTimer != serial || h.state != SynReceived:
		case n == 5:
			h.become(Closed)
		default:
			h.send(synack, h.iss, h.rcv, 0)
			h.requestTimer(n + 1)
		}
	})
}

// established starts the application.
func (h *host) established() {
	h.become(Established)
	h.request = false
	h.rtoTimer++
	h.backoff = 0
	h.una, h.nxt, h.end = h.iss+1, h.iss+1, h.iss+1
	for _, wr := range h.plan.writes {
		h.w.in(wr.after, func() { h.write(wr.n) })
	}
	if h.plan.end != endNever && !h.plan.beforeOpen {
		h.w.in(h.plan.endAfter, func() { h.finish(h.plan.end) })
	}
}

func (h *host) write(n uint32) {
	if (h.state == Established || h.state == CloseWait) && !h.finQueued {
		h.end = h.end.Add(n)
		h.transmit()
	}
}

func (h *host) finish(how ending) {
	switch how {
	case endClose:
		if h.plan.cork && (h.state == Established || h.state == CloseWait) {
			h.end = h.end.Add(300)
		}
		h.close()
	case endShutdown:
		h.shutdown()
	case endAbort, endUnread:
		h.abort()
	}
}

func (h *host) shutdown() {
	switch h.state {
	case Established:
		h.finQueued = true
		h.become(FinWait1)
		h.transmit()
	case CloseWait:
		h.finQueued = true
		h.become(LastAck)
		h.transmit()
	}
}

func (h *host) close() {
	if h.state == SynSent {
		h.become(Closed)
		return
	}
	if h.state == SynReceived {
		return // rare, and of no interest here
	}
	h.orphan = true
	if h.state == FinWait2 {
		h.orphanTimer()
	}
	h.shutdown()
}

func (h *host) abort() {
	switch h.state {
	case Closed, TimeWait, SynSent:
		if h.state == SynSent {
			h.become(Closed)
		}
		return
	}
	if h.request {
		return
	}
	h.become(Closed)
	h.send(rstack, h.nxt, h.rcv, 0)
}

// transmit sends what was written and not sent yet, and the FIN.
func (h *host) transmit() {
	if h.state == SynReceived {
		return
	}
	for h.end.After(h.nxt) && !h.finSent {
		s := sent{seq: h.nxt, n: min(mss, uint32(h.end-h.nxt))}
		f := psh
		if s.seq.Add(s.n) == h.end && h.finQueued {
			s.fin, f = true, fin|wire.PSH
			h.finSent = true
		}
		h.put(s, f)
	}
	if h.finQueued && !h.finSent {
		h.finSent = true
		h.put(sent{seq: h.nxt, fin: true}, fin)
	}
}

func (h *host) put(s sent, f wire.Flags) {
	h.nxt = s.end()
	h.out = append(h.out, s)
	h.send(f, s.seq, h.rcv, s.n)
	if len(h.out) == 1 {
		h.retransmitTimer()
	}
}

func (h *host) retransmitTimer() {
	h.rtoTimer++
	serial := h.rtoTimer
	if len(h.out) == 0 {
		return
	}
	h.w.in(h.rto(), func() {
		if h.rtoTimer != serial || len(h.out) == 0 {
			return
		}
		if h.backoff >= 8 && (h.orphan || h.backoff >= 15) {
			h.become(Closed)
			return
		}
		h.backoff++
		h.recover, h.recovering = h.nxt, true
		for i := range h.out {
			h.out[i].again = 0
		}
		h.again(0)
		h.retransmitTimer()
	})
}

// again sends an outstanding segment once more; Linux joins small neighbours.
func (h *host) again(i int) {
	s := &h.out[i]
	for i+1 < len(h.out) && !s.fin && !h.out[i+1].sacked && s.n+h.out[i+1].n <= mss && h.w.chance(0.5) {
		s.n += h.out[i+1].n
		s.fin = h.out[i+1].fin
		h.out = slices.Delete(h.out, i+1, i+2)
		s = &h.out[i]
	}
	s.again++
	f := psh
	if s.fin {
		f = fin
	}
	h.send(f, s.seq, h.rcv, s.n)
}

// acknowledge takes the ACK field and blocks of a segment.
func (h *host) acknowledge(s *wire.Segment) {
	advanced := s.Ack.After(h.una)
	if advanced {
		h.una = s.Ack
		for len(h.out) > 0 && !h.out[0].end().After(h.una) {
			h.out = h.out[1:]
		}
		h.backoff = 0
		h.retransmitTimer()
		if !h.una.Before(h.recover) {
			h.recovering = false
		}
	}
	top := -1
	for b := range s.Options.SACKs {
		blk := s.Options.SACK[b]
		for i := range h.out {
			if o := &h.out[i]; !o.seq.Before(blk.Left) && !o.end().After(blk.Right) {
				o.sacked = true
				top = max(top, i)
			}
		}
	}
	switch {
	case h.recovering && advanced && len(h.out) > 0:
		for i := range h.out {
			if !h.out[i].sacked && h.out[i].again == 0 {
				h.again(i)
				break
			}
		}
	case top > 0:
		// RACK: what was sent before something that arrived is lost, if the reordering
		// window passes.
		seq := h.out[0].seq
		h.w.in((h.w.path.leg[0]+h.w.path.leg[1])/2, func() {
			if len(h.out) > 0 && h.out[0].seq == seq && !h.out[0].sacked && h.out[0].again == 0 {
				h.again(0)
			}
		})
	}
}

// reset answers a segment for which there is no socket (RFC 9293 section 3.10.7.1).
func (h *host) reset(s *wire.Segment) {
	switch {
	case s.Flags&wire.RST != 0:
	case s.Flags&wire.ACK != 0:
		h.send(rst, s.Ack, 0, 0)
	default:
		h.send(rstack, 0, s.End(), 0)
	}
}
