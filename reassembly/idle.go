package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Idle is what a connection shows of silences of idleMin and more: times in which
// nothing passed, begun when everything was answered. The log has no place for those
// within runs of data.
type Idle struct {
	// Survived is the longest of them after which both sides were heard.
	Survived time.Duration
	// For is the last of them, At when it ended, By the side that ended it; For is 0 if
	// there was none.
	For time.Duration
	At  wire.Time
	By  Side
	// Answered: the other side was heard since, but for RSTs.
	Answered bool
	// Closed is the one that ended with the first FIN, or with a last word right before
	// it, of a side that had had the last word before it too: so it waited for nothing.
	Closed time.Duration
	// Said is the side that had sent the last payload before it, if HasSaid.
	Said    Side
	HasSaid bool

	last word
}

// word is the side that sent the last payload so far.
type word struct {
	by   Side
	some bool
}

// Pending returns the silence before the segments at the end that the other side than by
// has not answered; 0 if there is none.
func (i *Idle) Pending(by Side) time.Duration {
	if i.Answered || i.By != by {
		return 0
	}
	return i.For
}

// idleMin is the silence that counts: idle timeouts are set in seconds, and up to a round
// trip of one passes elsewhere than at the tap.
const idleMin = 900 * time.Millisecond

// broken notes that a side broke a silence, and whether it still waited to be answered.
func (i *Idle) broken(from Side, at wire.Time, d time.Duration, outstanding bool) {
	if i.For != 0 && !i.Answered && i.By == from || outstanding {
		return // the pause between two attempts of one segment
	}
	i.For, i.At, i.By, i.Answered = d, at, from, false
	i.Said, i.HasSaid = i.last.by, i.last.some
}

// parting is how long before its FIN a side's last words are part of its close.
const parting = 20 * time.Millisecond

// closing notes that a side sent a FIN, the first of the connection.
func (i *Idle) closing(from Side, at wire.Time) {
	if i.For != 0 && i.By == from && at.Sub(i.At) <= parting && (!i.HasSaid || i.Said == from) {
		i.Closed = i.For
	}
}

// said notes that a side sent payload.
func (i *Idle) said(from Side) { i.last = word{from, true} }

// outstanding reports whether a side has sent what the other has not acknowledged.
func (r *record) outstanding(side Side) bool {
	f := &r.half[side]
	return f.has(hasNext) && (!f.has(hasAcked) || f.next.After(f.acked))
}

// answered notes that a side was heard.
func (i *Idle) answered(from Side, kind Kind) {
	if i.For != 0 && !i.Answered && i.By != from && kind != KindRST {
		i.Survived = max(i.Survived, i.For)
		i.Answered = true
	}
}
