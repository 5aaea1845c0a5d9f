package rosetta

import "slices"

// zeekOrder is what Zeek's reassembler knows of one endpoint's payload: it tells where
// a gap is reported and how long a close waits. All numbers are relative.
type zeekOrder struct {
	// delivered is the number up to which payload was delivered or given up, trimmed
	// the one up to which it was acknowledged.
	delivered, trimmed uint32
	gaps               uint32
	beyond             uint32 // holes; 0 none
	skips              bool   // it has given up
	ended              bool   // its end was reported
}

// newZeekOrder returns one that waits for the first octet, which is 1.
func newZeekOrder() zeekOrder { return zeekOrder{delivered: 1, trimmed: 1} }

// span is payload from a number up to, not including, another.
type span struct{ from, to uint32 }

// holes are the pieces of payload beyond a hole, in order. When there are more than it
// can hold, the two nearest count as one, and the hole between them is forgotten.
type holes struct {
	n     int
	spans [8]span
}

// Limits of Zeek's reassembler (tcp_max_initial_window,
// tcp_max_above_hole_without_any_acks, tcp_excessive_data_without_further_acks).
const (
	zeekInitialWindow = 16 << 10
	zeekAboveHole     = 16 << 10
	zeekExcessive     = 10 << 20
)

func before(a, b uint32) bool { return int32(a-b) < 0 }

func (r *zeekOrder) release(pool *pools) {
	if r.beyond != 0 {
		pool.holes.put(r.beyond)
		r.beyond = 0
	}
}

// held returns the pieces beyond a hole.
func (r *zeekOrder) held(pool *pools) []span {
	if r.beyond == 0 {
		return nil
	}
	h := pool.holes.at(r.beyond)
	return h.spans[:h.n]
}

// hold enters a piece beyond a hole.
func (r *zeekOrder) hold(s span, pool *pools) {
	if r.beyond == 0 {
		r.beyond = pool.holes.get()
		pool.holes.at(r.beyond).n = 0
	}
	h := pool.holes.at(r.beyond)
	var all [len(h.spans) + 1]span
	list := append(all[:0], h.spans[:h.n]...)
	at := 0
	for at < len(list) && before(list[at].from, s.from) {
		at++
	}
	list = slices.Insert(list, at, s)
	// Pieces that touch are one.
	merged := list[:1]
	for _, x := range list[1:] {
		if last := &merged[len(merged)-1]; !before(last.to, x.from) {
			if before(last.to, x.to) {
				last.to = x.to
			}
		} else {
			merged = append(merged, x)
		}
	}
	if len(merged) > len(h.spans) {
		nearest := 1
		for i := 2; i < len(merged); i++ {
			if merged[i].from-merged[i-1].to < merged[nearest].from-merged[nearest-1].to {
				nearest = i
			}
		}
		merged[nearest-1].to = merged[nearest].to
		merged = slices.Delete(merged, nearest, nearest+1)
	}
	h.n = copy(h.spans[:], merged)
}

// deliver moves on over the pieces that are no longer beyond a hole.
func (r *zeekOrder) deliver(pool *pools) {
	for s := r.held(pool); len(s) > 0 && !before(r.delivered, s[0].from); s = r.held(pool) {
		if before(r.delivered, s[0].to) {
			r.delivered = s[0].to
		}
		r.dropFirst(pool)
	}
}

func (r *zeekOrder) dropFirst(pool *pools) {
	h := pool.holes.at(r.beyond)
	h.n = copy(h.spans[:], h.spans[1:h.n])
	if h.n == 0 {
		r.release(pool)
	}
}

// clear gives up: neither gaps nor closes wait any more.
func (r *zeekOrder) clear(pool *pools) {
	r.release(pool)
	r.skips = true
}

// dataSent takes payload of endpoint o.
func (z *zeek) dataSent(o int, seq, n uint32, pool *pools) {
	e, peer := &z.ends[o], &z.ends[1-o]
	r := &e.order
	if r.skips {
		return
	}
	upper := seq + n
	if acked := uint32(e.acked - e.start); before(seq, acked) {
		if !before(acked, upper) {
			return
		}
		seq = acked
	}
	if !before(r.trimmed, upper) {
		return
	}
	if before(seq, r.trimmed) {
		seq = r.trimmed
	}
	if before(r.delivered, seq) {
		r.hold(span{seq, upper}, pool)
	} else if before(r.delivered, upper) {
		r.delivered = upper
		r.deliver(pool)
		if e.noneAcked() && e.size(peer) > zeekInitialWindow {
			r.trimmed = r.delivered
		}
	}
	held := r.held(pool)
	if len(held) > 0 && e.noneAcked() && held[len(held)-1].to-r.delivered > zeekAboveHole {
		r.clear(pool)
		return
	}
	waiting := r.delivered - r.trimmed
	for _, s := range held {
		waiting += s.to - s.from
	}
	if waiting > zeekExcessive {
		r.clear(pool)
	}
}

// ackReceived takes an acknowledgment of endpoint o's payload: what it covers and was
// not seen is a gap.
func (z *zeek) ackReceived(o int, seq uint32, pool *pools) {
	e := &z.ends[o]
	r := &e.order
	if e.sentFIN && !before(seq, e.finEnd) {
		seq = e.finEnd - 1
	}
	if !before(r.trimmed, seq) {
		return
	}
	if before(r.delivered, seq) && !(seq <= 2 && z.partial) {
		if !r.skips {
			for s := r.held(pool); len(s) > 0 && before(s[0].from, seq); s = r.held(pool) {
				z.gap(o, pool)
				r.delivered = s[0].from
				r.deliver(pool)
			}
			if before(r.delivered, seq) {
				z.gap(o, pool)
			}
		}
		if before(r.delivered, seq) {
			r.delivered = seq
		}
	}
	r.deliver(pool)
	r.trimmed = seq
	z.checkEOF(o)
}

// gap enters a gap, while the connection is established or closes in order: elsewhere
// numbers do not mean much.
func (z *zeek) gap(o int, pool *pools) {
	for i := range z.ends {
		e := &z.ends[i]
		if e.state != zeekEstablished && (e.state != zeekClosed || e.before != zeekEstablished) {
			return
		}
	}
	z.ends[o].order.gaps++
	z.scaled(o, 'G', z.ends[o].order.gaps, pool)
}

// pending reports whether an endpoint has payload that was not delivered, or the other
// one some that was not acknowledged.
func (z *zeek) pending(o int) bool {
	e, peer := &z.ends[o], &z.ends[1-o]
	if e.order.skips {
		return false
	}
	last := uint32(e.last - e.start)
	switch {
	case before(last, e.order.delivered):
		return false
	case e.order.delivered != last && e.order.delivered != last-1:
		return true
	}
	return e.state != zeekReset && (peer.order.beyond != 0 || before(peer.order.trimmed, peer.order.delivered))
}

// checkEOF reports an endpoint's end once all of its payload is delivered; a close
// that waited for it goes on.
func (z *zeek) checkEOF(o int) {
	e := &z.ends[o]
	if e.order.ended || !e.sentFIN && e.state != zeekClosed && e.state != zeekReset || z.pending(o) {
		return
	}
	e.order.ended = true
	if z.deferred {
		z.close(o)
		z.deferred = false
	}
}
