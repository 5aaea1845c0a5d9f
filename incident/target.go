package incident

import (
	"cmp"
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// target is what is counted of an address and port that did not answer a SYN with a
// SYN-ACK, whether it answers others or not.
type target struct {
	// By how the attempts failed.
	refused, unreachable, unanswered uint32
	// lone counts those of unanswered that sent a single SYN, although there was time
	// to repeat it, again those that repeated it; syns the copies of all.
	lone, again, syns uint32
	// failures are when attempts failed that began within each kind's first and last.
	firstRefused, lastRefused       wire.Time
	firstUnanswered, lastUnanswered wire.Time
	// low and high are the lowest and the highest client.
	low, high key
	// reports is the sort of ICMP error with the lowest reporter.
	reports icmpSort
	// tries are when the attempts began.
	tries pulse
	told  *told
	some  examples
}

// lonely is how long a SYN must have stood alone to be one that nobody repeats: the
// longest initial timeout in use is 3 s (RFC 1122 section 4.2.3.1).
const lonely = 3500e6

func (t *target) add(x *vain) {
	client := x.pair.client()
	if t.attempts() == 0 || client.compare(t.low) < 0 {
		t.low = client
	}
	if t.attempts() == 0 || client.compare(t.high) > 0 {
		t.high = client
	}
	switch x.opening {
	case refused:
		t.refused++
		t.firstRefused, t.lastRefused = earliest(t.firstRefused, x.start), max(t.lastRefused, x.start)
	case unreachable:
		t.unreachable++
		t.reports.merge(x.report)
		t.firstRefused, t.lastRefused = earliest(t.firstRefused, x.start), max(t.lastRefused, x.start)
	default:
		t.unanswered++
		t.firstUnanswered, t.lastUnanswered = earliest(t.firstUnanswered, x.start), max(t.lastUnanswered, x.start)
		if x.lone {
			t.lone++
		} else if x.again {
			t.again++
		}
	}
	t.syns += x.syns
	t.tries.add(x.start)
	tell(&t.told, x.places)
	if t.some.takes(x.first) {
		t.some.insert(x.example())
	}
}

// icmpSort is a sort of ICMP error.
type icmpSort struct {
	reporter   wire.Addr
	kind, code uint8
	some       bool
}

// sortOf returns an error's sort.
func sortOf(e *reassembly.ICMP) icmpSort { return icmpSort{e.Reporter, e.Type, e.Code, true} }

func (e *icmpSort) merge(o icmpSort) {
	switch {
	case !o.some:
	case !e.some, cmp.Or(compareAddr(o.reporter, e.reporter), cmp.Compare(o.kind, e.kind), cmp.Compare(o.code, e.code)) < 0:
		*e = o
	}
}

func compareAddr(a, b wire.Addr) int { return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo)) }

// says names the error and who sent it to whoever asked for the host of k.
func (e *icmpSort) says(k key) string {
	if !e.some {
		return "an ICMP error"
	}
	name := wire.ICMPName(k.v6(), e.kind, e.code)
	if name == "" {
		name = fmt.Sprintf("type %d code %d", e.kind, e.code)
	}
	who := "from " + e.reporter.Netip(k.v6()).String()
	if e.reporter.Netip(k.v6()) == k.serverAddr() {
		who = "from the host itself"
	}
	return fmt.Sprintf("an ICMP error (%s, %s)", name, who)
}

func (t *target) attempts() uint64 {
	return uint64(t.refused) + uint64(t.unreachable) + uint64(t.unanswered)
}

func (t *target) first() wire.Time { return earliest(t.firstRefused, t.firstUnanswered) }
func (t *target) last() wire.Time  { return max(t.lastRefused, t.lastUnanswered) }

// once reports whether most of those that had time to repeat their SYN did not. Of the
// last ones before the capture's end one cannot say.
func (t *target) once() bool { return t.lone > 0 && t.lone >= t.again }

func (t *target) merge(o *target) {
	if o.attempts() > 0 {
		if t.attempts() == 0 || o.low.compare(t.low) < 0 {
			t.low = o.low
		}
		if t.attempts() == 0 || o.high.compare(t.high) > 0 {
			t.high = o.high
		}
	}
	t.refused, t.unreachable, t.unanswered = t.refused+o.refused, t.unreachable+o.unreachable, t.unanswered+o.unanswered
	t.lone, t.again, t.syns = t.lone+o.lone, t.again+o.again, t.syns+o.syns
	t.firstRefused, t.lastRefused = earliest(t.firstRefused, o.firstRefused), max(t.lastRefused, o.lastRefused)
	t.firstUnanswered, t.lastUnanswered = earliest(t.firstUnanswered, o.firstUnanswered), max(t.lastUnanswered, o.lastUnanswered)
	t.reports.merge(o.reports)
	t.tries.merge(&o.tries)
	mergeTold(&t.told, o.told)
	t.some.merge(&o.some)
}

// attempt is what one client tried at one listener without success.
type attempt struct {
	refused, unreachable, unanswered uint32
	// half counts those that the listener answered; given those of them that the
	// client's host reset; bare those that the client opened with a SYN without
	// options; odd segments outside of any connection.
	half, given, bare, odd uint32
	first, last            wire.Time
	shown                  example
}

// failed is how many got no SYN-ACK.
func (a *attempt) failed() uint64 {
	return uint64(a.refused) + uint64(a.unreachable) + uint64(a.unanswered)
}

func (a *attempt) add(x *vain) {
	switch x.opening {
	case refused:
		a.refused++
	case unreachable:
		a.unreachable++
	case unanswered:
		a.unanswered++
	case half:
		a.half++
		if x.given {
			a.given++
		}
	case probe:
		a.odd++
	}
	if x.bare {
		a.bare++
	}
	if a.shown.frame == 0 || x.first <= a.shown.frame {
		if e := x.example(); a.shown.frame == 0 || e.compare(&a.shown) < 0 {
			a.shown = e
		}
	}
	a.first, a.last = earliest(a.first, x.start), max(a.last, x.start)
}

func (a *attempt) merge(o *attempt) {
	a.refused, a.unreachable, a.unanswered = a.refused+o.refused, a.unreachable+o.unreachable, a.unanswered+o.unanswered
	a.half, a.given, a.bare, a.odd = a.half+o.half, a.given+o.given, a.bare+o.bare, a.odd+o.odd
	if a.shown.frame == 0 || o.shown.frame != 0 && o.shown.compare(&a.shown) < 0 {
		a.shown = o.shown
	}
	a.first, a.last = earliest(a.first, o.first), max(a.last, o.last)
}

func (a *attempt) count() uint64 {
	return uint64(a.refused) + uint64(a.unreachable) + uint64(a.unanswered) + uint64(a.half) + uint64(a.odd)
}
