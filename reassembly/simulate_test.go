package reassembly

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// A world of two hosts, a path and a tap on it. The hosts speak a small but
// faithful TCP after the manner of Linux; the path delays, loses, doubles and
// reorders, before and behind the tap. The world knows when each host was in which
// state, so that what is inferred from the tap can be judged (see oracle_test.go).
type world struct {
	rng     *rand.Rand
	now     wire.Time
	end     wire.Time
	queue   eventQueue
	serial  int
	hosts   [2]*host
	path    path
	fifo    [2][2]wire.Time // by sender and leg: when its last packet got there
	packets []*packet       // by frame number - 1
	tap     []wire.Segment
}

// path is how the network treats packets; the shares are of 1.
type path struct {
	leg                        [2]time.Duration // from each host to the tap
	jitter                     time.Duration
	before, behind             float64 // lost before, behind the tap
	doubled, reordered, missed float64 // missed: delivered, but not captured
}

// sending is one segment as its sender sent it; packet is one copy of it.
type sending struct {
	at       wire.Time
	captured bool
}

type packet struct {
	*sending
	seg               wire.Segment
	from              Side
	tapped, delivered wire.Time // 0: it never got there
	frame             int       // 0: not captured
}

type event struct {
	at     wire.Time
	serial int
	do     func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].serial < q[j].serial
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(e any)   { *q = append(*q, e.(event)) }
func (q *eventQueue) Pop() any {
	e := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return e
}

func (w *world) in(d time.Duration, do func()) { w.schedule(w.now.Add(d), do) }

func (w *world) schedule(at wire.Time, do func()) {
	w.serial++
	heap.Push(&w.queue, event{at, w.serial, do})
}

func (w *world) run() {
	for w.queue.Len() > 0 {
		e := heap.Pop(&w.queue).(event)
		if e.at > w.end {
			break
		}
		w.now = e.at
		e.do()
	}
	w.now = w.end
}

// chance is true in that share of cases, between a time of that span.
func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }
func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rng.Int64N(int64(b-a)+1))
}

// carry takes a segment from its sender over the tap to the other host.
func (w *world) carry(from Side, seg wire.Segment) *sending {
	s := &sending{at: w.now}
	w.firstLeg(&packet{sending: s, seg: seg, from: from})
	if w.chance(w.path.doubled / 2) {
		w.in(w.between(0, 2*time.Millisecond), func() { w.firstLeg(&packet{sending: s, seg: seg, from: from}) })
	}
	return s
}

// arrival is when what leaves now is at the end of a leg: in order, unless the
// path reorders it.
func (w *world) arrival(from Side, leg int, d time.Duration) wire.Time {
	at := w.now.Add(d + w.between(0, w.path.jitter))
	if w.chance(w.path.reordered / 2) {
		return at.Add(w.between(time.Millisecond, 12*time.Millisecond))
	}
	at = max(at, w.fifo[from][leg]+1000)
	w.fifo[from][leg] = at
	return at
}

func (w *world) firstLeg(p *packet) {
	if w.chance(w.path.before) {
		return
	}
	w.schedule(w.arrival(p.from, 0, w.path.leg[p.from]), func() {
		p.tapped = w.now
		if !w.chance(w.path.missed) {
			w.packets = append(w.packets, p)
			p.frame, p.captured = len(w.packets), true
			seg := p.seg
			seg.Frame, seg.At = wire.NewFrameID(0, uint64(p.frame)), w.now
			w.tap = append(w.tap, seg)
		}
		w.secondLeg(p)
		if w.chance(w.path.doubled / 2) {
			again := *p
			again.frame = 0
			w.in(w.between(0, 2*time.Millisecond), func() { w.secondLeg(&again) })
		}
	})
}

func (w *world) secondLeg(p *packet) {
	if w.chance(w.path.behind) {
		return
	}
	w.schedule(w.arrival(p.from, 1, w.path.leg[p.from.Peer()]), func() {
		p.delivered = w.now
		h := w.hosts[p.from.Peer()]
		h.busy = max(w.now.Add(w.between(20*time.Microsecond, 80*time.Microsecond)), h.busy+1)
		w.schedule(h.busy, func() { h.receive(p) })
	})
}

// step is one transition of a host: its cause, if that was a packet, and what it
// sent on account of it.
type step struct {
	at    wire.Time
	state State
	rx    *packet
	tx    *sending
}

// ending is how an application is done with its socket.
type ending uint8

const (
	endNever ending = iota
	endClose
	endShutdown // of the writing direction; the rest is closed at the peer's FIN, or never
	endAbort
	endUnread // close with unread data, which Linux answers with a RST
)

// plan is what an application does: it writes, and it ends by itself or at the
// peer's end of file.
type plan struct {
	writes      []write
	end, atEOF  ending
	endAfter    time.Duration // after the connection came about
	eofAfter    time.Duration
	cork        bool // the FIN rides on the last data
	beforeOpen  bool // ends while the connection is being made
	lastIsClose bool // after endShutdown, close at the peer's FIN
}

type write struct {
	after time.Duration
	n     uint32
}

// host is one endpoint. Functions are named after what RFC 9293 section 3.10 calls
// the events.
type host struct {
	w       *world
	side    Side
	plan    plan
	listens bool
	sack    bool // negotiates SACK
	stamps  bool // and time stamps

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
		s.Options.TSVal = uint32(h.w.now / 1e6)
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

// receive is SEGMENT ARRIVES (RFC 9293 section 3.10.7).
func (h *host) receive(p *packet) {
	h.cause = p
	defer func() { h.cause = nil }()
	s := &p.seg
	switch h.state {
	case Closed:
		switch {
		case !h.listens:
			h.reset(s)
		case s.Flags&(wire.SYN|wire.ACK|wire.RST) == syn && len(h.steps) == 0:
			h.irs, h.rcv = s.Seq, s.Seq+1
			h.request = true
			h.become(SynReceived)
			h.send(synack, h.iss, h.rcv, 0)
			h.requestTimer(0)
		case s.Flags&wire.SYN != 0:
			// A stray SYN would open another life; this world has one.
		default:
			h.reset(s)
		}
	case SynSent:
		h.inSynSent(s)
	case TimeWait:
		h.inTimeWait(s)
	case SynReceived:
		if h.request {
			h.inRequest(s)
			return
		}
		h.synchronized(s)
	default:
		h.synchronized(s)
	}
}

func (h *host) inSynSent(s *wire.Segment) {
	if s.Flags&wire.ACK != 0 && s.Ack != h.iss+1 {
		h.reset(s)
		return
	}
	switch {
	case s.Flags&wire.RST != 0:
		if s.Flags&wire.ACK != 0 {
			h.become(Closed)
		}
	case s.Flags&wire.SYN == 0:
	case s.Flags&wire.ACK != 0:
		h.irs, h.rcv = s.Seq, s.Seq+1
		h.established()
		h.nxt = h.iss + 1
		h.ack()
	default:
		h.irs, h.rcv = s.Seq, s.Seq+1
		h.become(SynReceived)
		h.send(synack, h.iss, h.rcv, 0)
		h.synTimer(0)
	}
}

// inRequest is what Linux's tcp_check_req does.
func (h *host) inRequest(s *wire.Segment) {
	switch {
	case s.Flags&(wire.SYN|wire.ACK|wire.RST) == syn && s.Seq == h.irs:
		if h.challenged == 0 || h.w.now.Sub(h.challenged) > rateLimit {
			h.challenged = h.w.now
			h.send(synack, h.iss, h.rcv, 0)
		}
	case s.Seq.Before(h.rcv) && s.End().Before(h.rcv) || s.Seq.After(h.rcv.Add(65000)):
	case s.Flags&wire.RST != 0:
		h.become(Closed)
	case s.Flags&wire.SYN != 0:
	case s.Flags&wire.ACK == 0:
	case s.Ack != h.iss+1:
		h.reset(s)
	default:
		h.established()
		h.synchronized(s)
	}
}

func (h *host) inTimeWait(s *wire.Segment) {
	switch {
	case s.Flags&wire.RST != 0:
		if s.Seq == h.rcv {
			h.become(Closed)
		}
	case s.Flags&wire.SYN != 0:
	case s.Seq == h.rcv && s.Span() == 0:
		h.timeWait()
	default:
		h.timeWait()
		h.limitedAck(wire.SACKBlock{Left: s.Seq, Right: s.End()})
	}
}

// synchronized is what every state with both numbers agreed does.
func (h *host) synchronized(s *wire.Segment) {
	end := s.End()
	if end.Before(h.acked) || s.Seq.After(h.rcv.Add(65000)) {
		if s.Flags&wire.RST == 0 {
			switch {
			case s.Flags&wire.SYN != 0 || s.Span() == 0:
				h.limitedAck()
			default:
				h.ack(wire.SACKBlock{Left: s.Seq, Right: end})
			}
		}
		return
	}
	switch {
	case s.Flags&wire.RST != 0:
		if s.Seq == h.rcv {
			h.become(Closed)
		} else {
			h.limitedAck()
		}
		return
	case s.Flags&wire.SYN != 0:
		// The SYN,ACK that crossed the own one in a simultaneous open counts.
		if h.state == SynReceived && s.Flags&wire.ACK != 0 && s.Ack == h.iss+1 {
			h.established()
			h.ack()
			return
		}
		h.limitedAck()
		return
	case s.Flags&wire.ACK == 0:
		return
	case s.Ack.After(h.nxt) && h.state != SynReceived:
		h.limitedAck()
		return
	}
	if h.state == SynReceived {
		if s.Ack != h.iss+1 {
			h.reset(s)
			return
		}
		h.established()
	}
	h.acknowledge(s)
	finAcked := h.finSent && h.una == h.nxt
	switch {
	case h.state == FinWait1 && finAcked:
		h.become(FinWait2)
	case h.state == Closing && finAcked:
		h.become(TimeWait)
		return
	case h.state == LastAck && finAcked:
		h.become(Closed)
		return
	}
	if s.Span() == 0 {
		return
	}
	dataEnd := s.Seq.Add(s.Len)
	switch h.state {
	case CloseWait, Closing, LastAck:
		if !s.Seq.Before(h.rcv) {
			return
		}
	case FinWait1, FinWait2:
		if h.orphan && s.Len > 0 && dataEnd.After(h.rcv) {
			h.become(Closed)
			h.reset(s)
			return
		}
	}
	h.data(s.Seq, dataEnd, s.Flags&wire.FIN != 0)
}

// data takes payload and FIN.
func (h *host) data(from, to wire.Seq, hasFIN bool) {
	end := to
	if hasFIN {
		end++
	}
	switch {
	case !end.After(h.rcv):
		h.ack(wire.SACKBlock{Left: from, Right: end})
		return
	case from.After(h.rcv):
		h.ahead = slices.DeleteFunc(h.ahead, func(a held) bool { return a.from == from })
		h.ahead = append(h.ahead, held{from, to, hasFIN})
		slices.SortFunc(h.ahead, func(a, b held) int { return cmp.Compare(a.from.Sub(h.rcv), b.from.Sub(h.rcv)) })
		h.ack()
		return
	}
	filled := len(h.ahead) > 0
	h.rcv = to
	gotFIN := hasFIN
	for len(h.ahead) > 0 && !h.ahead[0].from.After(h.rcv) && !gotFIN {
		a := h.ahead[0]
		h.ahead = h.ahead[1:]
		h.rcv = later(h.rcv, a.to)
		gotFIN = a.fin
	}
	if !gotFIN {
		if filled {
			h.ack()
		} else {
			h.laterAck()
		}
		return
	}
	h.rcv++
	h.ahead = nil
	h.gotFIN(filled)
}

func (h *host) gotFIN(now bool) {
	switch h.state {
	case Established:
		h.become(CloseWait)
		if now {
			h.ack()
		} else {
			h.laterAck()
		}
	case FinWait1:
		h.become(Closing)
		h.ack()
	case FinWait2:
		h.become(TimeWait)
		h.ack()
	}
	if !h.eof {
		h.eof = true
		if h.plan.atEOF != endNever {
			h.w.in(h.plan.eofAfter, func() { h.finish(h.plan.atEOF) })
		}
	}
}

var simTuple = wire.Tuple{Src: wire.AddrFrom4([]byte{10, 0, 0, 1}), Dst: wire.AddrFrom4([]byte{10, 0, 0, 2}), SrcPort: 40000, DstPort: 443}

// newWorld makes a world from a seed: what the applications do, and how the path
// behaves but for the shares given.
func newWorld(seed uint64, p path) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), now: scriptStart}
	w.path = p
	for i := range w.path.leg {
		w.path.leg[i] = w.between(300*time.Microsecond, 5*time.Millisecond)
		if w.chance(0.15) {
			w.path.leg[i] = w.between(5*time.Millisecond, 30*time.Millisecond)
		}
	}
	w.path.jitter = w.between(20*time.Microsecond, 500*time.Microsecond)
	sack, stamps := w.chance(0.8), w.chance(0.6)
	for i := range w.hosts {
		h := &host{w: w, side: Side(i), sack: sack, stamps: stamps, iss: wire.Seq(w.rng.Uint32()), id: uint16(w.rng.Uint32())}
		if w.chance(0.2) { // near the wrap
			h.iss = wire.Seq(0xffffffff - w.rng.Uint32N(3000))
		}
		h.plan = w.plan(Side(i))
		w.hosts[i] = h
	}
	c, s := w.hosts[Client], w.hosts[Server]
	s.listens = true
	switch {
	case w.chance(0.03): // refused
		s.listens = false
	case w.chance(0.04): // simultaneous open
		s.listens = false
		way := w.path.leg[0] + w.path.leg[1]
		w.in(w.between(0, way-1), func() {
			if s.state == Closed && len(s.steps) == 0 {
				s.open()
			}
		})
	}
	w.in(0, c.open)
	if c.plan.beforeOpen {
		w.in(c.plan.endAfter, func() { c.finish(c.plan.end) })
	}
	switch {
	case w.chance(0.1):
		w.end = w.now.Add(w.between(0, 2*time.Second))
	case w.chance(0.1):
		w.end = w.now.Add(5 * time.Second)
	default:
		w.end = w.now.Add(400 * time.Second)
	}
	return w
}

func (w *world) plan(side Side) (p plan) {
	for range w.rng.IntN(4) {
		p.writes = append(p.writes, write{w.pause(), 1 + w.rng.Uint32N(2500)})
	}
	choose := func(shares ...float64) ending {
		x := w.rng.Float64()
		for i, s := range shares {
			if x -= s; x < 0 {
				return ending(i)
			}
		}
		return endNever
	}
	// never, close, shutdown, abort
	p.end = choose(0.35, 0.45, 0.14, 0.06)
	p.endAfter = w.pause()
	p.atEOF = choose(0.06, 0.8, 0.1, 0.04)
	p.eofAfter = w.pause()
	if w.chance(0.4) {
		p.eofAfter = w.between(0, 50*time.Microsecond)
	}
	p.cork = w.chance(0.2)
	p.beforeOpen = side == Client && w.chance(0.02)
	return p
}

// pause is short, about a round trip or long.
func (w *world) pause() time.Duration {
	switch w.rng.IntN(4) {
	case 0:
		return w.between(0, time.Millisecond)
	case 1:
		return w.between(0, 2*(w.path.leg[0]+w.path.leg[1]))
	case 2:
		return w.between(0, 100*time.Millisecond)
	}
	return w.between(0, 3*time.Second)
}

// String prints the truth: packets with their fate, and the hosts' steps.
func (w *world) String() string {
	var b strings.Builder
	ends := [2]wire.Seq{w.hosts[0].iss, w.hosts[1].iss}
	lines := strings.Split(strings.TrimRight(ladder(w.tap, ends, simTuple), "\n"), "\n")
	for i, p := range w.packets {
		fate := "lost behind the tap"
		if p.delivered != 0 {
			fate = fmt.Sprintf("there %.6f", p.delivered.Sub(w.tap[0].At).Seconds())
		}
		fmt.Fprintf(&b, "%s   (sent %.6f, %s)\n", lines[i], p.at.Sub(w.tap[0].At).Seconds(), fate)
	}
	for _, h := range w.hosts {
		fmt.Fprintf(&b, "%v:", h.side)
		for _, s := range h.steps {
			if len(w.tap) > 0 {
				fmt.Fprintf(&b, " %v@%.6f", s.state, s.at.Sub(w.tap[0].At).Seconds())
			}
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
