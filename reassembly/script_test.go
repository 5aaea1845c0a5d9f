package reassembly

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// raced says that the race detector runs along. A tracker has nothing that is concurrent, so
// random courses are fewer then.
var raced bool

// The flags, as the scripts below spell them.
const (
	syn    = wire.SYN
	synack = wire.SYN | wire.ACK
	ack    = wire.ACK
	psh    = wire.PSH | wire.ACK
	fin    = wire.FIN | wire.ACK
	rst    = wire.RST
	rstack = wire.RST | wire.ACK
)

// script is a capture in the making: each call of client or server is one segment,
// 10 ms after the one before unless after says otherwise. Numbers are relative to
// the ISNs: 0 is the SYN's, 1 the first octet's.
type script struct {
	tuple wire.Tuple // from the client to the server
	isn   [2]wire.Seq
	at    wire.Time
	gap   time.Duration
	segs  []wire.Segment
}

// scriptStart is when scripts begin: any time but 0.
const scriptStart = wire.Time(1_700_000_000_000_000_000)

func newScript() *script {
	return &script{
		tuple: wire.Tuple{Src: wire.AddrFrom4([]byte{10, 0, 0, 1}), Dst: wire.AddrFrom4([]byte{10, 0, 0, 2}), SrcPort: 40000, DstPort: 443},
		isn:   [2]wire.Seq{1000, 2000}, at: scriptStart, gap: -1,
	}
}

// after says how long after the last segment the next one passes.
func (s *script) after(d time.Duration) *script { s.gap = d; return s }

// reopen makes the numbers that follow those of another incarnation.
func (s *script) reopen(client, server wire.Seq) *script {
	s.isn = [2]wire.Seq{client, server}
	return s
}

// with changes a segment before it is put in.
type with func(*wire.Segment)

func payload(n uint32) with { return func(s *wire.Segment) { s.Len = n } }
func window(n uint16) with  { return func(s *wire.Segment) { s.Window = n } }
func ipid(n uint16) with    { return func(s *wire.Segment) { s.IPID = n } }
func options(o wire.OptionSet) with {
	return func(s *wire.Segment) { s.Options.Set |= o }
}
func timestamp(val uint32) with {
	return func(s *wire.Segment) { s.Options.Set |= wire.OptTimestamps; s.Options.TSVal = val }
}

func (s *script) client(f wire.Flags, seq, ack uint32, w ...with) *script {
	return s.send(Client, f, seq, ack, w)
}

func (s *script) server(f wire.Flags, seq, ack uint32, w ...with) *script {
	return s.send(Server, f, seq, ack, w)
}

func (s *script) send(from Side, f wire.Flags, seq, ack uint32, w []with) *script {
	if s.gap < 0 {
		s.gap = 10 * time.Millisecond
	}
	if len(s.segs) > 0 {
		s.at = s.at.Add(s.gap)
	}
	s.gap = -1
	seg := wire.Segment{Frame: wire.NewFrameID(0, uint64(len(s.segs)+1)), At: s.at, Tuple: s.tuple, Flags: f, Seq: s.isn[from].Add(seq), Window: 500, TTL: 64}
	if from == Server {
		seg.Tuple = s.tuple.Reverse()
	}
	if f&wire.ACK != 0 {
		seg.Ack = s.isn[from.Peer()].Add(ack)
	}
	for _, change := range w {
		change(&seg)
	}
	s.segs = append(s.segs, seg)
	return s
}

// dsack adds a SACK block that tells of octets of the peer that came twice.
func (s *script) dsack(from Side, left, right uint32) with {
	return func(seg *wire.Segment) {
		isn := s.isn[from.Peer()]
		seg.Options.Set |= wire.OptSACK
		seg.Options.SACKs = 1
		seg.Options.SACK[0] = wire.SACKBlock{Left: isn.Add(left), Right: isn.Add(right)}
	}
}

// handshake is the three segments of it.
func (s *script) handshake(w ...with) *script {
	return s.client(syn, 0, 0, w...).server(synack, 0, 1, w...).client(ack, 1, 1)
}

// clientCloses is the four segments of a close, when no data was sent.
func (s *script) clientCloses() *script {
	return s.client(fin, 1, 1).server(ack, 1, 2).server(fin, 1, 2).client(ack, 2, 2)
}

// heard is what a tracker told.
type heard struct {
	conns  []Conn
	late   []Late
	opened uint64
}

// listener returns a tracker that keeps what it tells in h.
func listener(h *heard) *Tracker {
	return New(Config{
		Opened:  func() uint64 { h.opened++; return h.opened },
		Settled: func(c *Conn, _ uint64) { h.conns = append(h.conns, keep(c)) },
		Late:    func(l *Late) { h.late = append(h.late, *l) },
	})
}

// track runs segments through a tracker, to the end of the input.
func track(segs []wire.Segment) *heard {
	h := &heard{}
	t := listener(h)
	for i := range segs {
		t.Feed(&segs[i])
		t.Advance(segs[i].At)
	}
	t.Flush()
	return h
}

// run tracks the script; wait is how long the capture went on after it.
func (s *script) run(wait time.Duration) *heard {
	h := &heard{}
	t := listener(h)
	for i := range s.segs {
		t.Feed(&s.segs[i])
		t.Advance(s.segs[i].At)
	}
	t.Advance(s.at.Add(wait))
	t.Flush()
	return h
}

// only runs the script and returns its single connection.
func (s *script) only(t *testing.T) *Conn {
	t.Helper()
	h := s.run(0)
	if len(h.conns) != 1 || len(h.late) != 0 {
		t.Fatalf("%d connections and %d late groups, want one connection", len(h.conns), len(h.late))
	}
	return &h.conns[0]
}

// keep copies a connection out of its tracker's memory.
func keep(c *Conn) Conn {
	k := *c
	k.Events = slices.Clone(c.Events)
	for i := range k.Ends {
		e := &k.Ends[i]
		e.Timeline, e.Missing, e.Repeated = slices.Clone(e.Timeline), slices.Clone(e.Missing), slices.Clone(e.Repeated)
	}
	return k
}

// timeline prints a side's states: "SYN_SENT[sent 1] ESTABLISHED[acked 2,3]", the
// numbers being those of frame and proof, with ~ if rewritten.
func timeline(c *Conn, side Side) string {
	var out []string
	for _, t := range c.Ends[side].Timeline {
		s := fmt.Sprintf("%v[%v", t.State, t.Evidence)
		if t.Frame != 0 {
			s += fmt.Sprint(" ", t.Frame.Number())
		}
		if t.Proof != 0 {
			s += fmt.Sprint(",", t.Proof.Number())
		}
		if t.Rewritten {
			s += "~"
		}
		out = append(out, s+"]")
	}
	return strings.Join(out, " ")
}

// states prints the names alone.
func states(c *Conn, side Side) string {
	var out []string
	for _, t := range c.Ends[side].Timeline {
		out = append(out, t.State.String())
	}
	return strings.Join(out, " ")
}

// want fails unless both are equal; what names them.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// ladder prints segments as a script's reader would write them.
func ladder(segs []wire.Segment, isn [2]wire.Seq, client wire.Tuple) string {
	var b strings.Builder
	for i := range segs {
		s := &segs[i]
		from, dir := Client, "c > s"
		if s.Tuple != client {
			from, dir = Server, "s > c"
		}
		fmt.Fprintf(&b, "%4d %10.6f %s %-3v %d:%d(%d)", s.Frame.Number(), s.At.Sub(segs[0].At).Seconds(), dir, s.Flags, s.Seq.Sub(isn[from]), s.End().Sub(isn[from]), s.Len)
		if s.Flags&wire.ACK != 0 {
			fmt.Fprintf(&b, " ack %d", s.Ack.Sub(isn[from.Peer()]))
		}
		if s.DSACK() {
			fmt.Fprint(&b, " dsack")
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
