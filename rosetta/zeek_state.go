package rosetta

import "github.com/tcplife/tcplife/wire"

// step moves the sender's state, sometimes the other's too, and reports whether the
// sender has closed. Nothing here looks at numbers: a FIN or RST is believed wherever
// it lies.
func (z *zeek) step(s *segment, o int) (closes bool) {
	e, peer := &z.ends[o], &z.ends[1-o]
	syn, fin, rst, ack := s.flags&wire.SYN != 0, s.flags&wire.FIN != 0, s.flags&wire.RST != 0, s.flags&wire.ACK != 0
	switch e.state {
	case zeekInactive:
		return z.stepFirst(s, o)
	case zeekSYNSent, zeekSYNACKSent:
		if fin {
			z.set(o, zeekClosed)
		}
		if rst {
			z.set(o, zeekReset)
			z.active = false
		}
		return fin || rst
	case zeekEstablished, zeekPartial:
		if syn && !ack && e.state == zeekPartial && peer.state == zeekInactive {
			z.set(o, zeekSYNSent)
		}
		if fin && !rst {
			z.set(o, zeekClosed)
			if peer.state == zeekReset && peer.before == zeekClosed {
				// FIN and RST from one side, then the FIN of the other: both closed.
				z.set(1-o, zeekClosed)
			}
		}
		if rst {
			z.set(o, zeekReset)
			if peer.state != zeekReset || peer.before != zeekEstablished {
				z.active = false
			}
		}
		return fin || rst
	case zeekClosed:
		if rst && peer.state != zeekClosed {
			z.set(o, zeekReset)
			if z.active && !z.canceled && z.deleteAt == 0 {
				z.deleteAt = s.at.Add(zeekResetDelay)
			}
			return !e.closed
		}
	}
	return false
}

// stepFirst is step for an endpoint that has not changed its state yet.
func (z *zeek) stepFirst(s *segment, o int) (closes bool) {
	e, peer := &z.ends[o], &z.ends[1-o]
	syn, fin, rst, ack := s.flags&wire.SYN != 0, s.flags&wire.FIN != 0, s.flags&wire.RST != 0, s.flags&wire.ACK != 0
	switch {
	case syn && o == 0:
		z.set(o, zeekSYNSent)
		if ack {
			z.set(o, zeekSYNACKSent)
		}
		z.attemptAt = s.at.Add(zeekAttemptDelay)
	case syn:
		if !ack && peer.state == zeekSYNACKSent {
			// The SYN,ACK stands before its SYN in the capture.
			z.flip()
			z.talked[0] = true
			z.set(1, zeekEstablished)
			e, peer, o = &z.ends[0], &z.ends[1], 0
		} else if peer.state == zeekSYNSent {
			z.set(1-o, zeekEstablished)
		}
		z.set(o, zeekEstablished)
		if peer.state != zeekPartial && interactive(z.port) {
			z.idle = zeekIdleHour
		}
	}
	if fin {
		z.set(o, zeekClosed)
	}
	if rst {
		z.set(o, zeekReset)
	}
	if e.state == zeekInactive {
		switch {
		case o == 1 && s.len == 0 && peer.state == zeekSYNSent:
			// An ACK before the SYN,ACK does not make a partial connection.
		case ack && peer.state == zeekEstablished:
			z.set(o, zeekEstablished)
			z.partial = false
			z.talked[o] = true
		default:
			z.set(o, zeekPartial)
		}
	}
	return fin || rst
}

// set changes an endpoint's state. The end of the handshake makes Zeek wait longer.
func (z *zeek) set(o int, state zeekState) {
	e, peer := &z.ends[o], &z.ends[1-o]
	opening := func(s zeekState) bool { return s <= zeekSYNACKSent }
	if state != e.state && !opening(state) && opening(e.state) && opening(peer.state) && z.idle == zeekIdleMinute {
		z.idle = zeekIdleFive
	}
	e.set(state)
}

// flip turns the roles round.
func (z *zeek) flip() {
	z.ends[0], z.ends[1] = z.ends[1], z.ends[0]
	z.talked[0], z.talked[1] = z.talked[1], z.talked[0]
	z.swapped = !z.swapped
	z.partial = false
	if z.rows == 1 {
		z.shown = z.swapped
	}
	z.add(nil, '^')
}

// believe turns the roles round when an ACK or data follows a lone SYN,ACK: nobody
// answers a scan with SYN,ACKs so, and the SYN was only missed. The history is
// written as if that had been known from the beginning.
func (z *zeek) believe(s *segment) {
	if s.flags&(wire.SYN|wire.FIN|wire.RST) != 0 || s.flags&wire.ACK == 0 && s.len == 0 {
		return
	}
	if z.ends[0].state != zeekSYNACKSent || z.ends[1].state != zeekInactive || z.seen != seenSYN || z.rows == 1 && z.length != 1 {
		return
	}
	z.ends[0], z.ends[1] = z.ends[1], z.ends[0]
	z.talked[0], z.talked[1] = z.talked[1], z.talked[0]
	z.swapped = !z.swapped
	z.partial, z.seen = false, seenSYN<<8
	z.set(1, zeekEstablished)
	if z.rows == 1 {
		z.shown = z.swapped
		z.length = uint16(copy(z.letters[:], "^h"))
	}
}

// zeekRow is a conn_state.
type zeekRow uint8

var zeekRowNames = [...]string{"OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR"}

const (
	zeekOTH zeekRow = iota
	zeekS0
	zeekS1
	zeekSF
	zeekREJ
	zeekS2
	zeekS3
	zeekRSTO
	zeekRSTR
	zeekRSTOS0
	zeekRSTRH
	zeekSH
	zeekSHR
)

// ZeekStates returns the names of conn_state.
func ZeekStates() []string { return zeekRowNames[:] }

// String returns Zeek's word.
func (r zeekRow) String() string { return zeekRowNames[r] }

// row returns the conn_state that the endpoints' states amount to; the first that
// fits.
func (z *zeek) row(pool *pools) zeekRow {
	orig, resp := z.ends[0].state, z.ends[1].state
	quiet := func(s zeekState) bool { return s == zeekInactive || s == zeekPartial }
	switch {
	case resp == zeekReset:
		switch {
		case orig == zeekSYNSent || orig == zeekSYNACKSent,
			orig == zeekReset && z.ends[0].size(&z.ends[1]) == 0 && z.ends[1].size(&z.ends[0]) == 0:
			return zeekREJ
		case quiet(orig):
			return zeekRSTRH
		}
		return zeekRSTR
	case orig == zeekReset:
		switch {
		case !quiet(resp):
			return zeekRSTO
		case z.attemptOnly(pool):
			return zeekRSTOS0
		}
		return zeekOTH
	case orig == zeekClosed && resp == zeekClosed:
		return zeekSF
	case orig == zeekClosed:
		if quiet(resp) {
			return zeekSH
		}
		return zeekS2
	case resp == zeekClosed:
		if quiet(orig) {
			return zeekSHR
		}
		return zeekS3
	case orig == zeekSYNSent && resp == zeekInactive:
		return zeekS0
	case orig == zeekEstablished && resp == zeekEstablished:
		return zeekS1
	}
	return zeekOTH
}

// attemptOnly reports whether the history shows a SYN and then a RST of the
// originator, and nothing of it in between that belongs to a connection.
func (z *zeek) attemptOnly(pool *pools) bool {
	h := z.history(pool)
	if len(h) > 0 && h[0] == '^' {
		h = h[1:]
	}
	if len(h) == 0 || h[0] != 'S' {
		return false
	}
	for _, c := range h[1:] {
		switch c {
		case 'R':
			return true
		case 'H', 'A', 'F', 'G', 'I', 'Q':
			return false
		}
	}
	return false
}
