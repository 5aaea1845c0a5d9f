package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "closed-unread",
	Example:   "incidents/upload-left-unread.pcap",
	Catalogue: []string{"C12", "C13"},
	Title:     "Connections are closed while the other side still sends",
	Severity:  finding.Warning,
	RFC:       "9293 3.6.1, 3.10.4; 1122 4.2.2.13; 2525 2.16",
	Folds:     []string{"abort", "late-data-reset", "no-socket-reset", "reset-provenance", "unacknowledged-tail", "reset-storm", "reset-injected", "fin-answered-by-reset", "zero-window"},
	Explains:  []string{"reset-share", "stuck-closes/C07"},
	Check:     checkClosedUnread,
	Meaning: `On many connections of a listener one side closed while the other was in the middle of
sending, and answered by RST what was under way.

- C12: it closed with data that it had not read, so the close itself is a RST.
- C13: it closed by FIN, and what came behind that met a RST.

The number named is that of most of them. A server that answers and closes without reading the rest
of the request does harm with it: the RST makes the client's host throw away the answer, if that has
not been read yet. A client that does so has mostly seen enough.`,
	Signature: `    A                     B
    | data -------------> |
    | <------------ "413" |  B closes, A's data unread
    | <-------------- RST |
    | data -------------> |  was under way
    | <-------------- RST |  and so on, within a round trip`,
	Alternatives: `A process that was killed does the same to all connections at one moment
(closed-all-at-once). A device that resets in a host's name: reset-injected says by what that shows.`,
	Advice: `A server that refuses an upload must read the rest of it, or for some seconds at least, before
it closes (lingering close): shut down its own side, read until the end of file, then close. Let
clients send Expect: 100-continue before large bodies. Where a client does it: head, grep -q, a limit
on the size of a download, a user who goes away; nothing needs to be done but to know it.`,
	Settings: `Linux: no sysctl; TcpExtTCPAbortOnClose and TcpExtTCPAbortOnData in nstat count it. nginx
lingering_close (on), lingering_timeout (5 s); Apache has its own lingering close. FreeBSD: netstat -s
-p tcp (connections closed with unread data). Windows: shutdown(SD_SEND), then recv until 0, before
closesocket.`,
})

const (
	// cutLeast connections, and one of cutShareOf that ended: now and then a user leaves,
	// and a load generator ends, in the middle of an answer.
	cutLeast, cutShareOf = 5, 5
	// goodbye: what is no longer may be a farewell that nobody waits for, such as TLS's
	// close_notify, the last line of FTP or a Terminate of PostgreSQL.
	goodbye = 64
)

// cutOff finds out whether the side that closed did so in the middle of the other's
// data, and reset what was under way.
func (f *facts) cutOff() {
	c := f.c
	me := c.Close.Closer
	mine := reassembly.SeenRSTClient
	if me == reassembly.Server {
		mine = reassembly.SeenRSTServer
	}
	if !f.isOver || f.dead || f.end == device || f.end == forgotten && c.Close.By == "rst" || f.crossed || f.stale > 0 || f.gaveUp > 0 || c.Seen&mine == 0 {
		return
	}
	you := &c.Ends[me.Peer()]
	if !you.HasNext || !you.HasAcked {
		return
	}
	acked, found := you.Acked, false
	var first, last wire.Time
	for i := range c.Events {
		e := &c.Events[i]
		if e.From != me || e.Kind != reassembly.KindRST || e.Marks&(reassembly.MarkOther|reassembly.MarkOutside) != 0 {
			continue
		}
		if c.OtherHops(e) {
			return
		}
		if !found {
			first = e.At
		}
		last = max(last, e.LastAt)
		if found = true; e.Flags&wire.ACK != 0 && e.Ack.After(acked) && !e.Ack.After(you.Next) {
			acked = e.Ack // so much it had received
		}
	}
	// Who goes on for longer than it takes to hear of it was not only caught in the act.
	flight := crossing(c, reassembly.Client) + crossing(c, reassembly.Server)
	if octets := you.Next.Sub(acked); !found || octets <= goodbye || last.Sub(first) > flight {
		return
	}
	// The other side was sending when this one closed: what came behind that, or right
	// before it, had been sent without knowing of it.
	for i := range c.Events {
		e := &c.Events[i]
		if e.From == me || e.Len == 0 || e.Kind == reassembly.KindRST || !e.End.After(acked) || e.LastAt.Add(crossing(c, me)) < c.Close.At {
			continue
		}
		if f.cut = e.At.Sub(c.Close.At) <= crossing(c, me.Peer()); f.cut {
			f.unheard = c.Ends[me].Unacked() > goodbye
		}
		return
	}
}

func checkClosedUnread(s *Sums, report func(Incident)) {
	var pairs byListener
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		ended := uint64(0)
		for _, e := range ends {
			ended += uint64(l.closed[e])
		}
		for side := range l.cut {
			byRST, byFIN := uint64(l.cut[side][1]), uint64(l.cut[side][0])
			n := byRST + byFIN
			if n < cutLeast || n*cutShareOf < ended {
				continue
			}
			in := Incident{
				key: k, Catalogue: "C12", Severity: finding.Info, Confidence: finding.Likely, Count: n, First: l.firstOK, Last: l.heard,
				Falsify: "ACKs of these octets that the capture lacks.",
				Reason:  "the other side was sending, and what it sent was answered by RST; why the program closed is not in the capture",
				tolds:   []*told{l.told},
			}
			if byFIN > byRST {
				in.Catalogue = "C13"
			}
			switch reassembly.Side(side) {
			case reassembly.Server:
				in.Severity = finding.Warning
				in.Message = fmt.Sprintf("%s closes connections without reading what its clients still send, and answers that by RST: %s of %s.",
					k.scope(), num(n), count(ended, "connection"))
				if l.unheard > 0 {
					in.Message += fmt.Sprintf(" On %s of them its own last octets were not acknowledged: the client may have lost the answer.", num(uint64(l.unheard)))
				}
			default:
				who := "Clients of " + k.scope().String()
				if p, alone := s.onlyResetter(&pairs, k); alone {
					who = fmt.Sprintf("%s closes its connections to %s", p.clientAddr(), k.scope())
					in.key = p
				} else {
					who += " close their connections"
				}
				in.Message = fmt.Sprintf("%s before they have been read to the end, and what the server still sends meets a RST: %s of %s.",
					who, num(n), count(ended, "connection"))
			}
			in.Message += fmt.Sprintf(" %s closed by RST, %s by FIN.", num(byRST), num(byFIN))
			in.doubted(finding.Possible, l.gaps())
			in.show(l.cuts)
			report(in)
		}
	}
}

// onlyResetter returns the pair of a listener and its client that closed connections by
// RST, if there is one alone.
func (s *Sums) onlyResetter(pairs *byListener, listener key) (only key, alone bool) {
	for _, i := range pairs.of(s.pairs.keys, listener) {
		if s.pairs.rec(i).closed[hardClient] == 0 {
			continue
		}
		if alone {
			return only, false
		}
		only, alone = s.pairs.keys[i], true
	}
	return only, alone && s.pairs.share() == 0
}
