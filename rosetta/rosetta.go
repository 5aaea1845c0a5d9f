package rosetta

import (
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// segment is what the views read of a segment, be it live or an entry of the log.
type segment struct {
	at       wire.Time
	seq, ack wire.Seq
	len      uint32
	flags    wire.Flags
	window   uint16
	from     reassembly.Side
	// snapped: the capture does not hold all of the payload.
	snapped bool
}

func ofSegment(s *wire.Segment, from reassembly.Side) segment {
	return segment{at: s.At, seq: s.Seq, ack: s.Ack, len: s.Len, flags: s.Flags, window: s.Window, from: from, snapped: s.Traits&wire.TraitSnapped != 0}
}

func ofEvent(e *reassembly.Event) segment {
	return segment{at: e.At, seq: e.Seq, ack: e.Ack, len: e.Len, flags: e.Flags, window: e.Window, from: e.From, snapped: e.Traits&wire.TraitSnapped != 0}
}

// end returns the number after the segment, as wire.Segment.End.
func (s *segment) end() wire.Seq {
	n := s.len
	if s.flags&wire.SYN != 0 {
		n++
	}
	if s.flags&wire.FIN != 0 {
		n++
	}
	return s.seq.Add(n)
}

// Views is what other tools would say of one connection.
type Views struct {
	Zeek      Zeek
	Wireshark Wireshark
	Tcptrace  Tcptrace
}

// life is what a Watcher keeps of one connection.
type life struct {
	zeek      zeek
	wireshark wireshark
	tcptrace  tcptrace
	tuple     ports
	// shared is the stream that the connection has in common with others of its tuple,
	// in the place of wireshark; 0 none. turned: its client is the stream's server.
	shared uint32
	turned bool
	splits uint16 // streams that began within the connection
	// carrier is what the last segment came through (see wire.Segment).
	carrier uint32
}

// ports are a tuple's, which is all that a view needs of it.
type ports struct{ client, server uint16 }

// of returns the sender's and the receiver's port.
func (p ports) of(from reassembly.Side) (src, dst uint16) {
	if from == reassembly.Client {
		return p.client, p.server
	}
	return p.server, p.client
}

// Watcher follows the connections of one tracker; it is a reassembly.Watcher. It is
// not safe for concurrent use.
type Watcher struct {
	// Split, if set, is called when a segment that Watch is shown begins another
	// stream of Wireshark within its connection.
	Split func()
	// Joined, if set, is called when the connection that opened last belongs to the
	// stream in which Wireshark has another one, by that one's stamp.
	Joined func(stamp uint64)

	lives pool[life]
	pools pools
	alone life // for connections that were never followed
	text  []byte
}

// pools are the rare parts of a life.
type pools struct {
	holes     pool[holes]
	histories pool[longHistory]
	streams   pool[stream]
}

// stream is one of Wireshark's that several connections are in.
type stream struct {
	wireshark
	connections int
}

// Begin is reassembly.Watcher's.
func (w *Watcher) Begin(tuple *wire.Tuple, carrier uint32, events []reassembly.Event) uint32 {
	view := w.lives.get()
	l := w.lives.at(view)
	*l = life{tuple: ports{tuple.SrcPort, tuple.DstPort}, carrier: carrier}
	for i := range events {
		s := ofEvent(&events[i])
		l.see(&s, &w.pools)
	}
	return view
}

// Watch is reassembly.Watcher's.
func (w *Watcher) Watch(view uint32, s *wire.Segment, from reassembly.Side) {
	l := w.lives.at(view)
	if s.Carrier != l.carrier {
		l.carrier = s.Carrier
		l.zeek.moved(&w.pools)
	}
	if l.plain(s, from, &w.pools) {
		return
	}
	seg := ofSegment(s, from)
	splits := l.splits
	l.see(&seg, &w.pools)
	if l.splits != splits && w.Split != nil {
		w.Split()
	}
}

// Sibling is reassembly.Watcher's. Wireshark knows neither encapsulation nor time: only
// a SYN with another number begins a stream.
func (w *Watcher) Sibling(held, fresh reassembly.Kin, s *wire.Segment) {
	h, f := w.lives.at(held.View), w.lives.at(fresh.View)
	seg := ofSegment(s, held.From)
	if h.turned {
		seg.from = seg.from.Peer()
	}
	if h.stream(&w.pools).begins(&seg) {
		return
	}
	if h.shared == 0 {
		h.shared = w.pools.streams.get()
		*w.pools.streams.at(h.shared) = stream{h.wireshark, 1}
	}
	f.shared = h.shared
	f.turned = h.turned != (held.From != fresh.From)
	w.pools.streams.at(f.shared).connections++
	if w.Joined != nil {
		w.Joined(held.Stamp)
	}
}

// stream returns the stream that the connection is in.
func (l *life) stream(p *pools) *wireshark {
	if l.shared != 0 {
		return &p.streams.at(l.shared).wireshark
	}
	return &l.wireshark
}

func (l *life) see(s *segment, p *pools) {
	l.zeek.see(s, l.tuple, p)
	l.tcptrace.see(s)
	w, t := l.stream(p), *s
	if l.turned {
		t.from = t.from.Peer()
	}
	streams := w.streams
	w.see(&t)
	if streams != 0 && w.streams != streams && l.splits < 1<<16-2 {
		l.splits++
	}
}

// Views returns what was seen of a connection that its tracker hands out, and forgets
// it. What is returned is valid until the next call.
func (w *Watcher) Views(c *reassembly.Conn) Views {
	if c.View == 0 {
		log := c.Events
		if len(c.Whole) > 0 {
			log = c.Whole
		}
		if v, ok := w.ordinary(log, c.Start); ok {
			return v
		}
		w.read(ports{c.Tuple.SrcPort, c.Tuple.DstPort}, log)
		return w.views(&w.alone, c.Start)
	}
	l := w.lives.at(c.View)
	v := w.views(l, c.Start)
	if l.shared != 0 {
		common := w.pools.streams.at(l.shared)
		if common.connections--; common.connections == 0 {
			w.pools.streams.put(l.shared)
		}
	}
	w.lives.put(c.View)
	return v
}

// read makes w.alone the life of a connection all of whose segments stand in the log.
func (w *Watcher) read(tuple ports, log []reassembly.Event) {
	w.alone = life{tuple: tuple}
	for i := range log {
		s := ofEvent(&log[i])
		w.alone.see(&s, &w.pools)
	}
}

// views returns what was seen of a life that is over.
func (w *Watcher) views(l *life, start wire.Time) Views {
	v := Views{Wireshark: Wireshark{l.stream(&w.pools).view(), l.splits + 1}, Tcptrace: l.tcptrace.view()}
	v.Zeek, w.text = l.zeek.view(start, &w.pools, w.text[:0])
	l.zeek.release(&w.pools)
	return v
}
