package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "close-wait-leak",
	Example:   "incidents/close-wait-leak.pcap",
	Catalogue: []string{"C08", "G07"},
	Title:     "A program does not close its connections: CLOSE_WAIT grows",
	Severity:  finding.Error,
	RFC:       "9293 3.6 (CLOSE-WAIT has no timeout)",
	Folds:     []string{"half-closed-for-long"},
	Explains:  []string{"stuck-closes/C07", "slow-to-close"},
	Check:     checkCloseWaitLeak,
	Meaning: `The peers closed, and the program on this side did not: its sockets stand in CLOSE_WAIT.
No timer ends that; each holds a descriptor until the program closes it or ends. The other ends
stand in FIN_WAIT_2, from where Linux forgets them after a minute if nobody holds them.

- G07: the number grows: new ones come all the time.
- C08: they came within one second, and stay.`,
	Signature: `    A                       B:8080
    | FIN, ACK -------------> |  A: FIN_WAIT_1
    | <------------------ ACK |  A: FIN_WAIT_2    B: CLOSE_WAIT
    |                         |  and no FIN of B, in this and in many others`,
	Alternatives: `A program that works on an answer for long while its clients have closed their half
(shutdown): it sends data then, and such connections are not counted here. A capture that lacks the
FINs of this side. A program that is stopped (SIGSTOP, a debugger, a long garbage collection) goes
on later.`,
	Advice: `It is the program's fault, and no setting of the host mends it. ss -tanp state close-wait names
the process; lsof -p PID, or the count of /proc/PID/fd, shows the descriptors grow. Look for a path
without close(): after an error or an exception, after read() has returned 0, for half of a proxied
pair, for connections that a pool has given up. Let the language close (with, defer,
try-with-resources). Raising ulimit -n only moves the hour.`,
	Settings: `Linux: CLOSE_WAIT has no timeout; only TCP keepalive (SO_KEEPALIVE, tcp_keepalive_time 7200 s)
finds a peer that is gone, and not one that waits. tcp_fin_timeout (60 s) is about the other side's
FIN_WAIT_2. ulimit -n (1024) bounds the descriptors. FreeBSD: kern.maxfilesperproc. Windows: no
timeout either; Get-NetTCPConnection -State CloseWait.`,
})

const (
	// leakLeast: a few programs wait for something; five at once of one listener do not.
	leakLeast = 5
	// leakAge is how long half of them must have stood there: twice the time within
	// which an ordinary program has closed.
	leakAge = 2 * closeWait
	// leakAgeLong is the same for clients, whose pools often notice that an idle
	// connection was closed only when they want to use it again, and for those that were
	// closed in the end: a program may come round to it late.
	leakAgeLong = 10 * time.Second
	// leakLeft: of four that stood there for long at most one may have closed by itself:
	// else the program is slow and no more (slow-to-close).
	leakLeft = 4
	// leakMany is a tenth of the descriptors that a process may have by default (ulimit
	// -n 1024).
	leakMany = 100
	// leakOld: after a minute the other end has gone from FIN_WAIT_2 (tcp_fin_timeout).
	leakOld = time.Minute
)

// leak is how CLOSE_WAIT grew at one place.
type leak struct {
	// n endpoints stood there at the moment at, the oldest since first, the newest since
	// last, and half of them for median or longer.
	n           uint64
	at          wire.Time
	first, last wire.Time
	median      time.Duration
	// ended: then all of them closed at once.
	ended bool
}

// leaking finds out whether endpoints gathered in CLOSE_WAIT.
func leaking(c *chronicle, x *standing, until wire.Time) (l leak, ok bool) {
	type step struct {
		at wire.Time
		n  uint64
	}
	var came []step
	var level, gone, most, goneAtMost uint64
	var mostAt wire.Time
	var left recentEvents
	c.moments(func(from, to wire.Time, n *[kinds]uint32) {
		if n[stood] > 0 {
			came = append(came, step{from, uint64(n[stood])})
		}
		if level += uint64(n[stood]); level > most {
			most, mostAt, goneAtMost = level, to, gone
		}
		if e := uint64(n[leftCloseWait]); e > 0 {
			level -= min(level, e)
			gone += e
			left.add(from, to, e, atOnce)
		}
	})
	switch {
	case most == 0:
		return l, false
	case level*2 >= most:
		l.n, l.at = level+uint64(x.young), until
	case left.most*5 >= most*4 && left.mostAt >= mostAt:
		l.n, l.at, l.ended, gone = most, left.mostAt, true, goneAtMost
	default:
		return l, false // they went one by one
	}
	if l.n < leakLeast || gone*leakLeft > l.n {
		return l, false
	}
	seen := uint64(0)
	for _, s := range came {
		if l.first == 0 {
			l.first = s.at
		}
		if seen*2 < l.n {
			l.median = l.at.Sub(s.at)
		}
		l.last = s.at
		seen += s.n
	}
	if l.ended {
		return l, l.median >= leakAgeLong
	}
	return l, l.median >= leakAge
}

// recentEvents finds the most events within a time.
type recentEvents struct {
	from   []wire.Time
	n      []uint64
	sum    uint64
	most   uint64
	mostAt wire.Time
}

func (r *recentEvents) add(from, to wire.Time, n uint64, within time.Duration) {
	for len(r.from) > 0 && r.from[0] <= to.Add(-within) {
		r.sum -= r.n[0]
		r.from, r.n = r.from[1:], r.n[1:]
	}
	r.from, r.n = append(r.from, from), append(r.n, n)
	if r.sum += n; r.sum > r.most {
		r.most, r.mostAt = r.sum, to
	}
}

func checkCloseWaitLeak(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		if l.closing.in == nil || s.queueFull(k, l) != nil && uint64(l.mute) >= uint64(l.closing.in.n) {
			continue // they were never accepted: nobody could close them
		}
		if x, ok := leaking(s.listeners.times(k), &l.closing, s.until); ok {
			in := x.incident(k, &l.closing, k.scope().String())
			in.tolds = append(in.tolds, l.told)
			in.doubted(finding.Possible, l.gaps())
			report(in)
		}
	}
	byClient := map[key][]*chronicle{}
	for i, k := range s.pairs.keys {
		if x := s.clients.get(k.client()); x != nil && x.closing.in != nil {
			byClient[k.client()] = append(byClient[k.client()], &s.pairs.series[i])
		}
	}
	var j joiner
	for _, k := range sortedKeys(byClient) {
		c := s.clients.get(k)
		x, ok := leaking(j.join(byClient[k], kindsOf(stood, leftCloseWait)), &c.closing, s.until)
		if !ok || x.median < leakAgeLong {
			continue
		}
		to := "its servers"
		scope := k
		if c.closing.low == c.closing.high {
			to = c.closing.low.scope().String()
			scope[serverHigh], scope[serverLow], scope[rest] = c.closing.low[serverHigh], c.closing.low[serverLow], c.closing.low[rest]
		}
		in := x.incident(scope, &c.closing, fmt.Sprintf("The client %s of %s", k.scope(), to))
		in.tolds = append(in.tolds, c.told)
		if in.Catalogue == "C08" {
			// A pool whose idle connections the server closed in one moment.
			in.Severity, in.Confidence = finding.Info, finding.Possible
			in.Reason = "a pool that has no use for them just then looks the same"
		}
		report(in)
	}
}

func (l *leak) incident(k key, x *standing, who string) Incident {
	in := Incident{
		key: k, Catalogue: "G07", Severity: finding.Warning, Confidence: finding.Likely, Count: l.n, First: l.first, Last: l.at,
		Falsify: "FINs of this side that the capture lacks, or closes that come after its end.",
		Reason:  "they may still be closed after the capture's end; nothing of the kind is seen in it",
	}
	oldest := l.at.Sub(l.first)
	if l.n >= leakMany || oldest >= leakOld && l.n >= 2*leakLeast {
		in.Severity = finding.Error
	}
	stand, when := "stand", "at the end"
	if l.ended {
		stand, when = "stood", "at "+clock(l.at)
		in.Reason = "they all closed in one moment, as at the end of a process or of a timeout, and hardly any before"
	}
	in.Message = fmt.Sprintf("%s does not close: %s connections whose peers had closed %s in CLOSE_WAIT %s", who, num(l.n), stand, when)
	if over := l.last.Sub(l.first); over >= time.Second {
		in.Message += fmt.Sprintf(", growing by %s, the oldest for %s.", perMinute(l.n-1, over), span(oldest))
	} else {
		in.Catalogue = "C08"
		in.Message += fmt.Sprintf(", all for about %s.", span(oldest))
	}
	in.Message += fmt.Sprintf(" Half of them had stood there for %s or longer", span(l.median))
	if l.ended {
		in.Message += "; then all closed at once: the process ended, or a timeout of it"
	}
	if x.lags != nil {
		if prompt := x.lags.within(0, closeWait-1); prompt > 0 {
			in.Message += fmt.Sprintf("; %s others were closed within a second", num(prompt))
		}
	}
	in.Message += "."
	in.show(x.in)
	return in
}
