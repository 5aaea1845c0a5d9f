package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
)

var _ = register(Rule{
	ID:        "accept-queue-full",
	Example:   "incidents/backlog-never-accepted.pcap",
	Catalogue: []string{"H06", "H07", "H08"},
	Title:     "A listener whose queue of connections is full",
	Severity:  finding.Error,
	RFC:       "9293 3.5, 3.8.1",
	Folds:     []string{"accept-queue-overflow", "slow-connect", "syn-unanswered", "handshake-not-completed", "no-socket-reset", "retransmission-death", "unacknowledged-tail", "reset-provenance"},
	Explains:  []string{"slow-connects", "service-unreachable", "host-silent", "path-outage"},
	Check:     checkAcceptQueueFull,
	Meaning: `The program does not accept() as fast as connections come, and the queue of those that wait
for it is full. The server's kernel then drops what would make one more.

- H06: the ACK of the handshake: the client takes itself for connected, its data is not
  acknowledged, and the server repeats its SYN-ACK. If there is room in time, a repetition of the
  data opens the connection.
- H08: the SYN: it is answered only when it is repeated, one, three or seven seconds later, or
  never, while the listener's host goes on answering others.
- H07: with tcp_abort_on_overflow the ACK is answered by RST.

The number named is that of most of them. Deferred accept (TCP_DEFER_ACCEPT, H24) looks like H06
and is not counted: it ends when the client sends data.`,
	Signature: `    A                      B:80  (queue full)
    | SYN ---------------> |  accepted into the queue of half-open ones
    | <----------- SYN-ACK |
    | ACK, data ---------> |  dropped
    | <----------- SYN-ACK |  again: H06
    C
    | SYN ---------------> |  dropped: H08
    | SYN ---------------> |  1 s later`,
	Alternatives: `Loss on the path looks like this on single connections. Here it is many at one listener,
and their other segments are not lost as often. A SYN flood fills the other queue, that of half-open
connections (syn-flood).`,
	Advice: `On the server: ss -ltn shows the queue (Recv-Q) and its limit (Send-Q); nstat
TcpExtListenOverflows TcpExtListenDrops count what was dropped. The program must accept faster: more
workers, no work in the thread that accepts, no blocking call before accept(). Then raise the
backlog that it gives to listen() together with somaxconn: the smaller of the two holds. A process
that hangs shows the same: look whether it runs at all.`,
	Settings: `Linux: net.core.somaxconn (4096; 128 before 5.4), the backlog given to listen(),
tcp_abort_on_overflow (0: leave it so). nginx listen ... backlog (511), Node.js server.listen backlog
(511), Python socketserver request_queue_size (5), Java ServerSocket (50). FreeBSD:
kern.ipc.soacceptqueue (128), netstat -Lan. Windows: the backlog given to listen(), SOMAXCONN_HINT; a
full queue answers with RST.`,
})

const (
	// queueLeast: two ACKs of handshakes lost by chance at one listener are rare, three
	// more so.
	queueLeast = 3
	// queueShare: of a listener's connections, one of so many: more than paths lose that
	// are still used.
	queueShare = 50
	// queueDrops: SYNs repeated, or left without answer, while others are answered. Ten,
	// and one of queueDropShare, are more than loss does, unless data is lost as often.
	queueDrops, queueDropShare = 10, 20
	// queueLoss: SYNs, or the first data, must be repeated so many times as often as other
	// segments. On a path with loss it is some four times: a handshake has two segments to
	// lose, the first data needs its ACK, and half of the others are ACKs, which nobody
	// repeats.
	queueLoss = 8
	// queueStalls: connections whose first data was taken only when it was repeated, and
	// mostly more than once: what is lost by chance gets through the second time.
	queueStalls = 5
)

// queue is what shows that a listener's queue is full.
type queue struct {
	// acks and aborts count connections whose handshake's ACK was ignored, and answered
	// by RST; resent those whose SYN was answered only when it was repeated; left SYNs
	// without any answer; all the attempts together.
	acks, aborts, resent, left, all uint64
	// stalls counts connections whose first data was taken only when it was repeated.
	stalls uint64
	// hangs: the host goes on answering, and its program has fallen silent.
	hangs bool
	// alone: nothing but SYNs shows it.
	alone bool
}

// queueFull returns what shows that a listener's queue is full, nil if nothing does.
func (s *Sums) queueFull(k key, l *listener) *queue {
	t := s.targets.get(k)
	q := queue{
		acks: uint64(l.unheeded), aborts: uint64(l.rejected), resent: uint64(l.resent), stalls: uint64(l.stalls),
	}
	// SYNs without an answer while the host was still heard on this listener's
	// connections: it was not down. A lone one may have been a scan's.
	if t != nil && t.firstUnanswered != 0 && l.heard > t.firstUnanswered {
		q.left = uint64(t.unanswered) - min(uint64(t.lone), uint64(t.unanswered))
		q.hangs = l.mute > 0 && l.spoke < t.firstUnanswered
	}
	q.all = l.opened() + uint64(l.ignored) + uint64(l.untouched) + uint64(l.aborted) + q.left
	// What was untouched alone may have met a host that was gone.
	alive := l.ignored > 0 || q.acks > uint64(l.untouched) || q.aborts > 0 || l.heard > l.firstUntouched.Add(stillHeard)
	drops := q.resent + q.left
	others := l.repeats - min(l.repeats, l.resyns+l.restarts)
	oftener := func(n uint64) bool { return n*max(l.packets, 1) >= queueLoss*others*max(q.all, 1) }
	stalling := q.stalls >= queueStalls && q.stalls*queueShare >= q.all && l.restarts*2 >= 3*uint64(l.stalls) && oftener(q.stalls)
	if !stalling {
		q.stalls = 0
		others += l.restarts
	}
	lossy := !oftener(drops)
	ignoring := alive && q.acks+q.aborts >= queueLeast && (q.acks+q.aborts)*queueShare >= q.all
	dropping := drops >= queueDrops && drops*queueDropShare >= q.all && !lossy && (q.left == 0 || q.left*downShare < q.all || q.hangs || alive && q.acks > 0)
	hanging := q.hangs && q.left >= queueLeast
	if !ignoring && !dropping && !hanging && !stalling {
		return nil
	}
	q.alone = !ignoring && !hanging && !stalling
	return &q
}

func checkAcceptQueueFull(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		q := s.queueFull(k, l)
		if q == nil {
			continue
		}
		in := Incident{
			key: k, Severity: finding.Warning, Confidence: finding.Likely, Count: q.acks + q.aborts + q.resent + q.left + q.stalls, First: l.firstOK, Last: l.heard,
			Falsify: "A capture at the server that does not hold these ACKs and SYNs: then the path lost them.",
			Reason:  "the listener's host answered others at the same time, and their other segments were not lost as often",
			tolds:   []*told{l.told},
		}
		in.show(l.queued, l.slow)
		if t := s.targets.get(k); q.left > 0 {
			in.tolds = append(in.tolds, t.told)
			in.First, in.Last = earliest(in.First, t.firstUnanswered), max(in.Last, t.lastUnanswered)
			in.show(l.queued, l.slow, &t.some)
		}
		var parts []string
		part := func(n uint64, format, catalogue string, most uint64) {
			if n > 0 {
				parts = append(parts, fmt.Sprintf(format, num(n)))
			}
			if n == most {
				in.Catalogue = catalogue
			}
		}
		most := max(q.acks, q.aborts, q.resent+q.left, q.stalls)
		part(q.left, "left %s SYNs without an answer", "H08", most)
		part(q.resent, "answered %s only when the SYN was repeated", "H08", most)
		if q.resent+q.left == most {
			in.Catalogue = "H08"
		}
		part(q.aborts, "answered the handshake's ACK of %s with RST", "H07", most)
		part(q.stalls, "took the first data of %s only when that was repeated", "H06", most)
		part(q.acks, "ignored the handshake's ACK of %s", "H06", most)
		in.Message = fmt.Sprintf("%s does not accept() connections as fast as they come, its queue is full: of %s it %s.", k.scope(), num(q.all), listed(parts))
		if q.hangs {
			in.Message = fmt.Sprintf("%s does not accept() connections, its queue is full and its program sends nothing: of %s attempts it %s.", k.scope(), num(q.all), listed(parts))
			in.Message += fmt.Sprintf(" Its kernel went on answering until %s; %s got an ACK and no octet in return.", clock(l.heard), count(l.mute, "connection"))
		}
		in.Message += fmt.Sprintf(" %s were established%s.", num(l.opened()), l.stepsTaken())
		if q.left+q.acks+q.aborts >= queueDrops || (q.left+q.acks+q.aborts)*2 >= q.all {
			in.Severity = finding.Error
		}
		if q.alone {
			in.Message = fmt.Sprintf("%s drops SYNs, and hardly anything else is lost: its queue of connections is full, or a filter limits new ones; of %s it %s.", k.scope(), num(q.all), listed(parts))
			in.Message += fmt.Sprintf(" %s were established%s.", num(l.opened()), l.stepsTaken())
			in.Confidence = finding.Possible
			in.Reason = "SYNs were lost far more often than other segments, at this listener; a filter that limits the rate of SYNs does the same"
		}
		in.doubted(finding.Possible, l.gaps())
		report(in)
	}
}

// stepsTaken says how long connecting took where a SYN or SYN-ACK was lost.
func (l *listener) stepsTaken() string {
	sum := uint32(0)
	for _, n := range l.steps {
		sum += n
	}
	if sum == 0 {
		return ""
	}
	return fmt.Sprintf(", of which %s took about 1 s, %s 3 s, %s 7 s and %s longer to connect", num(l.steps[0]), num(l.steps[1]), num(l.steps[2]), num(l.steps[3]))
}
