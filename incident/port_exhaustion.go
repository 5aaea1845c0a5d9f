package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "port-exhaustion",
	Example:   "incidents/ports-run-out.pcap",
	Catalogue: []string{"G08", "W07"},
	Title:     "A client runs short of ports towards one listener",
	Severity:  finding.Error,
	RFC:       "9293 3.6; 6056 3; 6191",
	Folds:     []string{"ports-blocked", "port-reuse", "fin-in-time-wait"},
	Explains:  []string{"short-connections"},
	Check:     checkPortExhaustion,
	Meaning: `A connection holds its client's port towards the listener until it is closed, and for 2MSL
more if the client closed first (TIME_WAIT). Each pair of client and listener has one such port for
each number in the client's range, and no more.

- W07: all of them were taken at once, or nearly all. connect() then fails with EADDRNOTAVAIL, and
  that failure leaves no packet: it shows in connections that no longer begin, or only as fast as
  TIME_WAIT sets ports free. Warning from four fifths of the range on.
- G08: a quarter of the range or more was taken at once (info): the headroom.

Where the client uses fewer ports than its profile has, that is found from the packets: the highest
and the lowest port were reached, connections went on between them, and at last there was none of
them left.`,
	Signature: `    A, ports 32768-60999                    B:80
    | port 40001: SYN ... FIN, ACK --> |  closed: port 40001 in TIME_WAIT for 60 s
    | port 40003: SYN ... FIN, ACK --> |
    | ...                              |  28232 ports / 60 s = 470 a second at most
    |   (no SYN any more)              |  every port is in TIME_WAIT`,
	Alternatives: `A client that has done what it wanted to do stops too; what speaks for a lack of ports
is that it stops with the last one. Behind a NAT it is the NAT's ports that run out, and its range
that counts. A program may bind its own small range.`,
	Advice: `Keep connections open and use them again: a pool, HTTP keep-alive (see short-connections for
how few would do). Or let the server close first: then the server holds TIME_WAIT, which costs it
no port. More server addresses or ports, or more client addresses, multiply the pairs. A wider
port range helps by its factor and no more. On the client: ss -tan state time-wait | wc -l, and
nstat for TcpExtTW.`,
	Settings: `Linux: net.ipv4.ip_local_port_range (32768 60999), ip_local_reserved_ports, tcp_tw_reuse
(2: loopback only; 1: also elsewhere, needs time stamps) with tcp_tw_reuse_delay (1000 ms, since
6.14); IP_BIND_ADDRESS_NO_PORT for sockets bound to an address; TIME_WAIT is 60 s and fixed:
tcp_fin_timeout (60 s) does not shorten it, and tcp_tw_recycle is gone since 4.12. FreeBSD:
net.inet.ip.portrange.first (10000) and last (65535), net.inet.tcp.msl (30000 ms). Windows: netsh
int ipv4 show dynamicport tcp (49152, 16384 ports; MaxUserPort before Vista), TcpTimedWaitDelay
(registry; 120 s or less since Vista), Get-NetTCPConnection -State TimeWait.`,
})

const (
	// leastPorts is the smallest range that is found from packets: the smallest share
	// that cloud gateways give a host (SNAT ports) is 64.
	leastPorts = 64
	// portsTold: from a quarter of the range on the headroom is told.
	portsTold = 4
	// portsShort: from four fifths of the range on a quarter more of the same runs dry.
	portsShortOf, portsShort = 5, 4
	// portsGone: of the last twentieth some are reserved or held towards others.
	portsGoneOf, portsGone = 20, 19
	// bothEndsKnown: an eighth of a range's connections came when its highest and lowest
	// port had both been used, so they are ends and not as far as a count had come.
	bothEndsKnown = 8

	stallTimes = 100
	stallLeast = 100 * time.Millisecond
)

// holding is how many ports a client held towards a listener when it held the most.
type holding struct {
	ports, waiting uint64
	at             wire.Time
	// began is how many connections had begun by then, after how many both ends of the
	// range had been used.
	began, after uint64
	// first is the first connection's start, pause the time from then until the next
	// one began, or to the end of the capture.
	first wire.Time
	pause time.Duration
}

// heldAtMost is a bound of what held finds: a connection holds a port while it is open, in
// TIME_WAIT, and where that was cut short once more until it would have been over.
func heldAtMost(p *pair) uint64 { return 3 * uint64(p.opened) }

// held finds when a client held the most ports towards a listener. Where time is
// coarse it is at least so many.
func (s *Sums) held(times *chronicle, k key, p *pair) (h holding) {
	wait := s.cfg.profile(k.addr(reassembly.Client)).TimeWait
	type entry struct {
		at wire.Time
		n  int64
	}
	var waits []entry
	open, waiting := int64(0), int64(0)
	began := uint64(0)
	_, _, bothUsed := p.ports()
	after := uint64(0)
	next := wire.Time(-1)
	times.moments(func(from, to wire.Time, n *[kinds]uint32) {
		for len(waits) > 0 && waits[0].at <= to.Add(-wait) {
			waiting -= waits[0].n
			waits = waits[1:]
		}
		starts := n[opened] + n[met]
		if starts > 0 {
			if began == 0 {
				h.first = from
			}
			if next < 0 && h.ports > 0 && from > h.at {
				next = from
			}
			began += uint64(starts)
			if from > bothUsed {
				after += uint64(starts)
			}
		}
		open += int64(starts)
		for _, e := range ends {
			open -= int64(n[e])
		}
		waiting += int64(n[timeWait]) + int64(n[due]) - int64(n[reused])
		if n[timeWait] > 0 {
			waits = append(waits, entry{from, int64(n[timeWait])})
		}
		if held := uint64(max(open+waiting, 0)); held > h.ports {
			h.ports, h.waiting, h.at, h.began, h.after = held, uint64(max(waiting, 0)), to, began, after
			next = -1
		}
	})
	h.pause = s.until.Sub(h.at)
	if next >= 0 {
		h.pause = next.Sub(h.at)
	}
	return h
}

// stalled reports whether connections stopped when the ports were gone: for a hundred
// times as long as it had taken from one to the next, and longer than a scheduler makes
// anybody wait.
func (h *holding) stalled() bool {
	return h.pause >= max(stallLeast, stallTimes*h.at.Sub(h.first)/time.Duration(max(h.began, 1)))
}

func checkPortExhaustion(s *Sums, report func(Incident)) {
	for _, i := range s.pairs.sorted() {
		k, p := s.pairs.keys[i], s.pairs.rec(i)
		if p.opened < leastPorts {
			continue
		}
		profile := s.cfg.profile(k.addr(reassembly.Client))
		low, high, _ := p.ports()
		used := uint64(high) - uint64(low) + 1
		there := uint64(profile.Ports[1]) - uint64(profile.Ports[0]) + 1
		if low < profile.Ports[0] || high > profile.Ports[1] {
			there = max(there, used) // another range than the profile's
		}
		if most := heldAtMost(p); most*portsTold < there && most*portsGoneOf < used*portsGone {
			continue // as most clients are
		}
		h := s.held(&s.pairs.series[i], k, p)
		whole := h.after*bothEndsKnown >= used && used >= leastPorts
		gone := whole && h.ports*portsGoneOf >= used*portsGone || h.ports*portsGoneOf >= there*portsGone
		in := Incident{
			key: k, Catalogue: "W07", Severity: finding.Error, Confidence: finding.Likely, Count: uint64(p.opened), First: p.first, Last: p.last,
			Falsify: "Connections of the client to this listener from further ports, at that time.",
		}
		in.show(&p.some)
		if x := s.clients.get(k.client()); x != nil {
			in.tolds = append(in.tolds, x.told)
		}
		wait := profile.TimeWait
		pace := rate(h.began, max(h.at.Sub(h.first), time.Second), time.Second)
		recycled := p.reuses != nil && p.reuses.within(wait*9/10, wait*13/10)*2 >= p.reuses.count && p.reuses.count >= leastPorts/8
		switch {
		case gone:
			in.Message = fmt.Sprintf("%s ran out of ports towards %s: all %s that it uses (%d to %d) were taken at %s, %s of them in TIME_WAIT.",
				in.key.scope().Client, k.listener().scope(), num(used), low, high, clock(h.at), num(h.waiting))
			if h.ports < used {
				in.Message = fmt.Sprintf("%s ran out of ports towards %s: %s of the %s that it uses (%d to %d) were taken at %s, %s of them in TIME_WAIT.",
					in.key.scope().Client, k.listener().scope(), num(h.ports), num(used), low, high, clock(h.at), num(h.waiting))
			}
			in.Message += fmt.Sprintf(" Held for %s each, %s ports allow %s new connections a second; it opened %s a second until then.", span(wait), num(used), rate(used, wait, time.Second), pace)
			in.Reason = "a client that had no more to do in that moment looks the same"
			switch {
			case recycled:
				in.Message += fmt.Sprintf(" Ports came back when their TIME_WAIT was over: %s of %s reuses after about %s.", num(p.reuses.within(wait*9/10, wait*13/10)), num(p.reuses.count), span(wait))
				in.Reason = "no port was free, and new connections came only from ports whose TIME_WAIT was over"
			case h.stalled():
				in.Message += fmt.Sprintf(" No connection began in the %s after that.", span(h.pause))
				in.Reason = "it stopped with the last port; that it had no more to do is not ruled out"
			case p.refused == 0:
				in.Severity, in.Confidence = finding.Warning, finding.Possible
			}
		case h.ports*portsShortOf >= there*portsShort:
			in.Severity = finding.Warning
			in.Message = fmt.Sprintf("%s runs short of ports towards %s: it held %s of the %s in its range at %s, %s of them in TIME_WAIT.",
				in.key.scope().Client, k.listener().scope(), num(h.ports), num(there), clock(h.at), num(h.waiting))
			in.Message += fmt.Sprintf(" Held for %s each, they allow %s new connections a second; it opened %s a second until then.", span(wait), rate(there, wait, time.Second), pace)
			in.Reason = "the range is the host profile's; the host may be set to another one"
		case h.ports*portsTold >= there:
			in.Catalogue, in.Severity = "G08", finding.Info
			in.Message = fmt.Sprintf("%s held %s ports towards %s at once, %s of the %s in its range, %s of them in TIME_WAIT.",
				in.key.scope().Client, num(h.ports), k.listener().scope(), percent(h.ports, there), num(there), num(h.waiting))
			in.Message += fmt.Sprintf(" Held for %s each, they allow %s new connections a second; it opened %s a second.", span(wait), rate(there, wait, time.Second), pace)
			in.Reason = "the range is the host profile's; the host may be set to another one"
		default:
			continue
		}
		closers(&in, p)
		if p.refused > 0 {
			in.Message += fmt.Sprintf(" %s on ports used before met a memory of the old one.", count(p.refused, "new connection"))
		}
		report(in)
	}
}

// closers says who closed first, and so held TIME_WAIT.
func closers(in *Incident, p *pair) {
	by := [2]uint64{uint64(p.closed[softClient]), uint64(p.closed[softServer])}
	switch all := by[0] + by[1]; {
	case all == 0:
	case by[1] == 0:
		in.Message += " The client closed first, always."
	default:
		in.Message += fmt.Sprintf(" The client closed first in %s of %s.", num(by[0]), num(all))
	}
}
