package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "server-holds-time-wait",
	Example:   "time-wait.pcap.gz",
	Catalogue: []string{"G05", "W09"},
	Title:     "The server closes first and holds TIME_WAIT",
	Severity:  finding.Info,
	RFC:       "9293 3.6",
	Check:     checkServerHoldsTimeWait,
	Meaning: `Who closes first keeps the pair of addresses and ports in TIME_WAIT for 2MSL.

- W09: at this listener it is the server, in most connections. That costs the server some hundred
  octets for each and its clients nothing: their ports are free at once.
- G05: neither side is it in most: the share is told where it is between a third and two thirds.`,
	Signature: `    A                      B:80
    | <------------ FIN, ACK |  B: FIN_WAIT_1, FIN_WAIT_2
    | FIN, ACK ------------> |
    | <---------------- ACK  |  B: TIME_WAIT for 60 s`,
	Alternatives: `Who closed first is told by the FINs in the capture; of connections whose first FIN is
missing it would be the other side.`,
	Advice: `Nothing, as long as new connections are not refused: TIME_WAIT sockets hold no
descriptor and little memory. Many of them at a server say that connections are short: see
short-connections. If clients run out of ports instead (port-exhaustion), this is the better side.
A server that must not hold them lets clients close first: keep-alive, or a protocol that says so.`,
	Settings: `Linux: tcp_max_tw_buckets (by memory; beyond it TIME_WAIT is skipped, which nstat counts as
TcpExtTCPTimeWaitOverflow); TIME_WAIT is 60 s and fixed. FreeBSD: net.inet.tcp.maxtcptw,
net.inet.tcp.msl (30000 ms). Windows: TcpTimedWaitDelay (registry).`,
})

// leastCloses is how many closes must be there for a share of them to mean anything:
// with a hundred it is known to a tenth.
const leastCloses = 100

func checkServerHoldsTimeWait(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		byClient, byServer := uint64(l.closed[softClient]), uint64(l.closed[softServer])
		all := byClient + byServer
		if all < leastCloses || byServer*3 < all {
			continue
		}
		wait := s.cfg.profile(k.addr(reassembly.Server)).TimeWait
		times := &s.listeners.series[i]
		if !times.waits() {
			if most, _ := waiting(times, wait); most == 0 {
				continue // its clients never closed: it came no further than FIN_WAIT_2
			}
		}
		in := Incident{
			key: k, Catalogue: "W09", Severity: finding.Info, Confidence: finding.Certain, Count: byServer, First: l.firstOK, Last: l.lastOK,
			Falsify: "FINs of the clients that came before the server's and are missing from the capture.",
			Reason:  "both FINs of each connection are in the capture",
		}
		if byServer*3 < all*2 {
			in.Catalogue = "G05"
		}
		in.doubted(finding.Likely, l.gaps())
		in.rest = func(in *Incident) {
			in.show(l.held)
			if in.Catalogue == "G05" {
				in.Message = fmt.Sprintf("At %s the server closed first in %s of %s connections (%s), and its clients in the others.", k.scope(), num(byServer), num(all), percent(byServer, all))
				return
			}
			most, at := waiting(times, wait)
			in.Message = fmt.Sprintf("%s closed first in %s of %s connections (%s), so it and not its clients held TIME_WAIT: up to %s at once, at %s.",
				k.scope(), num(byServer), num(all), percent(byServer, all), num(most), clock(at))
		}
		report(in)
	}
}

// gaps says why the capture may lack what was not seen at this listener; empty when
// nothing speaks for that. A tenth of the connections is more than stray losses do.
func (l *listener) gaps() string {
	const tenth = 10
	switch all := l.opened(); {
	case uint64(l.oneWay)*tenth > all:
		return fmt.Sprintf("of %s of %s connections the capture holds one direction only", num(l.oneWay), num(all))
	case uint64(l.lossy)*tenth > all:
		return fmt.Sprintf("the capture lacks segments of %s of %s connections", num(l.lossy), num(all))
	}
	return ""
}

// waits reports whether an endpoint came into TIME_WAIT, and stayed there for an instant; false
// also where that is not seen at once.
func (c *chronicle) waits() bool {
	for i := range c.points {
		switch c.points[i].what() {
		case reused, due:
			return false
		case timeWait:
			// Of one interval the kinds are in their order.
			if i+1 < len(c.points) && c.points[i+1].like(&c.points[i]) {
				continue
			}
			return i+1 == len(c.points) || c.points[i+1].at() != c.points[i].at() || c.points[i+1].what() != reused
		}
	}
	return false
}

// waiting returns the most endpoints in TIME_WAIT at once, and when; where time is
// coarse, at least so many.
func waiting(c *chronicle, wait time.Duration) (most uint64, at wire.Time) {
	type entry struct {
		at wire.Time
		n  int64
	}
	var held []entry
	level := int64(0)
	c.moments(func(from, to wire.Time, n *[kinds]uint32) {
		for len(held) > 0 && held[0].at <= to.Add(-wait) {
			level -= held[0].n
			held = held[1:]
		}
		if n[timeWait] > 0 {
			held = append(held, entry{from, int64(n[timeWait])})
		}
		if level += int64(n[timeWait]) + int64(n[due]) - int64(n[reused]); level > int64(most) {
			most, at = uint64(level), to
		}
	})
	return most, at
}

// busiest returns the most events of a kind within d, and the end of that time.
func busiest(c *chronicle, d time.Duration, what kind) (n uint64, at wire.Time) {
	type entry struct {
		at wire.Time
		n  uint64
	}
	var recent []entry
	sum := uint64(0)
	c.moments(func(from, to wire.Time, happened *[kinds]uint32) {
		if happened[what] == 0 {
			return
		}
		for len(recent) > 0 && recent[0].at <= to.Add(-d) {
			sum -= recent[0].n
			recent = recent[1:]
		}
		recent = append(recent, entry{from, uint64(happened[what])})
		if sum += uint64(happened[what]); sum > n {
			n, at = sum, to
		}
	})
	return n, at
}
