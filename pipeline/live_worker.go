package pipeline

import (
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// mostLooks is how many connections a worker looks at in one flush. Under a flood more
// may change, and they are looked at later: a look takes some microseconds, so this
// many leave the most of a flush of 100 ms for what must not wait.
const mostLooks = 8192

// standing is how a connection that is open stood when it was looked at last. It has no
// pointers: there may be a million.
type standing struct {
	stamp       uint64
	tuple       wire.Tuple
	isn         wire.Seq
	start, last wire.Time
	since       [2]wire.Time
	// timer is when a timer of an endpoint's host will have fired, and the states be
	// others though no segment came; 0 is never.
	timer   wire.Time
	rtt     time.Duration
	packets [2]uint64
	bytes   [2]uint64
	rexmits [2]uint64
	states  [2]reassembly.State
	known   [2]reassembly.Evidence
	has     [2]bool
	roleBy  reassembly.RoleBy
	told    kinds
	worst   finding.Severity
	found   uint8
	// held: it has changed since it was written last (Live.MaxHold).
	held bool
	used bool
}

// kinds is a set of EventKind.
type kinds uint16

func (k kinds) has(x EventKind) bool { return k>>x&1 != 0 }
func (k *kinds) add(x EventKind)     { *k |= 1 << x }

// onlooker looks, for one worker, at connections before they settle.
type onlooker struct {
	w    *worker
	live *Live
	// list has a place for each connection that was looked at and is open; of has them by
	// stamp, free those that are not used.
	list []standing
	of   map[uint64]int32
	free []int32
	// found are the findings of those that have any: what a row shows, and told those of
	// which an event told.
	found  map[int32][]finding.Finding
	told   map[int32][]toldFinding
	census [2][reassembly.StateCount]uint64
	behind uint64
	// timers and holds are the connections that are to be looked at again at some time:
	// by time.
	timers, holds agenda
	now           wire.Time
	view          report.Connection
	known         []announced // see same
}

func newOnlooker(w *worker, live *Live) *onlooker {
	return &onlooker{
		w: w, live: live, of: map[uint64]int32{}, found: map[int32][]finding.Finding{}, told: map[int32][]toldFinding{},
	}
}

// look is called at the end of a batch: what has changed is looked at.
func (o *onlooker) look(b *batch) {
	w := o.w
	o.now = b.clock
	if !b.look {
		return
	}
	if o.watches() {
		left := mostLooks
		o.behind = uint64(w.tracker.Changed(left, func(c *reassembly.Conn, stamp uint64) {
			o.note(c, stamp)
			left--
		}))
		for ; left > 0; left-- {
			stamp, at, due := o.timers.pop(o.now)
			if !due {
				break
			}
			if i, open := o.of[stamp]; open && o.list[i].timer == at {
				o.list[i].timer = 0
				o.again(i)
			}
		}
		if o.live.MaxHold > 0 {
			o.hold()
		}
	}
	if b.view != nil {
		o.show(b)
	}
	w.hand(b)
}

// watches reports whether connections are looked at before they settle.
func (o *onlooker) watches() bool { return o.live.looks() || o.live.MaxHold > 0 }

// again looks at a connection that is open.
func (o *onlooker) again(i int32) {
	s := &o.list[i]
	tuple := s.tuple
	o.w.tracker.Peek(&tuple, s.stamp, o.note)
}

// note takes note of how a connection stands.
func (o *onlooker) note(c *reassembly.Conn, stamp uint64) {
	i, known := o.of[stamp]
	if !known {
		i = o.place()
		o.of[stamp] = i
		o.list[i] = standing{stamp: stamp, tuple: c.Tuple, isn: c.Key.ISN, start: c.Start, roleBy: c.RoleBy, used: true}
		if o.live.MaxHold > 0 {
			o.holds.push(c.Start.Add(o.live.MaxHold), stamp)
		}
	}
	s := &o.list[i]
	if s.last != c.End || !known {
		s.held = true
	}
	o.count(s, -1)
	s.last, s.rtt = c.End, c.Handshake.RTT
	for side := range c.Ends {
		e := &c.Ends[side]
		s.packets[side], s.bytes[side], s.rexmits[side] = e.Packets, e.Bytes, e.Retransmits
		s.states[side], s.since[side], s.known[side], s.has[side] = e.Final(), c.Start, reassembly.Assumed, len(e.Timeline) > 0
		if n := len(e.Timeline); n > 0 {
			s.since[side], s.known[side] = e.Timeline[n-1].At, e.Timeline[n-1].Evidence
		}
	}
	o.count(s, 1)
	o.setTimer(s, c)
	found := o.check(c)
	if len(found) > 0 {
		o.found[i] = found
		s.worst, s.found = found[0].Severity, uint8(min(len(found), 255))
	} else if s.found > 0 {
		delete(o.found, i)
		s.worst, s.found = 0, 0
	}
	if o.live.Event != nil {
		o.tell(i, c, found, false)
	}
}

// check returns what the rules find, graded as the caller wishes.
func (o *onlooker) check(c *reassembly.Conn) []finding.Finding {
	found := o.w.rules.Check(c)
	if g := o.w.cfg.Grades; g != nil {
		found = g.Apply(found)
	}
	return found
}

// count enters a connection into the census, or takes it out.
func (o *onlooker) count(s *standing, n int) {
	for side := range s.states {
		if s.has[side] {
			o.census[side][s.states[side]] += uint64(n)
		}
	}
}

const (
	// quietLook is how long after its last segment a connection is looked at again, if time
	// alone may change it: some tries of a retransmission are over then.
	quietLook = 5 * time.Second
	// quietPart is the part of the silence so far after which it is looked at once more:
	// what needs time is told that much late at most, and a day takes forty looks.
	quietPart = 4
	// replyLook is when a SYN has been answered if its host answers at once: later than
	// what the states of its server wait for.
	replyLook = 300 * time.Millisecond
)

// setTimer says when a connection is to be looked at though nothing comes. One that
// waits for nothing is not.
func (o *onlooker) setTimer(s *standing, c *reassembly.Conn) {
	var at wire.Time
	quiet := o.now.Sub(c.End)
	for side := range c.Ends {
		next := o.now.Add(max(quietLook, quiet/quietPart))
		switch e := &c.Ends[side]; e.Final() {
		case reassembly.SynSent:
			p := o.w.cfg.Profile
			if p == (reassembly.Profile{}) {
				p = reassembly.Linux
			}
			if quiet < replyLook {
				next = c.End.Add(replyLook)
			} else if next = c.Start.Add(p.SYNSpan + p.TimerSlack); next <= o.now {
				continue
			}
		case reassembly.Established:
			if e.Unacked() == 0 {
				continue
			}
		case reassembly.TimeWait, reassembly.Closed, reassembly.Listen:
			continue // it leaves by itself
		}
		if at == 0 || next < at {
			at = next
		}
	}
	if at != 0 && (s.timer == 0 || at < s.timer) {
		s.timer = at
		o.timers.push(at, s.stamp)
	}
}

// settled is told that a connection leaves, before it is handed out.
func (o *onlooker) settled(c *reassembly.Conn, stamp uint64, found []finding.Finding) {
	i, known := o.of[stamp]
	if o.live.Event != nil {
		if !known {
			i = o.place()
			o.list[i] = standing{stamp: stamp, tuple: c.Tuple, isn: c.Key.ISN, start: c.Start}
		}
		o.tell(i, c, found, true)
	}
	if known {
		o.count(&o.list[i], -1)
		delete(o.of, stamp)
		delete(o.found, i)
	}
	if known || o.live.Event != nil {
		delete(o.told, i)
		o.list[i].used = false
		o.free = append(o.free, i)
	}
}

// place returns a place that is not used.
func (o *onlooker) place() int32 {
	if n := len(o.free); n > 0 {
		i := o.free[n-1]
		o.free = o.free[:n-1]
		return i
	}
	o.list = append(o.list, standing{})
	return int32(len(o.list) - 1)
}

// hold writes connections that have been open for too long.
func (o *onlooker) hold() {
	for {
		stamp, _, due := o.holds.pop(o.now)
		if !due {
			return
		}
		i, open := o.of[stamp]
		if !open {
			continue
		}
		o.holds.push(o.now.Add(o.live.MaxHold), stamp)
		s := &o.list[i]
		if !s.held {
			continue
		}
		s.held = false
		tuple := s.tuple
		o.w.tracker.Peek(&tuple, stamp, o.interim)
	}
}

// interim encodes a connection that is open.
func (o *onlooker) interim(c *reassembly.Conn, stamp uint64) {
	w, v := o.w, &o.view
	*v = report.Connection{Conn: c, Capture: w.cfg.Name, Encap: w.batch.layers(c.Tuple.Encap), Provisional: true, Findings: o.check(c)}
	w.names.view(v)
	if picked, then := w.pick(v); !picked || then != nil {
		return // what depends on its number is known when it settles
	}
	s := w.result.next()
	s.stamp, s.interim = stamp, true
	w.cfg.Format.Encode(&s.buf, v)
	w.result.done()
}

// agenda is a heap of connections that are to be looked at, by time.
type agenda []appointment

type appointment struct {
	at    wire.Time
	stamp uint64
}

func (a *agenda) push(at wire.Time, stamp uint64) {
	*a = append(*a, appointment{at, stamp})
	h := *a
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].at <= h[i].at {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// pop takes the first one out if its time has come.
func (a *agenda) pop(now wire.Time) (stamp uint64, at wire.Time, due bool) {
	h := *a
	if len(h) == 0 || h[0].at > now {
		return 0, 0, false
	}
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*a = h
	for i := 0; ; {
		least := 2*i + 1
		if least >= last {
			break
		}
		if r := least + 1; r < last && h[r].at < h[least].at {
			least = r
		}
		if h[i].at <= h[least].at {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	return first.stamp, first.at, true
}
