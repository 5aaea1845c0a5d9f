package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
)

var _ = register(Rule{
	ID:        "syn-flood",
	Example:   "incidents/syn-flood.pcap",
	Catalogue: []string{"H11"},
	Title:     "SYNs that nobody completes",
	Severity:  finding.Error,
	RFC:       "4987",
	Folds:     []string{"handshake-not-completed", "handshake-given-up", "syn-unanswered", "unsolicited-answer", "reset-provenance", "slow-connect"},
	Explains:  []string{"service-unreachable", "accept-queue-full", "slow-connects", "port-scan", "host-sweep"},
	Check:     checkSYNFlood,
	Meaning: `One listener got SYN after SYN whose senders never completed the handshake. Each holds an
entry in the listener's queue of half-open connections until its retries end, one minute by
default; when the queue is full, others do not get in. Mostly the senders' addresses are forged.
The message gives the rate, how many senders there were, how many were answered by SYN-ACK, and how
many handshakes were completed at the same listener.`,
	Signature: `    S1, S2, S3, ...        B:443
    | SYN ---------------> |
    |      SYN ----------> |  from ever other addresses, once each
    | <----------- SYN-ACK |  to addresses that did not ask
    |      (nothing)       |  or RST of who owns the address`,
	Alternatives: `A crowd of real clients whose ACKs take a way that the capture does not see, or whose
return path is broken: real clients repeat their SYN after a second (the message says how many SYNs
there were for each attempt) and have the options of real stacks. A scan of one port by one source
(port-scan, host-sweep).`,
	Advice: `Leave SYN cookies on: with them the listener goes on to serve. Then filter upstream: the
source addresses are forged, so drop by what the SYNs have in common (options, window, hop limit).
On the server: ss -tan state syn-recv | wc -l; nstat TcpExtSyncookiesSent TcpExtListenDrops
TcpExtTCPReqQFullDrop. A larger backlog helps against a crowd, not against a flood.`,
	Settings: `Linux: tcp_syncookies (1: when the queue is full), tcp_max_syn_backlog (128 to 4096 by
memory), tcp_synack_retries (5: an entry lasts 63 s), net.core.somaxconn (4096). FreeBSD:
net.inet.tcp.syncookies (1), net.inet.tcp.syncache.* . Windows: SYN attack protection is always on.`,
})

const (
	// floodLeast is the smallest queue of half-open connections that Linux sets
	// (tcp_max_syn_backlog): fewer at a time fill none.
	floodLeast = 128
	// floodSpan is how long an entry stays in that queue (tcp_synack_retries 5).
	floodSpan = 63 * time.Second
)

func checkSYNFlood(s *Sums, report func(Incident)) {
	sources := s.sources()
	seen := map[key]bool{}
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		if l.halves == nil {
			continue
		}
		tries := *l.halves
		t := s.targets.get(k)
		if t != nil && t.once() {
			tries.merge(&t.tries) // those that it did not answer any more belong to it
		}
		most, from, during := tries.busiest(floodSpan)
		if most < floodLeast || uint64(l.half) < uint64(l.complete) {
			continue
		}
		seen[k] = true
		in := Incident{
			key: k, Catalogue: "H11", Severity: finding.Error, Confidence: finding.Likely, Count: uint64(l.half), First: from, Last: from.Add(during),
			Falsify: "The ACKs of these handshakes in a capture that sees the clients' way too.",
			Reason:  "a crowd of real clients whose return path is broken looks nearly the same",
			tolds:   []*told{l.told},
		}
		n := uint64(l.half)
		in.show(l.halfs)
		if t != nil {
			n += uint64(t.unanswered)
			in.Count, in.tolds = n, append(in.tolds, t.told)
			in.show(l.halfs, &t.some)
		}
		peak, at, width := tries.busiest(time.Second)
		in.Message = fmt.Sprintf("%s got %s SYNs that nobody completed, from %s: up to %s (at %s); %s of %s handshakes were completed.",
			k.scope(), num(n), sources.of(k), perSecond(peak, max(width, time.Second)), clock(at), num(l.complete), num(uint64(l.complete)+n))
		in.Message += fmt.Sprintf(" There were %s SYNs and %s SYN-ACKs to them; %s of the senders reset the SYN-ACK.", num(l.syns), num(l.synacks), num(l.given))
		if again := l.told.number("handshake-not-completed", "H09"); again > 0 {
			in.Message += fmt.Sprintf(" %s not repeat its SYN-ACK, as with SYN cookies.", count(again, "time")+" the listener did")
		}
		if uint64(l.syns) >= (n+uint64(l.complete))*2 {
			in.Confidence, in.Reason = finding.Possible, "the senders repeat their SYNs, as real clients do"
		}
		report(in)
	}
	// A listener that answers nothing at all, or whose answers are not captured.
	for _, i := range s.targets.sorted() {
		k, t := s.targets.keys[i], s.targets.rec(i)
		most, from, during := t.tries.busiest(floodSpan)
		if seen[k] || most < floodLeast || !t.once() || t.unanswered*2 < uint32(t.attempts()) {
			continue
		}
		complete := uint64(0)
		if l := s.listeners.get(k); l != nil {
			if s.blind(k, l) && sources.by[k]*sources.each*2 < uint64(t.unanswered) {
				continue // a few clients may have been refused: that looks the same from here
			}
			complete = uint64(l.complete)
		}
		if uint64(t.unanswered) < complete {
			continue
		}
		peak, at, width := t.tries.busiest(time.Second)
		in := Incident{
			key: k, Catalogue: "H11", Severity: finding.Error, Confidence: finding.Likely, Count: uint64(t.unanswered), First: from, Last: from.Add(during),
			Message: fmt.Sprintf("%s got %s SYNs without an answer, from %s: up to %s (at %s); %s of %s handshakes were completed.",
				k.scope(), num(t.unanswered), sources.of(k), perSecond(peak, max(width, time.Second)), clock(at), num(complete), num(complete+uint64(t.unanswered))),
			Falsify: "SYN-ACKs to them in a capture that holds the other direction.",
			Reason:  "nothing answered, so a capture of one direction looks the same",
			tolds:   []*told{t.told},
		}
		in.Message += fmt.Sprintf(" %s of them sent a single SYN and did not repeat it.", num(t.lone))
		in.show(&t.some)
		report(in)
	}
}

// senders counts the clients of failed attempts by listener.
type senders struct {
	by   map[key]uint64
	each uint64
}

// sources counts, for each listener, the clients that tried in vain.
func (s *Sums) sources() senders {
	x := senders{map[key]uint64{}, of(&s.attempts)}
	for i := range s.attempts.keys {
		x.by[s.attempts.keys[i].listener()]++
	}
	return x
}

// of says from how many senders a listener was tried in vain.
func (x *senders) of(k key) string {
	switch n := x.by[k]; {
	case x.each > 1:
		return fmt.Sprintf("some %s senders (one in %s of them was counted)", num(n*x.each), num(x.each))
	case n == 1:
		return "one sender"
	default:
		return num(n) + " senders"
	}
}
