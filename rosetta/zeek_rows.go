package rosetta

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// The timers by which Zeek forgets a connection, as its scripts set them. What comes
// for it after that begins another row.
const (
	zeekSYNTimeout   = 5 * time.Second // tcp_SYN_timeout: the first look whether it still lives
	zeekSessionTimer = 6 * time.Second // tcp_session_timer: the next looks
	zeekLinger       = 5 * time.Second // tcp_connection_linger: the silence that a look wants
	zeekAttemptDelay = 5 * time.Second // tcp_attempt_delay
	zeekCloseDelay   = 5 * time.Second // tcp_close_delay
	zeekResetDelay   = 5 * time.Second // tcp_reset_delay
	zeekPartialDelay = 3 * time.Second // tcp_partial_close_delay
)

// zeekIdle says how long a silence ends a row.
type zeekIdle uint8

const (
	zeekIdleMinute zeekIdle = iota // while it opens: udp_inactivity_timeout
	zeekIdleFive                   // tcp_inactivity_timeout
	zeekIdleHour                   // the interactive services
)

var zeekIdles = [...]time.Duration{time.Minute, 5 * time.Minute, time.Hour}

// over reports whether a timer has ended the row by now. Zeek's clock goes by all of
// a capture's packets; here only those of the connection are known, so a timer that
// looks again and again is taken to look when one of them comes.
func (z *zeek) over(now wire.Time) bool {
	if z.deleteAt != 0 && now >= z.deleteAt {
		return true
	}
	if z.canceled {
		return false
	}
	orig, resp := &z.ends[0], &z.ends[1]
	if z.attemptAt != 0 && now >= z.attemptAt {
		z.attemptAt = 0
		if z.active && (orig.state == zeekSYNSent || orig.state == zeekSYNACKSent) && resp.state == zeekInactive {
			return true
		}
	}
	if now >= z.last.Add(zeekIdles[z.idle]) {
		return true
	}
	if z.expireAt == 0 || now < z.expireAt {
		return false
	}
	z.expireAt = 0
	if !z.active {
		return false
	}
	if z.last.Add(zeekLinger) < now && (orig.closed || resp.closed) {
		if orig.closed && resp.closed || orig.state == zeekReset || resp.state == zeekReset ||
			orig.state == zeekInactive || resp.state == zeekInactive {
			return true
		}
	}
	z.expireAt = now.Add(zeekSessionTimer)
	return false
}

// reused reports whether a SYN begins another row: on a connection of which a side
// has closed any, else one with another number.
func (z *zeek) reused(s *segment) bool {
	e := &z.ends[0]
	if s.flags&wire.ACK != 0 {
		if e.state != zeekInactive {
			return false
		}
		e = &z.ends[1]
	}
	if z.ends[0].closed || z.ends[1].closed {
		return true
	}
	resp := &z.ends[1]
	reversed := s.flags&wire.ACK == 0 && e.state == zeekSYNACKSent && resp.state == zeekInactive && s.seq == resp.start
	return s.seq != e.start && !reversed
}

// close reports an endpoint as closed, unless data is still to be delivered.
func (z *zeek) close(o int) {
	e, peer := &z.ends[o], &z.ends[1-o]
	if z.pending(o) {
		z.deferred = true
		return
	}
	z.deferred = false
	if e.closed {
		return
	}
	e.closed = true
	switch {
	case e.state == zeekReset || peer.closed || peer.state == zeekInactive:
		if e.before != zeekInactive || peer.state != zeekInactive {
			z.active = false
		}
		z.canceled, z.attemptAt, z.expireAt = true, 0, 0
		z.deleteAt = z.last.Add(zeekCloseDelay)
	case z.canceled:
	case e.before == zeekInactive:
		if at := z.last.Add(zeekPartialDelay); z.active && (z.deleteAt == 0 || at < z.deleteAt) {
			z.deleteAt = at
		}
	default:
		z.expireAt = z.last.Add(zeekSessionTimer)
	}
}
