package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "path-outage",
	Catalogue: []string{"G10"},
	Title:     "A host was out of reach for a while, and connections lived through it",
	Severity:  finding.Warning,
	RFC:       "9293 3.8.1, 3.8.3; 6298 5",
	Folds:     []string{"retransmission-death", "unacknowledged-tail"},
	Check:     checkPathOutage,
	Meaning: `On several connections of one host, from one moment on, the same data was sent again and
again, until some time later an answer came and everything went on. So nothing of what was sent
arrived in between: the path was interrupted (a link, a switch that learns anew, a route, a failover
that keeps its state), or the host stood still. No connection was lost by it, and the programs saw
nothing but a pause; the message gives from when to when.`,
	Signature: `    A, C, D                B
    | data ------------> x   |  12:00:03, on each connection
    | data ------------> x   |  again after 0.2, 0.6, 1.4 s ...
    | data ----------------> |
    | <----------------- ACK |  12:00:09, on all of them, and on it goes`,
	Alternatives: `Loss hits the same segment three times in a row on one connection now and then, and not on
several at one moment. A receiver that has no room lets its peer wait, and says so (slow-readers). A
listener whose queue is full drops first data (accept-queue-full).`,
	Advice: `Look what happened on the path at that time: logs of switches and routers, the cloud's
events, failovers of firewalls, the hypervisor (a virtual machine that moves stands still for
seconds). When each connection went on depends on when its next repetition was due, which is later
the longer it lasted: the path was back when the first of them did.`,
	Settings: `Linux: the repetitions double from 0.2 s up to 120 s (TCP_RTO_MAX), tcp_retries2 (15) ends
them. FreeBSD: net.inet.tcp.rexmit_min (30 ms). Windows: Get-NetTCPSetting (MinRto).`,
})

const (
	// outageRepeats of one segment and outageLeast of time show that it was no loss: three
	// in a row are rare where one of ten is lost.
	outageRepeats = 3
	outageLeast   = time.Second
	// outageConns connections must have stalled within outageStart, two of three that did
	// at all: what was to be said next was said within that time.
	outageConns = 3
	outageStart = 2 * time.Second
)

// stalled is data that was repeated in vain for a while, and acknowledged in the end.
type stalled struct {
	silent   reassembly.Side
	from, to wire.Time
	frame    wire.FrameID
}

// stalledIn returns the longest such time of a connection; to is 0 if there was none.
func stalledIn(c *reassembly.Conn) (worst stalled) {
	for side := range c.Ends {
		e := &c.Ends[side]
		if !e.HasAcked || c.Ends[1-side].Packets == 0 {
			continue
		}
		me := reassembly.Side(side)
		for i := 0; i < len(c.Events); i++ {
			x := &c.Events[i]
			if x.From != me || x.Len <= 1 || !x.Marks.Has(reassembly.MarkRepeat) || x.Kind != reassembly.KindData || x.End.After(e.Acked) {
				continue
			}
			all := c.Transmissions(i)
			last := &c.Events[all[len(all)-1]]
			s := stalled{silent: me.Peer(), from: sentFirst(c, i), frame: x.Frame}
			if len(all) < outageRepeats || s.from == 0 {
				continue
			}
			for j := all[0]; j < len(c.Events); j++ {
				if y := &c.Events[j]; y.From != me && y.Kind != reassembly.KindRST && y.At > s.from && y.Window > 0 {
					if y.At >= last.At {
						s.to = y.At
					}
					break // what came in between was an answer
				}
			}
			if s.to.Sub(s.from) >= outageLeast && s.to.Sub(s.from) > worst.to.Sub(worst.from) {
				worst = s
			}
			i = all[len(all)-1]
		}
	}
	return worst
}

// sentFirst returns when the octets of a repetition were sent before, 0 if that is not in
// the capture.
func sentFirst(c *reassembly.Conn, i int) wire.Time {
	x := &c.Events[i]
	for j := i - 1; j >= 0; j-- {
		if y := &c.Events[j]; y.From == x.From && y.Len > 0 && !y.Seq.After(x.Seq) && y.End.After(x.Seq) {
			if y.Count > 1 {
				return y.LastAt
			}
			return y.At
		}
	}
	return 0
}

// outages counts the stalls of a host's connections.
type outages struct {
	n               uint32
	starts          pulse
	firstTo, lastTo wire.Time
	roles           [2]uint32
	some            examples
}

func (x *outages) add(f *facts) {
	s := &f.stall
	x.n++
	x.roles[s.silent]++
	x.starts.add(s.from)
	x.firstTo, x.lastTo = earliest(x.firstTo, s.to), max(x.lastTo, s.to)
	x.some.add(s.frame, f)
}

func (x *outages) merge(o *outages) {
	x.n += o.n
	for side, n := range o.roles {
		x.roles[side] += n
	}
	x.starts.merge(&o.starts)
	x.firstTo, x.lastTo = earliest(x.firstTo, o.firstTo), max(x.lastTo, o.lastTo)
	x.some.merge(&o.some)
}

func checkPathOutage(s *Sums, report func(Incident)) {
	for _, i := range s.hosts.sorted() {
		k, x := s.hosts.keys[i], s.hosts.rec(i).outages
		if x == nil {
			continue
		}
		n, from, _ := x.starts.busiest(outageStart)
		if n < outageConns || n*3 < uint64(x.n)*2 || x.firstTo.Sub(from) < outageLeast {
			continue
		}
		in := Incident{
			key: k, Catalogue: "G10", Severity: finding.Warning, Confidence: finding.Likely, Count: n, First: from, Last: x.lastTo,
			Falsify: "An answer of that host to one of these segments in between.",
			Reason:  "the same data was repeated on all of them, and answered in the end; whether the path or the host stood still is not shown",
		}
		if x.roles[reassembly.Client] > 0 && x.roles[reassembly.Server] == 0 {
			in.key = k.turned()
		}
		in.show(&x.some)
		in.Message = fmt.Sprintf("%s was out of reach from about %s to %s: on %s data was repeated all the while, and then they went on; the path was interrupted, or the host stood still.",
			k.scope().Server, clock(from), clock(x.firstTo), count(n, "connection"))
		in.Message += fmt.Sprintf(" The last of them went on at %s.", clock(x.lastTo))
		report(in)
	}
}
