package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// opening finds how the endpoint came to be connected.
func (in *inference) opening() {
	if !in.plainOpening() {
		in.anyOpening()
	}
}

// plainOpening is anyOpening for what nearly all connections begin with: a SYN, a SYN-ACK, and the
// client's next segment, each the first of its sort and the SYNs alone of theirs. It reports
// whether that is so.
func (in *inference) plainOpening() bool {
	r, c, ev := &in.roll, in.c, in.c.Events
	if r.count[Client][KindSYN] != 1 || r.count[Client][KindSYNACK] != 0 || r.count[Server][KindSYN] != 0 || r.count[Server][KindSYNACK] != 1 ||
		r.first[Client][KindSYN] != 0 || r.first[Server][KindSYNACK] != 1 || r.plain[Client] != 2 ||
		ev[0].Len > 0 || c.RoleBy != RoleBySYN || c.Previous.Frame != 0 {
		return false
	}
	talk := int(r.plain[Server])
	if talk >= 0 && ev[talk].Kind == KindACK && ev[2].At > ev[talk].At {
		return false // see provesEstablished
	}
	if in.me == Client {
		in.did(0, sndSYN)
		in.cands, in.lacks = append(in.cands[:0], 1), in.lacks[:0]
		in.received(rcvSYNACK, 2)
		return true
	}
	made := len(in.list)
	in.list = append(in.list, happening{pos: posReceived(0), by: sndSYNACK, at: ev[0].At, frame: ev[0].Frame, proof: ev[1].Frame, evidence: Acked})
	in.cands, in.lacks = append(in.cands[:0], 2), append(in.lacks[:0], 1)
	in.received(rcvACKofSYN, talk)
	if in.maybeStateless(1, talk) {
		in.list[made].evidence = Passed
	}
	return true
}

// anyOpening is opening for every connection.
func (in *inference) anyOpening() {
	me, you := in.me, in.me.Peer()
	syn := in.firstOf(me, KindSYN)
	synack := in.firstOf(me, KindSYNACK)
	yourSYN := in.firstOf(you, KindSYN)
	yourSYNACK := in.firstOf(you, KindSYNACK)
	talk := in.firstPlain(me, in.opened(syn, synack))
	yourTalk := in.firstPlain(you, in.opened(yourSYN, yourSYNACK))
	ev := in.c.Events
	if synack < 0 && yourSYN >= 0 && syn > yourSYN && in.acksBefore(syn) {
		// A split handshake: the SYN,ACK came in two segments.
		syn, synack = -1, syn
	}

	if syn < 0 && synack < 0 && yourSYN < 0 && yourSYNACK < 0 || in.strayOpening(max(syn, synack, yourSYN, yourSYNACK)) {
		in.inside(in.firstPlain(me, 0), in.firstPlain(you, 0))
		return
	}
	if syn >= 0 && !in.replayed() {
		in.did(syn, sndSYN)
		if synack >= 0 && synack < syn { // overtaken on the way to the tap
			in.list[len(in.list)-1].pos = posBefore(0)
		}
	} else if yourSYNACK >= 0 && synack < 0 && yourSYN < 0 && syn < 0 {
		// The SYN is not in the capture; its answer is.
		in.list = append(in.list, happening{pos: posBefore(yourSYNACK), cause: yourSYNACK, by: sndSYN, at: ev[yourSYNACK].At, frame: ev[yourSYNACK].Frame, evidence: Assumed})
	}
	switch {
	case synack >= 0:
		h := happening{pos: posSent(synack), cause: synack, by: sndSYNACK, at: ev[synack].At, frame: ev[synack].Frame, evidence: Sent}
		if yourSYN >= 0 && yourSYN < synack {
			cause := yourSYN
			in.cands = in.all(in.cands[:0], you, KindSYN)
			for _, i := range in.cands {
				if i < synack {
					cause = i
				}
			}
			if n := in.echoed(synack, in.cands); n >= 0 {
				cause = in.cands[n]
			}
			h.at, h.frame, h.proof, h.evidence, h.rewritten = ev[cause].At, ev[cause].Frame, ev[synack].Frame, Acked, cause != yourSYN
			h.pos, h.cause = posReceived(cause), cause
			if syn > cause && syn < synack { // simultaneous open: the SYNs crossed
				h.pos = posCrossed(syn)
			}
		}
		in.list = append(in.list, h)
	case yourSYN >= 0 && (talk >= 0 && syn < 0 || yourTalk >= 0 && syn < 0 && ev[yourTalk].Flags&wire.ACK != 0 && in.end().HasISN):
		// The SYN-ACK is not in the capture; that it was sent shows in what came
		// after it.
		shown := yourTalk
		if talk >= 0 && (shown < 0 || talk < shown) {
			shown = talk
		}
		if shown < yourSYN {
			break // a SYN that comes after all that has nothing to do with it
		}
		in.list = append(in.list, happening{pos: posReceived(yourSYN), cause: yourSYN, by: sndSYNACK, at: ev[yourSYN].At, frame: ev[yourSYN].Frame, proof: ev[shown].Frame, evidence: Acked})
	case yourSYN >= 0 && len(ev) == 1 && in.c.Until.Sub(ev[yourSYN].At) < slowestReply(0):
		// The capture ends before an answer could have come.
		in.list = append(in.list, happening{pos: posReceived(yourSYN), cause: yourSYN, by: sndSYNACK, at: ev[yourSYN].At, frame: ev[yourSYN].Frame, evidence: Passed})
	}

	if syn >= 0 || yourSYNACK >= 0 {
		in.cands = in.all(in.cands[:0], you, KindSYNACK)
		in.lacks = in.all(in.lacks[:0], me, KindSYN)
		switch {
		case synack >= 0 && len(in.cands) == 0: // the peer completes with an ACK
		case synack >= 0 && talk >= 0:
			in.received(rcvSYNACK, in.provesEstablished(synack, talk))
		case talk >= 0 || synack < 0 && !in.unanswered():
			in.received(rcvSYNACK, talk)
		}
	}
	if synack >= 0 || syn < 0 && yourSYN >= 0 {
		made := len(in.list) - 1 // SYN_RECEIVED's
		from := max(synack, 0)
		completes := func(e *Event) bool { return (plain(e) || e.Kind == KindSYNACK) && e.Flags&wire.ACK != 0 }
		in.lacks = in.all(in.lacks[:0], me, KindSYNACK)
		if len(in.lacks) <= 1 {
			// Nothing can refute the first.
			in.cands = in.cands[:0]
			if i := in.first(you, from, completes); i >= 0 {
				in.cands = append(in.cands, i)
			}
		} else {
			in.cands = in.gather(in.cands[:0], you, from, completes)
		}
		proof := in.provesEstablished(from, talk)
		in.received(rcvACKofSYN, proof)
		if synack >= 0 && syn < 0 && in.maybeStateless(synack, proof) {
			in.list[made].evidence = Passed
		}
	}
}

// replayed reports whether the connection begins with the SYN of an earlier one, which
// the network had kept: its host did not send it again.
func (in *inference) replayed() bool {
	before := &in.c.Previous
	return before.Frame != 0 && in.me == Client && before.Opener == Client && before.Key.Tuple == in.c.Key.Tuple && before.Key.ISN == in.c.Key.ISN && in.c.RoleBy == RoleBySYN
}

// strayOpening reports whether the capture began inside the connection and the last
// of its SYNs, event i, came too late to have been overtaken by what it opened.
func (in *inference) strayOpening(i int) bool {
	return in.c.RoleBy >= RoleByPort && in.c.Events[i].At.Sub(in.c.Start) > Overtaking
}

// opened returns where in the log a side's own part of the opening begins: its
// SYN-ACK, or its SYN where it sent none.
func (in *inference) opened(syn, synack int) int {
	if synack >= 0 {
		return synack
	}
	return max(syn, 0)
}

// acksBefore reports whether the endpoint acknowledged something before event i.
func (in *inference) acksBefore(i int) bool {
	j := in.firstOf(in.me, KindACK)
	return j >= 0 && j < i
}

// unanswered reports whether the SYN-ACKs in in.cands, although repeated, never got
// an answer: an endpoint that has one acknowledges it at once.
func (in *inference) unanswered() bool {
	n := len(in.cands)
	return n > 1 && in.c.Events[in.cands[n-1]].At.Sub(in.c.Events[in.cands[0]].At) > synackRTO/2
}

// synackRTO is the first retransmission timeout of a SYN-ACK (RFC 6298 section 2),
// with a little more for the way.
const synackRTO = 1200 * time.Millisecond

// maybeStateless reports whether the server may have kept no state after its
// SYN-ACK (SYN cookies, RFC 4987 section 3.6): for longer than the first
// retransmission timeout it neither repeated it nor showed that the ACK had
// arrived.
func (in *inference) maybeStateless(synack, proof int) bool {
	ev := in.c.Events
	until := in.c.Until
	if proof >= 0 {
		until = ev[proof].At
	}
	return until.Sub(ev[synack].At) > synackRTO && len(in.lacks) <= 1
}

// provesEstablished returns the first own event that shows the handshake's last
// ACK to have arrived. After a Fast Open a server may send before that, so there
// only an acknowledgment beyond the SYN's data does.
func (in *inference) provesEstablished(from, talk int) int {
	if talk < 0 {
		return talk
	}
	if !in.fastOpen() {
		// In SYN-RECEIVED too a SYN that comes again is answered with a bare ACK, so one
		// that passed before any ACK towards the endpoint proves nothing.
		return in.first(in.me, talk, func(e *Event) bool {
			return plain(e) && (e.Kind != KindACK || in.acksData(e) || len(in.cands) > 0 && in.c.Events[in.cands[0]].At <= e.At)
		})
	}
	synack := &in.c.Events[from]
	return in.first(in.me, from, func(e *Event) bool { return plain(e) && e.Ack.After(synack.Ack) })
}

// acksData reports whether an own event acknowledges more than the peer's SYN.
func (in *inference) acksData(e *Event) bool {
	p := in.peer()
	return p.HasISN && e.Flags&wire.ACK != 0 && e.Ack.After(p.ISN.Add(1))
}

// fastOpen reports whether the server acknowledged data of the client's SYN.
func (in *inference) fastOpen() bool {
	syn, synack := in.firstOf(Client, KindSYN), in.firstOf(Server, KindSYNACK)
	return syn >= 0 && synack >= 0 && in.c.Events[syn].Len > 0 && in.c.Events[synack].Ack == in.c.Events[syn].End
}
