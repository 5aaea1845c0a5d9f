package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "host-silent",
	Example:   "incidents/server-vanishes.pcap",
	Catalogue: []string{"C19", "D10", "G10"},
	Title:     "A host fell silent, or came back without its connections",
	Severity:  finding.Error,
	RFC:       "9293 3.5.1, 3.8.3",
	Folds:     []string{"retransmission-death", "keepalive", "no-socket-reset", "fin-unanswered", "idle-reset", "syn-unanswered", "unacknowledged-tail", "reset-provenance"},
	Explains:  []string{"service-unreachable", "stuck-closes", "idle-timeout", "reset-share"},
	Check:     checkHostSilent,
	Meaning: `Several connections of one host were not answered any more from one moment on, and nothing
else of that host was heard after it.

- C19: it was away: crashed, without power, cut off; or the path to it is gone. If it answered later
  by RST that it knows none of these connections, it has restarted in between, and the message gives
  the time.
- G10: it went on answering new connections, and all that were open at that moment died: a device on
  the path lost its table (a restart, a failover, flushed rules), or its place was taken.
- D10: it answered at once that it knows none of them: it restarted faster than anybody noticed, or
  its place was taken by another host (failover, a new container with the same address).`,
	Signature: `    A, C                   B
    | data ------------> ?   |  from 12:00:03 on no answer, on any connection
    | data ------------> ?   |
    | ...                    |
    | data ----------------> |
    | <---------------- RST  |  12:01:10: it is back and knows nothing`,
	Alternatives: `The path is gone and the host is well: nothing in the capture tells the two apart, but
for other hosts behind the same path. One idle connection after the other that dies is a device's
idle timeout (idle-timeout). A listener whose queue is full drops what belongs to connections that
it has not accepted (accept-queue-full).`,
	Advice: `Ask what happened to that host between the two times: its uptime, last -x, the console, the
hypervisor, the cloud's events; and what happened to the path. To notice sooner: TCP_USER_TIMEOUT and
keepalives in clients, health checks in balancers.`,
	Settings: `Linux: tcp_retries2 (15: an application learns of it after a quarter of an hour),
TCP_USER_TIMEOUT, tcp_keepalive_time (7200 s), tcp_keepalive_intvl (75 s). FreeBSD: 12
retransmissions, net.inet.tcp.keepidle. Windows: TcpMaxDataRetransmissions (5), KeepAliveTime.`,
})

const (
	// silentLeast connections of one host.
	silentLeast = 3
	// stillHeard: what was heard so much after the last sign of life on the dying
	// connections was sent after it, and not only delayed.
	stillHeard = time.Second
)

func checkHostSilent(s *Sums, report func(Incident)) {
	for _, i := range s.hosts.sorted() {
		k, h := s.hosts.keys[i], s.hosts.rec(i)
		if h.silent < silentLeast && h.never >= silentLeast {
			s.neverHeard(k, h, report)
			continue
		}
		// What one connection heard after another had got no answer was no common moment.
		if h.silent < silentLeast || h.firstAsked < h.lastHeard.Add(-stillHeard) {
			continue
		}
		// Whether the host was heard elsewhere meanwhile; of one that came back only what
		// it lost is known.
		heard := s.heard[k]
		elsewhere := h.gone == 0 && heard > h.firstAsked.Add(stillHeard)
		// What died only after a silence is a matter of silences (idle-timeout), unless the
		// host itself says otherwise; or nothing of it was left, and silences as long had
		// done no harm before, or none is known.
		own := h.own*3 >= h.silent*2 && h.firstAsked > h.lastHeard
		survived := s.survived(k)
		if h.busy == 0 && !own && (h.gone > 0 || elsewhere || survived > 0 && survived < h.idle) {
			continue
		}
		if elsewhere && (h.firstAsked < h.lastHeard || uint64(h.silent)*onceShareOf < s.openAt(k, h.lastHeard)*onceShare) {
			continue
		}
		from, until := h.lastHeard, h.lastAsked
		switch {
		case h.gone > 0:
			until = max(h.firstBack, from)
		case !elsewhere:
			from = max(from, heard)
		}
		in := Incident{
			key: k, Catalogue: "C19", Severity: finding.Error, Confidence: finding.Likely, Count: uint64(h.silent), First: from, Last: max(until, from),
			Falsify: "A segment of that host in between.",
			Reason:  "nothing was heard of it on any connection; whether it or the path was gone is not shown",
			tolds:   []*told{h.told},
		}
		if h.roles[reassembly.Client] > 0 && h.roles[reassembly.Server] == 0 {
			in.key = k.turned()
		}
		in.show(&h.some)
		who := k.scope().Server.String()
		switch {
		case elsewhere:
			in.Catalogue = "G10"
			in.Message = fmt.Sprintf("All %s that were open at %s at %s died at once, while it went on answering others: a device on the path lost its table.",
				count(h.silent, "connection"), who, clock(from))
			in.Reason = "they died in one moment, idle or not; whether a device forgot them or the host did is not shown"
		case h.gone > 0 && h.firstBack.Sub(h.firstAsked) > stillHeard:
			in.Message = fmt.Sprintf("%s was silent from %s to %s and then knew nothing of its connections: it restarted; %s of it %s lost.",
				who, clock(from), clock(h.firstBack), count(h.silent, "connection"), are(h.silent, "was", "were"))
			in.Reason = "it answered in the end as a host without these connections does"
		case h.gone*2 > h.silent:
			in.Catalogue = "D10"
			in.Message = fmt.Sprintf("%s lost its connections between %s and %s: it answered on %s as a host that knows nothing of them.",
				who, clock(from), clock(h.firstBack), count(h.gone, "connection"))
			in.Reason = "a restart, a failover and a device that answers in its name look the same"
		default:
			in.Message = fmt.Sprintf("%s was not heard any more after %s: %s of it got no answer from then to %s.",
				who, clock(from), count(h.silent, "connection"), clock(h.lastAsked))
		}
		if h.busy == 0 && !own && survived == 0 {
			in.Confidence, in.Reason = finding.Possible, "all had been idle, and a device that forgets idle connections looks the same until somebody opens a new one"
		}
		in.Message += fmt.Sprintf(" On the %s the peers' unanswered segments began between %s and %s.", num(h.silent), clock(h.firstAsked), clock(h.lastAsked))
		report(in)
	}
}

// neverHeard reports a host that answered nothing on connections from before the capture.
func (s *Sums) neverHeard(k key, h *host, report func(Incident)) {
	in := Incident{
		key: k, Catalogue: "C19", Severity: finding.Error, Confidence: finding.Possible, Count: uint64(h.never), First: h.neverFirst, Last: h.neverLast,
		Falsify: "A segment of that host on one of these connections.",
		Reason:  "the capture began when it was silent already, so what came before is not known",
		tolds:   []*told{h.told},
	}
	if h.roles[reassembly.Client] > 0 && h.roles[reassembly.Server] == 0 {
		in.key = k.turned()
	}
	in.show(&h.some)
	who := k.scope().Server
	in.Message = fmt.Sprintf("%s was not heard at all: %s from before the capture got no answer from %s to %s; it is gone, or the path to it.",
		who, count(h.never, "connection"), clock(h.neverFirst), clock(h.neverLast))
	if s.heard[k] != 0 {
		in.Catalogue = "G10"
		in.Message = fmt.Sprintf("%s from before the capture got no answer of %s, which was heard on others meanwhile: the host forgot them, or a device on the path did.",
			count(h.never, "connection"), who)
	}
	report(in)
}

// survived returns the longest silence after which a host was heard again on the same
// connection; 0 if there was none.
func (s *Sums) survived(host key) (d time.Duration) {
	for i, k := range s.pairs.keys {
		if k.server() == host || k.client().turned() == host {
			d = max(d, s.pairs.rec(int32(i)).longest)
		}
	}
	return d
}

// openAt returns how many connections a host had open at a time, in whichever role.
func (s *Sums) openAt(host key, at wire.Time) uint64 {
	var all []*chronicle
	for i, k := range s.listeners.keys {
		if k.server() == host {
			all = append(all, &s.listeners.series[i])
		}
	}
	for i, k := range s.pairs.keys {
		if k.client().turned() == host {
			all = append(all, &s.pairs.series[i])
		}
	}
	open := int64(0)
	for _, c := range all {
		open += int64(c.count(met))
		c.moments(func(from, _ wire.Time, n *[kinds]uint32) {
			if from > at {
				return
			}
			open += int64(n[opened])
			for _, e := range ends {
				open -= int64(n[e])
			}
		})
	}
	return uint64(max(open, 0))
}
