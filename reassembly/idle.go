package reassembly

import "time"

// Idle is what a connection shows of silences of a second and more: times in which
// nothing passed, begun when everything was answered. The log has no place for those
// within runs of data.
type Idle struct {
	// Survived is the longest of them after which both sides were heard.
	Survived time.Duration
	// Pending is the one before the segments at the end that the other side has not
	// answered, but for RSTs, and By the side that sent these; 0 if there is none.
	Pending time.Duration
	By      Side
}

// idleMin is the silence that counts: servers' idle timeouts are set in seconds.
const idleMin = time.Second

// fellIdle notes that a side broke a silence.
func (r *record) fellIdle(from Side, d time.Duration) {
	if r.idle.Pending != 0 && r.idle.By == from || r.outstanding(from) {
		return // the pause between two attempts of one segment
	}
	r.idle.Pending, r.idle.By = d, from
}

// outstanding reports whether a side has sent what the other has not acknowledged.
func (r *record) outstanding(side Side) bool {
	f := &r.half[side]
	return f.has(hasNext) && (!f.has(hasAcked) || f.next.After(f.acked))
}

// answered notes that a side was heard.
func (r *record) answered(from Side, kind Kind) {
	if i := &r.idle; i.Pending != 0 && i.By != from && kind != KindRST {
		i.Survived = max(i.Survived, i.Pending)
		i.Pending = 0
	}
}
