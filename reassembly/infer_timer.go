package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// timers adds the transition that a timer must have made between since, when the
// endpoint came into the state, and a time up to which it was watched, after the first
// n events, and reports whether there was one. shown is a frame that shows it to be
// gone; 0: none does.
func (in *inference) timers(p *Profile, state State, since, until wire.Time, n int, shown wire.FrameID) bool {
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
	case FinWait1, Closing, LastAck, Established, CloseWait:
		at := in.gaveUpAt(p, until, n)
		if at == 0 || at < since {
			return false
		}
		since, span = at, 0
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

// gaveUpAt returns when the endpoint gave up what it had sent in vain, if it must have
// by until; 0 if it may still be waiting. A FIN that is not acknowledged counts whatever
// the peer sends, anything else only in silence.
func (in *inference) gaveUpAt(p *Profile, until wire.Time, n int) wire.Time {
	if in.peer().Packets == 0 {
		return 0 // the capture holds one direction: the ACK may have come
	}
	if fin := in.unansweredFIN(); fin.count >= vainLeast {
		return fin.gaveUpAt(p, until)
	}
	v := in.c.sentInVain(in.me, n)
	return v.gaveUpAt(p, until)
}

// unansweredFIN returns the transmissions of the endpoint's FIN, if it was not
// acknowledged as far as the capture knows.
func (in *inference) unansweredFIN() (v vain) {
	own := in.fins[in.me]
	if own.first < 0 || in.end().HasAcked && !in.end().Acked.Before(own.end) {
		return v
	}
	for i := own.first; i < len(in.c.Events); i++ {
		e := &in.c.Events[i]
		if e.From != in.me || e.Kind != KindFIN || !genuine(e) {
			continue
		}
		if v.kind == vainNothing {
			v = vain{kind: vainData, first: e.At, last: e.LastAt, count: int(e.Count)}
			continue
		}
		v.again(e)
	}
	return v
}
