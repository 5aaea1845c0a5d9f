package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// timers adds the transition that a timer must have made between since, when the
// endpoint came into the state, and a time up to which it was watched, and reports
// whether there was one. shown is a frame that shows it to be gone; 0: none does.
func (in *inference) timers(p *Profile, state State, since, until wire.Time, shown wire.FrameID) bool {
	by := timeoutDead
	var span time.Duration
	switch state {
	case TimeWait:
		by, span = timeout2MSL, p.TimeWait
		// Every segment that it answers restarts the timer.
		for i := range in.c.Events {
			if v := &in.c.Events[i]; v.From != in.me && genuine(v) && v.Kind != KindRST && v.LastAt > since && v.LastAt < until {
				since = v.LastAt
			}
		}
	case SynSent:
		span = p.SYNSpan
	case SynReceived:
		span = p.SYNACKSpan
	case FinWait2:
		// Whether a program still holds the socket does not show, so the timer has run
		// only if the socket is known to be gone.
		if shown == 0 || p.FinWait2 == 0 {
			return false
		}
		span = p.FinWait2
	case FinWait1, Closing, LastAck:
		last, next := in.lastRepeat(p)
		if last == 0 || last < since {
			return false
		}
		// It repeated its FIN, and then twice in a row it did not: one repetition may
		// have been lost before the tap.
		if last.Add(next+min(2*next, p.MaxRTO)+p.TimerSlack) > until {
			return false
		}
		since, span = last, next
	default:
		return false
	}
	fired := since.Add(span)
	if fired.Add(min(p.TimerSlack, span/8)) > until {
		return false
	}
	next, moves := state.next(by)
	if moves {
		e := in.end()
		e.Timeline = append(e.Timeline, Transition{State: next, At: fired, Proof: shown, Evidence: Timer, by: by})
	}
	return moves
}

// lastRepeat returns when the endpoint's FIN was last repeated, and how long after
// that the next repetition is due: the time doubles (RFC 6298 section 5.5). 0 if it
// was not repeated at least twice, by which the doubling shows, or if it was
// acknowledged, as far as the capture knows.
func (in *inference) lastRepeat(p *Profile) (last wire.Time, next time.Duration) {
	own := in.fins[in.me]
	if in.peer().Packets == 0 {
		return 0, 0 // the capture holds one direction: the ACK may have come
	}
	if own.first < 0 || in.end().HasAcked && !in.end().Acked.Before(own.end) {
		return 0, 0
	}
	n := 0
	for i := own.first; i < len(in.c.Events); i++ {
		e := &in.c.Events[i]
		if e.From != in.me || e.Kind != KindFIN || !genuine(e) {
			continue
		}
		switch {
		case e.Count > 1:
			next = p.MaxRTO // a run: what lay between its segments is forgotten
		case last != 0:
			next = min(2*e.LastAt.Sub(last), p.MaxRTO)
		}
		last = e.LastAt
		n += int(e.Count)
	}
	if n < 3 {
		return 0, 0
	}
	return last, max(next, minRTO)
}
