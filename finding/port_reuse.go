package finding

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "port-reuse",
	Catalogue: []string{"H20", "W01", "W02", "W08"},
	Title:     "The same ports were opened anew while the old connection was remembered",
	Severity:  Warning,
	RFC:       "9293 3.5.1 figure 9, 3.6.1, 3.10.7.4; 5961 4; 6191",
	Triggers:  reassembly.SeenReopened,
	Check:     checkPortReuse,
	Meaning: `A SYN came for a pair of ports whose last connection was not forgotten yet.

- W01: it met TIME_WAIT and was accepted, which the rules allow when its number or time stamp is
  newer. No fault (info).
- W02: it met TIME_WAIT and was answered by an ACK with the old numbers. The client, which knows
  nothing of them, answers with RST, and its SYN, sent again, opens the connection. That costs up
  to a second.
- W08: the same, where the old connection stood in CLOSE_WAIT: its server never closed.
- H20: the same, where it was still established, or not yet closed on both sides: the client's
  host restarted, or a NAT gave the port to somebody else.

The finding stands at the old connection, whose state it is about.`,
	Signature: `    A                          B
    | SYN, a new number -----> |  B remembers the old connection
    | <---- ACK, old numbers   |  a challenge
    | RST, seq = that ack ---> |  now B forgets it
    | SYN again -------------> |  after some 10 ms (Linux) or the 1 s timeout
    | <--------------- SYN-ACK |`,
	Alternatives: `Which host sits behind the client's address cannot be seen: a NAT that reuses ports
too early (W10) does to B exactly what a client does that has the port to itself.`,
	Advice: `W01: nothing. W02: connections end faster than their ports come back; keep connections
open and reuse them, widen the port range, let the server close last, and use time stamps. W08:
mend the server, which leaks sockets (see half-closed-for-long). H20: look for a restart of the
client's host at that time; behind NAT, compare the device's timeouts with TIME_WAIT.`,
	Settings: `Linux: TIME_WAIT is 60 s and fixed; tcp_tw_reuse (2: loopback only; 1: all, for
clients), tcp_tw_reuse_delay (1000 ms, since 6.14), tcp_rfc1337 (0: the RST ends TIME_WAIT),
ip_local_port_range; nf_conntrack_tcp_timeout_time_wait (120 s) on NAT. tcp_tw_recycle is gone
since 4.12. FreeBSD: net.inet.tcp.msl (30000), nolocaltimewait. Windows: TcpTimedWaitDelay.`,
})

func checkPortReuse(c *Case, report func(Finding)) {
	opener := c.Next.Opener
	holder := opener.Peer()
	if c.Next.Frame == 0 {
		return
	}
	states := [2]reassembly.State{stateAt(c, reassembly.Client, c.Next.Key.Start), stateAt(c, reassembly.Server, c.Next.Key.Start)}
	ack := next(c, 0, func(e *reassembly.Event) bool {
		return e.From == holder && e.At > c.Next.Key.Start && genuine(e) && e.Kind == reassembly.KindACK
	})
	rst := -1
	if ack >= 0 {
		rst = next(c, ack+1, func(e *reassembly.Event) bool {
			return e.From == opener && e.Kind == reassembly.KindRST && e.Flags&wire.ACK == 0 && e.Seq == c.Events[ack].Ack
		})
	}
	f := Finding{Severity: Warning, Confidence: Certain, Endpoint: Both}
	f.Falsify = "Frames between the two connections that the capture lacks."
	state := states[holder]
	switch {
	case rst >= 0:
		f.Frames = with(frames(c, ack, rst), c.Next.Frame, c.Next.Answer)
		f.Message = fmt.Sprintf("A SYN for the same ports met the %s's old connection in %s: answered by an ACK with the old numbers, which the %s reset.", holder, state, opener)
		f.Reason = "the ACK has the old connection's numbers, and the RST answers exactly that ACK"
		if c.Next.Answer != 0 {
			f.Message = f.Message[:len(f.Message)-1] + fmt.Sprintf("; the new connection was opened %s after its first SYN.", span(c.Next.AnswerAt.Sub(c.Next.Key.Start)))
		}
		switch state {
		case reassembly.TimeWait:
			f.Catalogue = "W02"
		case reassembly.CloseWait:
			f.Catalogue = "W08"
		default:
			f.Catalogue = "H20"
		}
	case c.Next.Answer != 0 && (states[0] == reassembly.TimeWait || states[1] == reassembly.TimeWait) && closedBy(c, c.Next.Key.Start):
		f.Catalogue, f.Severity = "W01", Info
		f.Frames = with(nil, c.Next.Frame, c.Next.Answer)
		after := c.Next.Key.Start.Sub(lastBefore(c, c.Next.Key.Start))
		if state == reassembly.TimeWait {
			f.Message = fmt.Sprintf("The same ports were opened anew %s after the last segment, while the %s held the old connection in TIME_WAIT, and it was accepted.", span(after), holder)
			f.Reason = "the SYN was answered before the time of TIME_WAIT was over"
		} else {
			f.Message = fmt.Sprintf("The %s opened the same ports anew %s after the last segment, though it closed first and has to hold them in TIME_WAIT, and it was accepted.", opener, span(after))
			f.Reason = "it is its own TIME_WAIT that it cut short"
		}
		if after >= shortestTimeWait {
			f.Confidence, f.Reason = Likely, "how long TIME_WAIT lasts on that host is not in the packets; some hosts hold it for no longer"
		}
	default:
		return
	}
	report(f)
}

// shortestTimeWait is the least that TIME_WAIT lasts on hosts that have not been told
// otherwise: 2MSL is 30 s on Apple's systems and on Windows at its least.
const shortestTimeWait = 30 * time.Second

// stateAt returns the state that a side was in just before a time.
func stateAt(c *Case, side reassembly.Side, at wire.Time) reassembly.State {
	s := reassembly.Closed
	for _, t := range c.Ends[side].Timeline {
		if t.At >= at {
			break
		}
		s = t.State
	}
	return s
}

// closedBy reports whether both FINs were acknowledged before a time.
func closedBy(c *Case, at wire.Time) bool {
	i := next(c, 0, func(e *reassembly.Event) bool { return e.At >= at })
	if i < 0 {
		i = len(c.Events)
	}
	return closedBefore(c, i)
}

// lastBefore returns the time of the connection's last segment before a time.
func lastBefore(c *Case, at wire.Time) wire.Time {
	t := c.Start
	for i := range c.Events {
		if e := &c.Events[i]; e.LastAt < at {
			t = max(t, e.LastAt)
		}
	}
	return t
}

// with adds frames that belong to another connection; 0 is none.
func with(ids []wire.FrameID, more ...wire.FrameID) []wire.FrameID {
	for _, id := range more {
		if id != 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
