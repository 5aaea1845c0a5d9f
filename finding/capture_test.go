package finding

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// about returns what the rules say of a capture with these connections, in short.
func about(t *testing.T, c *Capture) (got []string) {
	t.Helper()
	for _, f := range c.Check() {
		if f.Message == "" || f.Reason == "" || !slices.IsSorted(f.Frames) || f.Severity > f.Rule.Severity {
			t.Errorf("%s: %+v", f.Rule.ID, f)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %v", f.Rule.ID, f.Rule.Catalogue, f.Severity, f.Confidence, f.Frames))
	}
	return got
}

func TestCaptureRules(t *testing.T) {
	// with builds a connection and changes it.
	with := func(segs []seg, change func(c *reassembly.Conn)) *reassembly.Conn {
		c := build(t, segs)
		c.Handshake.Outcome = reassembly.HandshakeComplete
		if change != nil {
			change(c)
		}
		for _, e := range c.Events {
			c.Ends[e.From].Bytes += uint64(e.Len)
		}
		return c
	}
	only := func(side reassembly.Side, segs []seg) (left []seg) {
		for _, s := range segs {
			if s.from == side {
				left = append(left, s)
			}
		}
		return left
	}
	mss := func(c *reassembly.Conn) {
		for i := range c.Ends {
			c.Ends[i].HasSYN, c.Ends[i].SYN.MSS = true, 200
			c.Ends[i].SYN.Set |= wire.OptMSS
		}
	}
	missing := func(n uint64) func(c *reassembly.Conn) {
		return func(c *reassembly.Conn) {
			c.Ends[sv].MissingBytes = n
			c.Events[len(c.Events)-1].Marks |= reassembly.MarkAckUnseen
		}
	}
	doubled := func(a, b uint64) func(c *reassembly.Conn) {
		return func(c *reassembly.Conn) {
			c.Ends[cl].Packets, c.Ends[sv].Packets = c.Ends[cl].Packets+a, c.Ends[sv].Packets+b
			c.Ends[cl].Duplicates, c.Ends[sv].Duplicates = a, b
		}
	}
	unseen := func(c *reassembly.Conn) { c.Handshake.Outcome = reassembly.HandshakeUnseen }
	for _, tt := range []struct {
		name string
		c    *reassembly.Conn
		with Capture
		want []string
	}{
		{"nothing is the matter", with(opening, mss), Capture{}, nil},
		{"K01", with(opening[3:], unseen), Capture{}, []string{"capture-began-later K01 info certain [1]"}},
		{"K01, or a probe with its answer", with([]seg{{from: cl, flags: ack}, {ms: 4, from: sv, flags: rst}}, unseen), Capture{},
			[]string{"capture-began-later K01 info possible [1]"}},
		{"K03", with(opening, missing(700)), Capture{}, []string{"capture-loss K03 warning certain [6]"}},
		{"K03, a SYN-ACK", with(append(append([]seg(nil), opening[0]), opening[2:]...), func(c *reassembly.Conn) {
			c.Ends[cl].HasSYN = true
			c.Handshake.Outcome = reassembly.HandshakeComplete
		}), Capture{}, []string{"capture-loss K03 warning certain [2]"}},
		{"K03, the capturing host says so", with(opening, nil), Capture{Dropped: 3}, []string{"capture-loss K03 warning certain []"}},
		{"K01 and K03, the connection is older than the capture", with(opening[3:], func(c *reassembly.Conn) {
			unseen(c)
			missing(700)(c)
		}), Capture{}, []string{"capture-loss K03 warning likely [3]", "capture-began-later K01 info certain [1]"}},
		{"K04", with(only(cl, opening), nil), Capture{}, []string{"one-way-capture K04 warning certain [1]"}},
		{"K04, a stray looks the same", with([]seg{{from: sv, flags: synack}}, nil), Capture{}, []string{"one-way-capture K04 info possible [1]"}},
		{"near miss of K04: nobody answered", with([]seg{{from: cl, flags: syn}, {ms: 1000, from: cl, flags: syn}}, func(c *reassembly.Conn) {
			c.Handshake.Outcome = reassembly.HandshakeUnanswered
		}), Capture{}, nil},
		{"near miss of K03: what the other direction lacks is not known", with(only(cl, opening), missing(700)), Capture{}, []string{"one-way-capture K04 warning certain [1]"}},
		{"K05", with(opening, doubled(3, 3)), Capture{}, []string{"doubled-frames K05 info certain [1]"}},
		{"K05, perhaps the network's doubles", with(opening, doubled(0, 1)), Capture{}, []string{"doubled-frames K05 info possible [1]"}},
		{"K06", with(opening, nil), Capture{Backwards: 1, BackwardsAt: 8, StepBack: time.Millisecond}, []string{"time-disorder K06 warning certain [8]"}},
		{"K06, two processors", with(opening, nil), Capture{Backwards: 3, BackwardsAt: 8, StepBack: 100 * time.Microsecond}, []string{"time-disorder K06 info certain [8]"}},
		{"K06, two processors and a stray time", with(opening, nil), Capture{Backwards: 3, BackwardsAt: 8, StepBack: 100 * time.Microsecond, Stray: 1, StrayAt: 3}, []string{"time-disorder K06 warning certain [3 8]"}},
		{"K06, a stray time", with(opening, nil), Capture{Stray: 1, StrayAt: 3}, []string{"time-disorder K06 warning certain [3]"}},
		{"K07", with(after(seg{ms: 30, from: cl, flags: push, seq: 101, len: 201, ack: 201}), mss), Capture{}, []string{"segment-offload K07 info likely [7]"}},
		{"near miss of K07: the size that is allowed", with(after(seg{ms: 30, from: cl, flags: push, seq: 101, len: 200, ack: 201}), mss), Capture{}, nil},
		{"near miss of K07: two segments in one entry of the log", with(after(seg{ms: 30, lastMS: 31, from: cl, flags: push, seq: 101, len: 400, ack: 201}), mss), Capture{}, nil},
		{"K08", with(opening, nil), Capture{Snapped: 2, SnappedAt: 4}, []string{"cut-frames K08 info certain [4]"}},
		{"K08, headers too", with(opening, nil), Capture{Snapped: 2, CutHeaders: 1, SnappedAt: 4}, []string{"cut-frames K08 warning certain [4]"}},
		{"K09 explains what is lacking", with([]seg{{from: cl, flags: syn}, {ms: 4, from: sv, flags: synack, ack: 1}, {ms: 9, from: cl, flags: fin, seq: 101, ack: 201}, {ms: 13, from: sv, flags: fin, seq: 201, ack: 102}},
			missing(200)), Capture{}, []string{"control-only-capture K09 info likely [4]"}},
		{"near miss of K09: an ACK is there", with([]seg{{from: cl, flags: syn}, {ms: 4, from: sv, flags: synack, ack: 1}, {ms: 9, from: cl, flags: fin, seq: 101, ack: 201}, {ms: 13, from: sv, flags: ack, seq: 201, ack: 102}},
			missing(200)), Capture{}, []string{"capture-loss K03 warning certain [4]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace := TraceOf(tt.c)
			tt.with.Add(&trace)
			if diff := cmp.Diff(tt.want, about(t, &tt.with)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOneWay(t *testing.T) {
	for _, x := range []struct {
		client, server uint64
		h              reassembly.HandshakeOutcome
		want           bool
	}{
		{3, 4, reassembly.HandshakeComplete, false},
		{3, 0, reassembly.HandshakeUnanswered, false},
		{3, 0, reassembly.HandshakeICMP, false},
		{3, 0, reassembly.HandshakeComplete, true},
		{0, 5, reassembly.HandshakeUnseen, true},
	} {
		c := &reassembly.Conn{}
		c.Ends[cl].Packets, c.Ends[sv].Packets, c.Handshake.Outcome = x.client, x.server, x.h
		if got := oneWay(c); got != x.want {
			t.Errorf("%d and %d packets, handshake %s: %v, want %v", x.client, x.server, x.h, got, x.want)
		}
	}
}

// The order in which connections come, and how they are shared out, changes nothing.
func TestCaptureIsASum(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	traces := make([]Trace, 200)
	for i := range traces {
		flip := func() bool { return r.IntN(3) == 0 }
		traces[i] = Trace{First: wire.FrameID(1 + r.IntN(1000)), Frames: 10, Data: uint64(r.IntN(9)), MidStream: flip(), MidStreamSure: flip(),
			OneWay: flip(), OneWaySure: flip(), Doubled: uint64(r.IntN(5)), LostOctets: uint64(r.IntN(3)), Lost: wire.FrameID(1 + r.IntN(1000)),
			Offload: wire.FrameID(r.IntN(4) * r.IntN(300)), Control: flip()}
	}
	var whole Capture
	for i := range traces {
		whole.Add(&traces[i])
	}
	for range 20 {
		r.Shuffle(len(traces), func(i, j int) { traces[i], traces[j] = traces[j], traces[i] })
		parts := make([]Capture, 3)
		for i := range traces {
			parts[r.IntN(3)].Add(&traces[i])
		}
		var sum Capture
		for i := range parts {
			sum.Merge(&parts[i])
		}
		if diff := cmp.Diff(whole, sum); diff != "" {
			t.Fatal(diff)
		}
	}
}
