package finding

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// The two sides in the tests' segments.
const (
	cl = reassembly.Client
	sv = reassembly.Server
)

// seg is one segment of a hand-made connection. Numbers are relative: 0 is the
// SYN, data begins at 1. Frames are numbered in order.
type seg struct {
	ms       float64
	from     reassembly.Side
	flags    wire.Flags
	seq      int
	len      int
	ack      int
	ttl      uint8
	win      int // 0 stands for 500, -1 for 0
	ipid     uint16
	tsval    uint32
	marks    reassembly.Marks // besides MarkRepeat and MarkGap, which are computed
	lastMS   float64          // of a run of two
	repeated bool             // a repetition that the tracker cannot know of
}

const (
	syn    = wire.SYN
	synack = wire.SYN | wire.ACK
	ack    = wire.ACK
	push   = wire.ACK | wire.PSH
	fin    = wire.FIN | wire.ACK
	rst    = wire.RST
	rstack = wire.RST | wire.ACK
)

// response is both sides' response time in the tests.
const response = 4 * time.Millisecond

// isn are numbers near the wrap, so that every test crosses it.
var isn = [2]wire.Seq{0xffffffe0, 0xfffffff0}

// opening is a handshake with a request and an answer, each acknowledged: the
// client's next number is 101, the server's 201.
var opening = []seg{
	{ms: 0, from: cl, flags: syn},
	{ms: 4, from: sv, flags: synack, ack: 1},
	{ms: 8, from: cl, flags: ack, seq: 1, ack: 1},
	{ms: 10, from: cl, flags: push, seq: 1, len: 100, ack: 1},
	{ms: 14, from: sv, flags: push, seq: 1, len: 200, ack: 101},
	{ms: 18, from: cl, flags: ack, seq: 101, ack: 201},
}

// after puts segments behind the opening.
func after(more ...seg) []seg { return append(append([]seg(nil), opening...), more...) }

// build makes a connection as the tracker would hand it out, for segments that
// need none of its judgement.
func build(t *testing.T, segs []seg) *reassembly.Conn {
	t.Helper()
	c := &reassembly.Conn{First: 1, Ended: reassembly.EndedSettled}
	at := func(ms float64) wire.Time { return wire.Time(ms * 1e6) }
	for i, s := range segs {
		e := reassembly.Event{
			At: at(s.ms), LastAt: at(s.ms), Frame: wire.FrameID(i + 1), LastFrame: wire.FrameID(i + 1), Count: 1, Len: uint32(s.len),
			Seq: isn[s.from] + wire.Seq(s.seq), Flags: s.flags, From: s.from, TTL: 64, Window: 500, IPID: s.ipid, TSVal: s.tsval, Marks: s.marks,
		}
		if s.lastMS != 0 {
			e.LastAt, e.Count = at(s.lastMS), 2
		}
		if s.ttl != 0 {
			e.TTL = s.ttl
		}
		switch {
		case s.win > 0:
			e.Window = uint16(s.win)
		case s.win < 0 || s.flags == rst:
			e.Window = 0
		}
		if s.tsval != 0 {
			e.Marks |= reassembly.MarkTimestamp
		}
		e.End = e.Seq.Add(uint32(s.len))
		if s.flags.Any(wire.SYN | wire.FIN) {
			e.End++
		}
		if s.flags.Has(wire.ACK) {
			e.Ack = isn[s.from.Peer()] + wire.Seq(s.ack)
		}
		me, you := &c.Ends[s.from], &c.Ends[s.from.Peer()]
		me.Packets++
		if me.Packets == 1 {
			me.TTL = e.TTL
		}
		bit := reassembly.Seen(1) << s.from
		switch {
		case s.flags.Has(wire.RST):
			e.Kind = reassembly.KindRST
			c.Seen |= reassembly.SeenRSTClient * bit
		case s.flags.Has(synack):
			e.Kind = reassembly.KindSYNACK
		case s.flags.Has(wire.SYN):
			e.Kind = reassembly.KindSYN
		case s.flags.Has(wire.FIN):
			e.Kind = reassembly.KindFIN
			c.Seen |= reassembly.SeenFINClient * bit
		case s.len > 0:
			e.Kind = reassembly.KindData
		}
		if genuine(&e) && e.Kind != reassembly.KindRST {
			switch {
			case !me.HasNext:
				me.First, me.Next, me.HasNext = e.Seq, e.End, true
			case e.Seq.After(me.Next):
				e.Marks |= reassembly.MarkGap
				c.Seen |= reassembly.SeenGap
				me.Next = e.End
			case s.repeated || e.End != e.Seq && !e.End.After(me.Next):
				e.Marks |= reassembly.MarkRepeat
				c.Seen |= reassembly.SeenRepeatData
				if e.Kind == reassembly.KindFIN {
					c.Seen |= reassembly.SeenRepeatFIN
				}
			case e.End.After(me.Next):
				me.Next = e.End
			}
			if e.Kind == reassembly.KindFIN && !me.HasFIN {
				me.FIN, me.HasFIN = e.End, true
			}
			if s.len > 0 && you.HasFIN && s.flags.Has(wire.ACK) && !e.Ack.Before(you.FIN) && e.Marks&reassembly.MarkRepeat == 0 {
				c.Seen |= reassembly.SeenHalfClose
			}
			if s.flags.Has(wire.ACK) && (!you.HasAcked || e.Ack.After(you.Acked)) {
				you.Acked, you.HasAcked = e.Ack, true
			}
		}
		if e.Marks.Has(reassembly.MarkOther) {
			c.Seen |= reassembly.SeenOther
		}
		c.Events = append(c.Events, e)
	}
	for s := range c.Ends {
		c.Ends[s].Response = response
		if c.Ends[s].HasFIN && c.Ends[s].Acked.Before(c.Ends[s].FIN) {
			c.Seen |= reassembly.SeenOpenFIN
		}
	}
	last := &c.Events[len(c.Events)-1]
	c.Last, c.End = last.Frame, last.LastAt
	c.Start = c.Events[0].At
	c.Until = last.LastAt.Add(2 * time.Minute)
	return c
}

// alike compares findings.
var alike = cmp.Options{cmp.AllowUnexported(Finding{}), cmp.Comparer(func(a, b *Rule) bool { return a == b })}

// check runs every rule that the connection's bits trigger, and has Set.Check, which leaves out
// those that its RSTs are nothing to, and Set.Find and Tell say the same.
func check(t *testing.T, c *reassembly.Conn) []Finding {
	t.Helper()
	s := NewSet(All())
	s.c.begin(c, false)
	for _, r := range All() {
		if c.Seen&r.Triggers != 0 {
			s.run(r)
		}
	}
	found := Keep(s.found)
	for _, f := range found {
		whole(t, f)
	}
	want := s.Check(c)
	all := slices.Clone(found)
	sortFindings(all)
	if diff := cmp.Diff(all, want, alike, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("all rules (-) find something else than those that were selected (+):\n%s", diff)
	}
	got := s.Find(c)
	// Whoever asks for one alone gets the same.
	for i := len(got) - 1; i >= 0; i-- {
		s.Tell(got[i : i+1])
	}
	if !cmp.Equal(got, want, alike) {
		t.Errorf("Find and Tell say\n%v\nwhere Check says\n%v", got, want)
	}
	return found
}
