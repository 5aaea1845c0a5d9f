package reassembly

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
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
	writes     []write
	end, atEOF ending
	endAfter   time.Duration // after the connection came about
	eofAfter   time.Duration
	cork       bool // the FIN rides on the last data
	beforeOpen bool // ends while the connection is being made
}

type write struct {
	after time.Duration
	n     uint32
}

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
