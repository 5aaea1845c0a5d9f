package incident

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// standing counts how endpoints of one role answer their peer's close. A half-close on
// purpose, after which they send on, is not counted.
type standing struct {
	// lags are the times in CLOSE_WAIT of those that closed: from the peer's FIN to the
	// own one.
	lags *spread
	// young counts endpoints in CLOSE_WAIT when last seen that had stood there for less
	// than closeWait; the others are counted over time (see stood).
	young uint32
	// in are the endpoints that stood in CLOSE_WAIT.
	in *examples
	// low and high are the lowest and highest key of their other end: one and the same
	// where there is only one.
	low, high key
}

// closeWait is how long an endpoint must have stood in CLOSE_WAIT to count as standing
// there. Within a second a program that reads the end of file in the ordinary way has
// closed.
const closeWait = time.Second

// wait is an endpoint's time in CLOSE_WAIT.
type wait struct {
	from, to wire.Time
	// open: it was still there when last seen.
	open  bool
	frame wire.FrameID
}

// closeWaitOf reads a side's time in CLOSE_WAIT, which stands at i in its timeline.
func closeWaitOf(c *reassembly.Conn, side reassembly.Side, i int) wait {
	tl := c.Ends[side].Timeline
	w := wait{from: tl[i].At, frame: tl[i].Frame}
	if i+1 < len(tl) {
		w.to = tl[i+1].At
		return w
	}
	w.to, w.open = c.Until, c.Ends[side].Gone == 0
	if c.Next.Frame != 0 {
		// What became of it when its ports were used anew is not known.
		w.to = min(w.to, c.Next.Key.Start)
	}
	return w
}

// long reports whether an endpoint stood there, and did not only pass.
func (w *wait) long() bool { return w.to.Sub(w.from) >= closeWait }

// add counts an endpoint's time; peer is the other end.
func (x *standing) add(w *wait, peer *key, f *facts) {
	if !w.long() {
		x.pass(w.to.Sub(w.from), w.open)
		return
	}
	if !w.open {
		addSpread(&x.lags, w.to.Sub(w.from))
	}
	if x.in == nil {
		x.low, x.high = *peer, *peer
	}
	if peer.compare(x.low) < 0 {
		x.low = *peer
	}
	if peer.compare(x.high) > 0 {
		x.high = *peer
	}
	show(&x.in, w.frame, f)
}

// pass counts one that was there for no long time, and whether it still is.
func (x *standing) pass(d time.Duration, open bool) {
	if open {
		x.young++
	} else {
		addSpread(&x.lags, d)
	}
}

func (x *standing) merge(o *standing) {
	x.young += o.young
	if o.in != nil {
		if x.in == nil {
			x.low, x.high = o.low, o.high
		}
		if o.low.compare(x.low) < 0 {
			x.low = o.low
		}
		if o.high.compare(x.high) > 0 {
			x.high = o.high
		}
	}
	mergeSpread(&x.lags, o.lags)
	mergeExamples(&x.in, o.in)
}
