package pipeline

import (
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Limits bound what is held of connections; 0 is no bound. Where there are more at the end
// of an epoch than a bound allows, those leave that stand lowest (reassembly.Standing), and
// room is made for a part of the bound at once: to find out who they are, all that are open
// must be looked at. As many that have left may be remembered as Connections allows to be
// open, and a quarter of Octets may go into that, once a bound is reached.
//
// What is evicted depends on the capture and the bounds alone. The reader alone decides
// when to look, by what it knows of epochs that the merger has seen; then it waits until
// nothing is under way any more.
type Limits struct {
	// Connections is how many may be open.
	Connections int
	// Octets is what connections may take.
	Octets int
}

const (
	// roomOf: an eighth of a bound is made free at once. Each connection is looked at
	// that often while it is open, at most.
	roomOf = 8
	// graveOf: a quarter of the octets is for those that have left.
	graveOf = 4
)

func (l *Limits) given() bool { return l.Connections > 0 || l.Octets > 0 }

// reached reports whether that much is more than is allowed.
func (l *Limits) reached(h *reassembly.Held) bool {
	return l.Connections > 0 && h.Open > l.Connections || l.Octets > 0 && h.Octets > l.Octets
}

// excess returns how many connections have to go.
func (l *Limits) excess(h *reassembly.Held) (n int) {
	if l.Connections > 0 && h.Open > l.Connections {
		n = h.Open - (l.Connections - l.Connections/roomOf)
	}
	if over := h.Octets - l.Octets; l.Octets > 0 && over > 0 {
		// As if all took as much: where they do not, the next look finds the rest.
		over += l.Octets / roomOf
		n = max(n, int(uint64(h.Open)*uint64(over)/uint64(h.Octets))+1)
	}
	return min(n, h.Open)
}

// forgotten returns how many of those that have left have to be forgotten.
func (l *Limits) forgotten(h *reassembly.Held) (n int) {
	if l.Connections > 0 && h.Buried > l.Connections {
		n = h.Buried - (l.Connections - l.Connections/roomOf)
	}
	if most := l.Octets / graveOf / reassembly.TombOctets; l.Octets > 0 && h.Buried > most {
		n = max(n, h.Buried-(most-most/roomOf))
	}
	return n
}

// eviction says who has to go: first the workers are asked, with look, then told.
type eviction struct {
	look int // how many of the lowest are asked for; 0 for none
	// upTo is the highest of those that have to go, if some have; forget until when those
	// that are remembered are to be forgotten, 0 for none.
	some   bool
	upTo   reassembly.Standing
	forget wire.Time
}

// standings is what a worker answers, and how much it forgot when it was told.
type standings struct {
	held      reassembly.Held
	lowest    []reassembly.Standing
	graves    []reassembly.Graves
	forgotten int
}

// known is what the reader knows of an epoch: how much was held at its end.
type known struct {
	held     reassembly.Held
	segments uint64
}

// mostPerSegment is more than a segment adds to what is held: at most it makes a full
// record of a brief one.
const mostPerSegment = 4 << 10

// keep sees to it that no more is held than is allowed; no batch may be in the reader's
// hands. What it knows is of some epochs ago. Only if the segments since may have made too
// much of it, it waits for all to be done.
func (r *reader) keep() {
	l := &r.cfg.Limits
	if !l.given() {
		return
	}
	since := int(r.segments - r.known.segments)
	atMost := reassembly.Held{Open: r.known.held.Open + since, Octets: r.known.held.Octets + since*mostPerSegment}
	if !l.reached(&atMost) {
		return
	}
	for r.drain(); l.reached(&r.known.held) && !r.stopped(); r.drain() {
		b := r.next()
		b.eviction.look = max(l.excess(&r.known.held), 1)
		r.post(b, r.clock)
		r.drain()
		told := r.told
		if !told.some && told.forget == 0 {
			return // a stage has failed, or nothing is left to go
		}
		b = r.next()
		b.eviction = told
		r.post(b, r.clock)
	}
}

// drain waits until all batches have come back.
func (r *reader) drain() {
	for len(r.idle) < batchesInFlight {
		b := <-r.free
		r.learned(b)
		r.idle = append(r.idle, b)
	}
}

// learned takes what a batch that comes back from the merger says.
func (r *reader) learned(b *batch) {
	if b.until >= r.known.segments && b.sent {
		r.known, r.told = known{b.held, b.until}, b.eviction
	}
}

// stands answers the reader's question, or lets go of those who have to.
func (w *worker) stands(b *batch) {
	s, t := &w.result.standings, w.tracker
	switch e := &b.eviction; {
	case e.look > 0:
		all := w.standings[:0]
		all, s.graves = t.Standings(all), t.Graves(s.graves)
		s.lowest, w.standings = slices.Clone(lowest(all, e.look)), all[:0]
	case e.some || e.forget != 0:
		if e.some {
			t.EvictUpTo(e.upTo)
		}
		if e.forget != 0 {
			s.forgotten += t.Forget(e.forget)
		}
		t.Advance(b.clock) // what was buried now is remembered from now on
	}
	s.held.Add(t.Held())
}

// evict sums up what the workers hold, and says who has to go if the reader has asked.
func (m *merger) evict(b *batch) {
	b.held = reassembly.Held{}
	var all []reassembly.Standing
	var graves []reassembly.Graves
	for i := range b.results {
		s := &b.results[i].standings
		b.held.Add(s.held)
		all, graves = append(all, s.lowest...), append(graves, s.graves...)
		s.lowest, s.graves = nil, nil
		m.summary.Limits.Forgotten += uint64(s.forgotten)
	}
	if m.cfg.held != nil {
		m.cfg.held(b.held)
	}
	look := b.eviction.look
	b.eviction = eviction{}
	if look == 0 {
		return
	}
	l := &m.cfg.Limits
	if n := min(l.excess(&b.held), len(all)); n > 0 {
		b.eviction.some, b.eviction.upTo = true, slices.MaxFunc(lowest(all, n), reassembly.Standing.Compare)
	}
	slices.SortFunc(graves, func(x, y reassembly.Graves) int { return int(min(max(x.Until-y.Until, -1), 1)) })
	for n := l.forgotten(&b.held); n > 0 && len(graves) > 0; graves = graves[1:] {
		b.eviction.forget = graves[0].Until
		n -= graves[0].N
	}
}

// lowest returns the n lowest of all, in no order; it moves all about.
func lowest(all []reassembly.Standing, n int) []reassembly.Standing {
	if n >= len(all) {
		return all
	}
	// Quickselect: what lies before from is among the lowest, what lies behind to is not.
	from, to := 0, len(all)
	for to-from > 1 {
		pivot := all[from+(to-from)/2]
		i, j := from, to-1
		for i <= j {
			for all[i].Compare(pivot) < 0 {
				i++
			}
			for all[j].Compare(pivot) > 0 {
				j--
			}
			if i <= j {
				all[i], all[j] = all[j], all[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			to = j + 1
		case n > i:
			from = i
		default:
			from = to
		}
	}
	return all[:n]
}
