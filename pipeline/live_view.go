package pipeline

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// glance is one worker's part of a snapshot.
type glance struct {
	open, behind uint64
	census       [2][reassembly.StateCount]uint64
	rows         []Row
	listeners    map[socket]*Listener
	followed     []Followed
	delta        report.Summary
}

// socket is a listening socket.
type socket struct {
	addr  netip.AddrPort
	encap wire.EncapID
}

// mostSockets bounds the listening sockets that one worker counts for a snapshot: a scan
// shows as many as it likes.
const mostSockets = 1 << 14

// show makes the worker's part of a snapshot, and takes what it has counted since the
// last one out of its summary.
func (o *onlooker) show(b *batch) {
	w, v := o.w, b.view
	g := &glance{behind: o.behind, census: o.census, delta: w.summary, open: uint64(w.tracker.Open())}
	w.summary = report.Summary{}
	w.result.glance = g
	if v.Rows > 0 || v.Listeners > 0 || v.Visit != nil {
		o.walk(g, v)
	}
	for _, ref := range v.Follow {
		i, open := o.of[ref]
		if !open {
			continue
		}
		s := &o.list[i]
		tuple := s.tuple
		w.tracker.Peek(&tuple, ref, func(c *reassembly.Conn, stamp uint64) {
			r := &report.Connection{Conn: c, Capture: w.cfg.Name, Encap: b.layers(c.Tuple.Encap), Provisional: true, Findings: o.check(c)}
			w.names.view(r)
			r.Conn = c.Clone()
			g.followed = append(g.followed, Followed{Ref: stamp, Connection: r})
		})
	}
}

// walk goes through all that is open.
func (o *onlooker) walk(g *glance, v *View) {
	top := ranking{most: v.Rows, o: o, by: v.Order, reverse: v.Reverse}
	if v.Listeners > 0 {
		g.listeners = map[socket]*Listener{}
	}
	for i := range o.list {
		s := &o.list[i]
		if !s.used {
			continue
		}
		if v.Listeners > 0 {
			o.listener(g, s)
		}
		if v.Visit != nil {
			r := o.row(int32(i))
			v.Visit(&r)
		}
		if v.Rows > 0 {
			if v.Keep != nil {
				r := o.row(int32(i))
				if !v.Keep(&r) {
					continue
				}
			}
			top.add(int32(i))
		}
	}
	for _, i := range top.list {
		r := o.row(i)
		r.Findings = slices.Clone(o.found[i])
		key := reassembly.UIDKey{Tuple: r.Tuple, Start: r.Start, ISN: o.list[i].isn}
		r.UID = o.w.names.uid(&key, r.Encap)
		g.rows = append(g.rows, r)
	}
}

func (o *onlooker) row(i int32) Row {
	s := &o.list[i]
	return Row{
		Ref: s.stamp, Tuple: s.tuple, Encap: o.w.batch.layers(s.tuple.Encap), Start: s.start, Last: s.last, States: s.states, Since: s.since, Evidence: s.known, HasState: s.has,
		RoleBy: s.roleBy, RTT: s.rtt, Packets: s.packets, Bytes: s.bytes, Retransmits: s.rexmits, Worst: s.worst, Found: int(s.found),
	}
}

func (o *onlooker) listener(g *glance, s *standing) {
	k := socket{s.tuple.Destination(), s.tuple.Encap}
	l := g.listeners[k]
	if l == nil {
		if len(g.listeners) >= mostSockets {
			return
		}
		l = &Listener{Server: k.addr, Encap: o.w.batch.layers(k.encap), Oldest: s.start}
		g.listeners[k] = l
	}
	l.Open++
	l.Oldest = min(l.Oldest, s.start)
	if s.has[reassembly.Server] {
		l.States[s.states[reassembly.Server]]++
	}
	if s.has[reassembly.Client] {
		l.Clients[s.states[reassembly.Client]]++
	}
	if s.states[reassembly.Server] == reassembly.SynReceived {
		l.Waiting++
	}
}

// ranking finds the first connections of an order: a heap whose top is the last of them.
type ranking struct {
	most    int
	o       *onlooker
	by      Order
	reverse bool
	list    []int32
}

// before reports whether one place comes before another.
func (r *ranking) before(a, b int32) bool {
	x, y := r.o.row(a), r.o.row(b)
	return compareRows(&x, &y, r.by, r.reverse) < 0
}

func (r *ranking) add(i int32) {
	if len(r.list) == r.most {
		if !r.before(i, r.list[0]) {
			return
		}
		r.list[0] = i
		r.down()
		return
	}
	r.list = append(r.list, i)
	for k := len(r.list) - 1; k > 0; {
		up := (k - 1) / 2
		if !r.before(r.list[up], r.list[k]) {
			return
		}
		r.list[up], r.list[k] = r.list[k], r.list[up]
		k = up
	}
}

func (r *ranking) down() {
	for k := 0; ; {
		last := 2*k + 1
		if last >= len(r.list) {
			return
		}
		if x := last + 1; x < len(r.list) && r.before(r.list[last], r.list[x]) {
			last = x
		}
		if !r.before(r.list[k], r.list[last]) {
			return
		}
		r.list[k], r.list[last] = r.list[last], r.list[k]
		k = last
	}
}

// compareRows orders rows; no two are equal.
func compareRows(a, b *Row, by Order, reverse bool) int {
	c := 0
	switch by {
	case ByActivity:
		c = cmp.Compare(b.Last, a.Last)
	case ByIdle:
		c = cmp.Compare(a.Last, b.Last)
	case ByAge:
		c = cmp.Compare(a.Start, b.Start)
	case ByStart:
		c = cmp.Compare(b.Start, a.Start)
	case ByPackets:
		c = cmp.Compare(b.Packets[0]+b.Packets[1], a.Packets[0]+a.Packets[1])
	case ByBytes:
		c = cmp.Compare(b.Bytes[0]+b.Bytes[1], a.Bytes[0]+a.Bytes[1])
	case ByRTT:
		c = cmp.Compare(b.RTT, a.RTT)
	case ByFindings:
		c = cmp.Or(cmp.Compare(min(b.Found, 1), min(a.Found, 1)), cmp.Compare(b.Worst, a.Worst), cmp.Compare(b.Found, a.Found))
	case ByState:
		c = cmp.Or(cmp.Compare(a.States[0], b.States[0]), cmp.Compare(a.States[1], b.States[1]))
	}
	if reverse {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(a.Ref, b.Ref))
}
