package incident

import (
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// path is what went wrong between two hosts. Most paths have none.
type path struct {
	// lostTo counts connections whose last ACK died behind the tap on its way to a side,
	// unseen those whose last ACK for a side never passed the tap.
	lostTo, unseen [2]uint32
	// holes counts connections whose large segments did not get through, by their
	// sender; gone those whose sender's numbers jump over octets that neither passed the
	// tap nor were acknowledged, and most how many octets that were.
	holes, gone [2]uint32
	most        [2]uint32
	// deaths are the idle times of connections that died at the first segment after
	// them, by whether the answer was a RST.
	deaths [2]*spread
	// reported counts those of them of which an ICMP error told, report is the sort of it.
	reported uint32
	report   icmpSort
	// lastHeard is when the last of them was heard from, firstAsked and lastAsked when
	// the first and the last of those segments was sent.
	lastHeard             wire.Time
	firstAsked, lastAsked wire.Time
	told                  *told
	lost, hole, dead      *examples
}

// deadIdle is the shortest silence that may be why a connection died after it: longer
// than a retransmission timeout and its first repetition take (RFC 6298 section 2.1),
// which are no idleness.
const deadIdle = 2 * time.Second

// concernsPath reports whether a connection shows something that is counted by path.
func (f *facts) concernsPath() bool {
	if f.dead && f.death.idle >= deadIdle || f.lacks[0] > 0 || f.lacks[1] > 0 {
		return true
	}
	for i := range f.signs {
		switch f.signs[i].number {
		case "C05a", "C05b", "H23":
			return f.signs[i].endpoint != finding.Both
		}
	}
	return false
}

func (p *path) add(f *facts) {
	holed := [2]bool{}
	for i := range f.signs {
		x := &f.signs[i]
		if x.endpoint == finding.Both {
			continue
		}
		switch x.number {
		case "C05b":
			p.lostTo[x.endpoint]++
			show(&p.lost, x.frame, f)
		case "C05a":
			p.unseen[x.endpoint]++
			show(&p.lost, x.frame, f)
		case "H23":
			holed[x.endpoint] = true
			p.holes[x.endpoint]++
			show(&p.hole, x.frame, f)
		}
	}
	for side, n := range f.lacks {
		switch {
		case n > 0 && !f.unseen[side]:
			if !holed[side] {
				p.holes[side]++
				show(&p.hole, f.c.First, f)
			}
		case n > 0:
			p.gone[side]++
			p.most[side] = max(p.most[side], n)
			show(&p.hole, f.c.First, f)
		}
	}
	if d := &f.death; f.dead && d.idle >= deadIdle {
		byReset := 0
		if d.back != 0 {
			byReset = 1
		}
		addSpread(&p.deaths[byReset], d.idle)
		p.lastHeard = max(p.lastHeard, d.heard)
		p.firstAsked, p.lastAsked = earliest(p.firstAsked, d.asked), max(p.lastAsked, d.asked)
		if f.report.some {
			p.reported++
			p.report.merge(f.report)
		}
		show(&p.dead, d.frame, f)
	}
	tell(&p.told, f.places)
}

func (p *path) merge(o *path) {
	for s := range p.lostTo {
		p.lostTo[s] += o.lostTo[s]
		p.unseen[s] += o.unseen[s]
		p.holes[s] += o.holes[s]
		p.gone[s] += o.gone[s]
		p.most[s] = max(p.most[s], o.most[s])
		mergeSpread(&p.deaths[s], o.deaths[s])
	}
	p.reported += o.reported
	p.report.merge(o.report)
	p.lastHeard = max(p.lastHeard, o.lastHeard)
	p.firstAsked, p.lastAsked = earliest(p.firstAsked, o.firstAsked), max(p.lastAsked, o.lastAsked)
	mergeTold(&p.told, o.told)
	mergeExamples(&p.lost, o.lost)
	mergeExamples(&p.hole, o.hole)
	mergeExamples(&p.dead, o.dead)
}

// host is a host that fell silent, or did not know its connections any more. Its key
// has it in the server's place, whatever its role was.
type host struct {
	// silent counts connections that it did not answer any more; of those, gone counts
	// those to which it answered in the end that it knew nothing of them.
	silent, gone uint32
	// roles says in which role it was, by side; busy counts those that were not idle
	// before (see deadIdle).
	// own counts those that the host itself answered by RST, by its hop limit.
	roles     [2]uint32
	busy, own uint32
	// idle is the shortest silence before any of them: where the capture lacks an answer, a
	// silence looks longer than it was.
	idle time.Duration
	// firstHeard and lastHeard are when it was last heard on them; firstAsked and
	// lastAsked when the peers sent what it did not answer, firstBack and lastBack when
	// it answered that it knew nothing.
	firstHeard, lastHeard wire.Time
	firstAsked, lastAsked wire.Time
	firstBack, lastBack   wire.Time
	// never counts connections from before the capture that it did not answer all the
	// while, from neverFirst on; they are in none of the others. neverLast is when the last
	// of them was asked last.
	never                 uint32
	neverFirst, neverLast wire.Time
	// outages are times in which it did not answer, and did later.
	outages *outages
	// low and high are the lowest and highest address of the peers.
	low, high key
	told      *told
	some      examples
}

func hostKey(t *wire.Tuple, side reassembly.Side) key {
	if side == reassembly.Client {
		return clientKey(t).turned()
	}
	return key{serverHigh: t.Dst.Hi, serverLow: t.Dst.Lo, rest: plain(t)}
}

func (h *host) add(f *facts) {
	if f.stall.to != 0 {
		if h.outages == nil {
			h.outages = new(outages)
		}
		h.outages.add(f)
		return
	}
	c, d := f.c, &f.death
	peer := hostKey(&c.Tuple, d.silent.Peer())
	if h.silent+h.never == 0 {
		h.low, h.high = peer, peer
	}
	if peer.compare(h.low) < 0 {
		h.low = peer
	}
	if peer.compare(h.high) > 0 {
		h.high = peer
	}
	tell(&h.told, f.places)
	h.some.add(d.frame, f)
	h.roles[d.silent]++
	if d.heard == 0 {
		h.never++
		h.neverFirst, h.neverLast = earliest(h.neverFirst, d.asked), max(h.neverLast, c.End)
		return
	}
	h.silent++
	if d.idle < deadIdle {
		h.busy++
	}
	if c.Ends[d.silent].Gone != 0 {
		h.own++
	}
	if h.silent == 1 || d.idle < h.idle {
		h.idle = d.idle
	}
	h.firstHeard, h.lastHeard = earliest(h.firstHeard, d.heard), max(h.lastHeard, d.heard)
	h.firstAsked, h.lastAsked = earliest(h.firstAsked, d.asked), max(h.lastAsked, d.asked)
	if d.back != 0 {
		h.gone++
		h.firstBack, h.lastBack = earliest(h.firstBack, d.back), max(h.lastBack, d.back)
	}
}

func (h *host) merge(o *host) {
	if o.silent+o.never > 0 {
		if h.silent+h.never == 0 {
			h.low, h.high = o.low, o.high
		}
		if o.low.compare(h.low) < 0 {
			h.low = o.low
		}
		if o.high.compare(h.high) > 0 {
			h.high = o.high
		}
	}
	if o.silent > 0 && (h.silent == 0 || o.idle < h.idle) {
		h.idle = o.idle
	}
	h.silent, h.gone = h.silent+o.silent, h.gone+o.gone
	h.roles[0], h.roles[1], h.busy = h.roles[0]+o.roles[0], h.roles[1]+o.roles[1], h.busy+o.busy
	h.own += o.own
	if o.outages != nil {
		if h.outages == nil {
			h.outages = new(outages)
		}
		h.outages.merge(o.outages)
	}
	h.never += o.never
	h.neverFirst, h.neverLast = earliest(h.neverFirst, o.neverFirst), max(h.neverLast, o.neverLast)
	h.firstHeard, h.lastHeard = earliest(h.firstHeard, o.firstHeard), max(h.lastHeard, o.lastHeard)
	h.firstAsked, h.lastAsked = earliest(h.firstAsked, o.firstAsked), max(h.lastAsked, o.lastAsked)
	h.firstBack, h.lastBack = earliest(h.firstBack, o.firstBack), max(h.lastBack, o.lastBack)
	mergeTold(&h.told, o.told)
	h.some.merge(&o.some)
}
