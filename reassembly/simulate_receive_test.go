package reassembly

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/wire"
)

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
			h.request, h.recent = true, s.Options.TSVal
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
		h.irs, h.rcv, h.recent = s.Seq, s.Seq+1, s.Options.TSVal
		h.established()
		h.nxt = h.iss + 1
		h.ack()
	default:
		h.irs, h.rcv, h.recent = s.Seq, s.Seq+1, s.Options.TSVal
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
	if !s.Seq.After(h.acked) && int32(s.Options.TSVal-h.recent) >= 0 {
		h.recent = s.Options.TSVal
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
