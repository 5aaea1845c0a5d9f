package finding

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// whole checks what every finding must have.
func whole(t *testing.T, f Finding) {
	t.Helper()
	id := f.Rule.ID
	if !slices.Contains(f.Rule.Catalogue, f.Catalogue) {
		t.Errorf("%s: %q is not one of its numbers", id, f.Catalogue)
	}
	if f.Severity > f.Rule.Severity {
		t.Errorf("%s: %s is graver than the rule", id, f.Severity)
	}
	if len(f.Frames) == 0 || !slices.IsSorted(f.Frames) || len(slices.Compact(slices.Clone(f.Frames))) != len(f.Frames) {
		t.Errorf("%s: frames %v", id, f.Frames)
	}
	for _, s := range []string{f.Message, f.Falsify} {
		if s == "" || s[0] < 'A' || s[0] > 'Z' || !strings.HasSuffix(s, ".") || strings.Contains(s, "..") || strings.Contains(s, "%!") {
			t.Errorf("%s: not a sentence: %q", id, s)
		}
	}
	if f.Reason == "" {
		t.Errorf("%s: no reason for its confidence", id)
	}
}

// brief puts findings but R01, which every RST has, into short form.
func brief(found []Finding, all bool) (s []string) {
	for _, f := range found {
		if f.Catalogue != "R01" || all {
			s = append(s, fmt.Sprintf("%s %s %s %s %v", f.Catalogue, f.Severity, f.Confidence, f.Endpoint, f.Frames))
		}
	}
	return s
}

// The client closes first, the server's FIN is frame 9.
func closing(more ...seg) []seg {
	return after(append([]seg{
		{ms: 100, from: cl, flags: fin, seq: 101, ack: 201},
		{ms: 104, from: sv, flags: ack, seq: 201, ack: 102},
		{ms: 110, from: sv, flags: fin, seq: 201, ack: 102},
	}, more...)...)
}

func TestRules(t *testing.T) {
	last := func(ms float64) seg { return seg{ms: ms, from: cl, flags: ack, seq: 102, ack: 202} }
	again := func(ms float64) seg { return seg{ms: ms, from: sv, flags: fin, seq: 201, ack: 102} }
	atEnd := func(d time.Duration) func(c *reassembly.Conn) {
		return func(c *reassembly.Conn) {
			c.Ended, c.Until = reassembly.EndedInput, c.End.Add(d)
		}
	}
	timeWait := func(side reassembly.Side, ms float64) func(c *reassembly.Conn) {
		return func(c *reassembly.Conn) {
			c.Ends[side].Timeline = []reassembly.Transition{{State: reassembly.TimeWait, At: wire.Time(ms * 1e6)}}
		}
	}
	for _, tt := range []struct {
		name string
		segs []seg
		with func(c *reassembly.Conn)
		want []string
	}{
		// lost-final-ack
		{"clean close", closing(last(114)), nil, nil},
		{"C05b", closing(last(114), again(330), last(334)), nil, []string{"C05b warning certain server [9 10 11 12]"}},
		{"C05b, the FIN comes a little late", closing(last(114), again(130), last(134)), nil, []string{"C05b warning likely server [9 10 11 12]"}},
		{"C05b, response time unknown", closing(last(114), again(330), last(334)), func(c *reassembly.Conn) { c.Ends[sv].Response = 0 },
			[]string{"C05b warning likely server [9 10 11 12]"}},
		{"near miss: FIN and ACK cross", closing(last(114), again(117), last(121)), nil, nil},
		{"near miss: the network's copy, same identification", closing(last(114), seg{ms: 330, from: sv, flags: fin, seq: 201, ack: 102, ipid: 7}), func(c *reassembly.Conn) { c.Events[8].IPID = 7 }, nil},
		{"near miss: the network's copy, same time stamp", closing(last(114), seg{ms: 330, from: sv, flags: fin, seq: 201, ack: 102, tsval: 9}), func(c *reassembly.Conn) {
			c.Events[8].TSVal = 9
			c.Events[8].Marks |= reassembly.MarkTimestamp
		}, nil},
		{"C05b, new time stamp", closing(last(114), seg{ms: 330, from: sv, flags: fin, seq: 201, ack: 102, tsval: 240}), func(c *reassembly.Conn) {
			c.Events[8].TSVal = 9
			c.Events[8].Marks |= reassembly.MarkTimestamp
		}, []string{"C05b warning certain server [9 10 11]"}},
		{"near miss: a minute later no timer repeats a FIN for the first time", closing(last(114), again(60330)), nil, []string{"W05 info likely both [11]"}},
		{"C05b, every ACK lost", closing(last(114), again(330), last(334), again(760), last(764), again(1600), last(1604)), nil,
			[]string{"C05b warning certain server [9 10 11 12 13 14 15 16]", "C09 warning certain server [9 11 13 15]"}},
		{"C05a, answered later", closing(again(330), last(334)), nil, []string{"C05a warning likely server [9 10 11]"}},
		{"C05a, the peer silent", closing(again(330), again(760)), nil, []string{"C05a warning likely server [9 10 11]", "C09 info likely server [9 10 11]"}},
		{"C05a under capture loss", closing(again(330), last(334)), func(c *reassembly.Conn) { c.Ends[cl].MissingBytes = 100 },
			[]string{"C05a warning possible server [9 10 11]"}},
		{"near miss: the ACK was only late", closing(again(330), last(331)), nil, nil},
		{"C05b and C05c", closing(last(114), again(330), seg{ms: 334, from: cl, flags: rst, seq: 102}), nil,
			[]string{"C05b warning certain server [9 10 11]", "C05c warning certain server [9 11 12]"}},
		{"C05d", closing(), atEnd(300 * time.Millisecond), []string{"C05d info likely server [9]"}},
		{"near miss: the capture went on", closing(), atEnd(5 * time.Second), nil},
		{"near miss: the ACK passed, then the end", closing(last(114)), atEnd(time.Millisecond), nil},
		{"near miss: the first FIN is repeated", after(seg{ms: 100, from: cl, flags: fin, seq: 101, ack: 201}, seg{ms: 310, from: cl, flags: fin, seq: 101, ack: 201}), nil, nil},
		{"simultaneous close", after(seg{ms: 100, from: cl, flags: fin, seq: 101, ack: 201}, seg{ms: 102, from: sv, flags: fin, seq: 201, ack: 101},
			seg{ms: 106, from: cl, flags: ack, seq: 102, ack: 202}, seg{ms: 106, from: sv, flags: ack, seq: 202, ack: 102}), nil, nil},
		{"simultaneous close, one ACK lost", after(seg{ms: 100, from: cl, flags: fin, seq: 101, ack: 201}, seg{ms: 102, from: sv, flags: fin, seq: 201, ack: 101},
			seg{ms: 106, from: cl, flags: ack, seq: 102, ack: 202}, seg{ms: 106, from: sv, flags: ack, seq: 202, ack: 102}, seg{ms: 312, from: cl, flags: fin, seq: 101, ack: 202}), nil,
			[]string{"C05b warning certain client [7 10 11]"}},

		// RSTs
		{"H03", []seg{{ms: 0, from: cl, flags: syn}, {ms: 4, from: sv, flags: rstack, ack: 1, win: -1}}, nil, []string{"H03 warning certain server [1 2]"}},
		{"near miss: a SYN-ACK before", []seg{{ms: 0, from: cl, flags: syn}, {ms: 4, from: sv, flags: synack, ack: 1}, {ms: 8, from: cl, flags: ack, seq: 1, ack: 1},
			{ms: 12, from: sv, flags: rst, seq: 1}}, nil, []string{"H07 warning likely server [2 3 4]"}},
		{"C13", after(seg{ms: 100, from: cl, flags: fin, seq: 101, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 102},
			seg{ms: 150, from: sv, flags: push, seq: 201, len: 100, ack: 102}, seg{ms: 154, from: cl, flags: rst, seq: 102}), nil,
			[]string{"C13 warning certain both [7 9 10]", "D11 info likely server [9 10]"}},
		{"C13, a farewell", after(seg{ms: 100, from: cl, flags: fin, seq: 101, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 102},
			seg{ms: 150, from: sv, flags: push, seq: 201, len: 31, ack: 102}, seg{ms: 154, from: cl, flags: rst, seq: 102}), nil,
			[]string{"C13 info certain both [7 9 10]", "D11 info likely server [9 10]"}},
		{"C13, the client's time limit ran out", after(seg{ms: 100, from: cl, flags: push, seq: 101, len: 100, ack: 201}, seg{ms: 600, from: cl, flags: fin, seq: 201, ack: 201},
			seg{ms: 603, from: sv, flags: push, seq: 201, len: 100, ack: 201}, seg{ms: 603.1, from: cl, flags: rst, seq: 201}), nil,
			[]string{"C13 warning certain both [8 9 10]", "D11 info likely server [9 10]"}},
		{"C13, the client did not wait", after(seg{ms: 100, from: cl, flags: push, seq: 101, len: 100, ack: 201}, seg{ms: 105, from: cl, flags: fin, seq: 201, ack: 201},
			seg{ms: 106, from: sv, flags: push, seq: 201, len: 100, ack: 201}, seg{ms: 106.1, from: cl, flags: rst, seq: 201}), nil,
			[]string{"C13 info certain both [8 9 10]", "D11 info likely server [9 10]"}},
		{"C03, and a near miss of C13: the data is acknowledged", after(seg{ms: 100, from: cl, flags: fin, seq: 101, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 102},
			seg{ms: 150, from: sv, flags: push, seq: 201, len: 10, ack: 102}, seg{ms: 154, from: cl, flags: ack, seq: 102, ack: 211}), nil, []string{"C03 info certain both [7 9 10]"}},
		{"C14, nothing outstanding", after(seg{ms: 100, from: cl, flags: fin, seq: 101, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 102},
			seg{ms: 120, from: cl, flags: rstack, seq: 102, ack: 201}), nil, []string{"C14 info certain client [7 8 9]"}},
		{"C14, data outstanding", after(seg{ms: 90, from: cl, flags: push, seq: 101, len: 50, ack: 201}, seg{ms: 91, from: cl, flags: fin, seq: 151, ack: 201},
			seg{ms: 92, from: cl, flags: rstack, seq: 152, ack: 201}), nil, []string{"C14 warning certain client [8 9]", "D11 info likely client [7 9]"}},
		{"C05c at once", closing(seg{ms: 114, from: cl, flags: rst, seq: 102}), nil, []string{"C05c info certain server [7 9 10]"}},
		{"C15", closing(seg{ms: 114, from: cl, flags: rstack, seq: 102, ack: 202}), nil, []string{"C15 info likely server [7 9 10]"}},
		{"near miss: RST to a late copy after an orderly close", closing(last(114), seg{ms: 120, from: sv, flags: rst, seq: 202}), nil, nil},
		{"D10", after(seg{ms: 5000, from: cl, flags: push, seq: 101, len: 10, ack: 201}, seg{ms: 5004, from: sv, flags: rst, seq: 201}), nil,
			[]string{"D10 warning likely both [7 8]", "D11 info likely client [7 8]"}},
		{"D10, folded data", after(seg{ms: 5000, lastMS: 5010, from: cl, flags: push, seq: 101, len: 10, ack: 201}, seg{ms: 5014, from: sv, flags: rst, seq: 201}), nil,
			[]string{"D10 warning likely both [7 8]", "D11 info likely client [7 8]"}},
		{"near miss: the segment had been acknowledged", after(seg{ms: 100, from: cl, flags: push, seq: 101, len: 10, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 111},
			seg{ms: 130, from: sv, flags: rst, seq: 201, ttl: 61}), nil, []string{"R02 warning likely both [9]"}},
		{"near miss: the sender had reset before", after(seg{ms: 100, from: sv, flags: rstack, seq: 201, ack: 101}, seg{ms: 101, from: cl, flags: push, seq: 101, len: 10, ack: 201},
			seg{ms: 105, from: sv, flags: rst, seq: 201}), nil, []string{"C11 info likely server [7]", "D11 info likely client [7 8]"}},
		{"C11", after(seg{ms: 100, from: cl, flags: rstack, seq: 101, ack: 201}), nil, []string{"C11 info likely client [7]"}},
		{"C11, own data outstanding", after(seg{ms: 100, from: cl, flags: push, seq: 101, len: 9, ack: 201}, seg{ms: 101, from: cl, flags: rstack, seq: 110, ack: 201}), nil,
			[]string{"C11 warning likely client [8]", "D11 info likely client [7 8]"}},
		{"C12", after(seg{ms: 100, from: cl, flags: push, seq: 101, len: 9, ack: 201}, seg{ms: 104, from: sv, flags: rstack, seq: 201, ack: 110}), nil,
			[]string{"C12 warning likely server [7 8]"}},
		{"near miss: the kernel gave up on a dead peer", after(seg{ms: 9000, from: cl, flags: ack, seq: 100, ack: 201, marks: reassembly.MarkKeepalive},
			seg{ms: 9900, from: cl, flags: rstack, seq: 101, ack: 201}), nil, nil},
		{"near miss: a forged RST, the side goes on", after(seg{ms: 100, from: sv, flags: rstack, seq: 201, ack: 101, ttl: 50, win: -1},
			seg{ms: 140, from: sv, flags: push, seq: 201, len: 10, ack: 101}), nil, []string{"R02 warning certain both [7 8]"}},
		{"W04", closing(last(114), seg{ms: 200, from: cl, flags: ack, seq: 102, ack: 202}, seg{ms: 204, from: sv, flags: rst, seq: 202}), timeWait(cl, 110),
			[]string{"W04 info likely client [11 12]"}},
		{"near miss: not the exact number", closing(last(114), seg{ms: 204, from: sv, flags: rst, seq: 201}), timeWait(cl, 110), nil},

		// fin-beyond-hole
		{"C16", after(seg{ms: 100, from: cl, flags: fin, seq: 151, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 101},
			seg{ms: 106, from: cl, flags: push, seq: 101, len: 50, ack: 201}, seg{ms: 110, from: sv, flags: ack, seq: 201, ack: 152}), nil,
			[]string{"C16 info certain client [7 8 9 10]"}},
		{"C16, never filled", after(seg{ms: 100, from: cl, flags: fin, seq: 151, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 101}), nil,
			[]string{"C16 info possible client [7 8]"}},
		{"near miss: the peer had the data, the capture lost it", after(seg{ms: 100, from: cl, flags: fin, seq: 151, ack: 201}, seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 152}), nil, nil},

		// old-duplicate
		{"W05, numbers of another incarnation", after(seg{ms: 100, from: cl, flags: push, seq: -5000, len: 10, ack: -9000, marks: reassembly.MarkOther},
			seg{ms: 104, from: sv, flags: ack, seq: 201, ack: 101}), nil, []string{"W05 warning certain both [7 8]"}},
		{"W05, after the close", closing(last(114), seg{ms: 300, from: cl, flags: push, seq: 1, len: 100, ack: 1}), nil, []string{"W05 info likely both [11]"}},
		{"near miss: a retransmission before the close", after(seg{ms: 210, from: cl, flags: push, seq: 1, len: 100, ack: 1}), nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := build(t, tt.segs)
			if tt.with != nil {
				tt.with(c)
			}
			got := brief(check(t, c), false)
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

func TestProvenance(t *testing.T) {
	for _, tt := range []struct {
		name string
		segs []seg
		want string // what R01 says, and its message
		says string
	}{
		{"refused", []seg{{ms: 0, from: cl, flags: syn}, {ms: 4, from: sv, flags: rstack, ack: 1, win: -1}}, "R01 info certain server [1 2]", "refusal"},
		{"reply", after(seg{ms: 100, from: cl, flags: push, seq: 101, len: 10, ack: 201}, seg{ms: 104, from: sv, flags: rst, seq: 201}), "R01 info certain server [7 8]", "client's data"},
		{"two replies belong to two segments", after(seg{ms: 100, from: cl, flags: push, seq: 101, len: 10, ack: 201}, seg{ms: 100.1, from: cl, flags: push, seq: 111, len: 10, ack: 201},
			seg{ms: 104, from: sv, flags: rst, seq: 201}, seg{ms: 104.1, from: sv, flags: rst, seq: 201}), "R01 info certain server [7 8 9 10]", "first of 2 RSTs"},
		{"one reply belongs to the last of two", closing(seg{ms: 114, from: cl, flags: rst, seq: 102}), "R01 info certain client [9 10]", "server's FIN"},
		{"abort", after(seg{ms: 100, from: cl, flags: rstack, seq: 101, ack: 201}), "R01 info certain client [7]", "abort of a socket"},
		{"abort with window 0", after(seg{ms: 100, from: cl, flags: rstack, seq: 101, ack: 201, win: -1}), "R01 info likely client [7]", "abort of a socket"},
		{"abort form from elsewhere", after(seg{ms: 100, from: cl, flags: rstack, seq: 101, ack: 201, win: -1, ttl: 61}), "R01 info likely client [7]", "device"},
		{"the side goes on", after(seg{ms: 100, from: sv, flags: rstack, seq: 201, ack: 101}, seg{ms: 140, from: sv, flags: push, seq: 201, len: 10, ack: 101}), "R01 info likely server [7]", "device"},
		{"opening side", []seg{{ms: 0, from: cl, flags: syn}, {ms: 4, from: sv, flags: ack, seq: 900, ack: 700}, {ms: 8, from: cl, flags: rst, seq: 700}}, "R01 info likely client [2 3]", "reply"},
		{"nothing that it answers", after(seg{ms: 9000, from: cl, flags: rst, seq: 101}), "R01 info possible client [7]", "no form"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range check(t, build(t, tt.segs)) {
				if f.Catalogue == "R01" {
					got = append(got, brief([]Finding{f}, true)...)
					if !strings.Contains(f.Message, tt.says) {
						t.Errorf("%q does not say %q", f.Message, tt.says)
					}
				}
			}
			if !slices.Equal(got, []string{tt.want}) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// The tracker marks what belongs to an earlier life of the tuple.
func TestOldSegmentInNextConnection(t *testing.T) {
	c := build(t, closing(seg{ms: 114, from: cl, flags: ack, seq: 102, ack: 202}, seg{ms: 900, from: cl, flags: push, seq: 1, len: 100, ack: 1}))
	if got := brief(check(t, c), false); !slices.Equal(got, []string{"W05 info likely both [11]"}) {
		t.Errorf("a stray of its own: found %q", got)
	}
	c.Events[10].Marks |= reassembly.MarkOther
	c.Seen |= reassembly.SeenOther
	if got := brief(check(t, c), false); !slices.Equal(got, []string{"W05 warning certain both [11]"}) {
		t.Errorf("another life's: found %q", got)
	}
}

// Whatever a log holds, the rules neither panic nor report half a finding.
func TestAnyLog(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	flags := []wire.Flags{syn, synack, ack, push, fin, rst, rstack, 0}
	marks := []reassembly.Marks{0, 0, 0, 0, reassembly.MarkOther, reassembly.MarkOutside, reassembly.MarkKeepalive}
	for range 6000 {
		var segs []seg
		ms, pace := 0.0, 50.0
		switch r.IntN(4) {
		case 0:
			segs = after()
		case 1:
			segs = after()[:2]
		}
		if n := len(segs); n > 0 {
			ms = segs[n-1].ms
		}
		for range 1 + r.IntN(20) {
			if r.IntN(8) == 0 {
				pace = 50 * float64(1+r.IntN(2)*2000)
			}
			ms += r.ExpFloat64() * pace
			segs = append(segs, seg{ms: ms, from: reassembly.Side(r.IntN(2)), flags: flags[r.IntN(len(flags))], seq: r.IntN(4), len: r.IntN(2), ack: r.IntN(5),
				ttl: uint8(60 + r.IntN(2)), marks: marks[r.IntN(len(marks))]})
			if r.IntN(4) == 0 && len(segs) > 4 {
				// What follows from what was there: the next number, and all acknowledged.
				s := &segs[len(segs)-1]
				s.seq, s.ack = 101+r.IntN(2), 201+r.IntN(2)
				if s.from == sv {
					s.seq, s.ack = s.ack, s.seq
				}
			}
		}
		c := build(t, segs)
		c.Ended = reassembly.Ended(r.IntN(3))
		c.RoleBy = reassembly.RoleBy(r.IntN(4))
		c.Replaced = r.IntN(2) == 0
		c.Next.Answer, c.Next.Key.Start = wire.FrameID(r.IntN(2)), wire.Time(r.IntN(1e9))
		check(t, c)
		if t.Failed() {
			t.Fatalf("on %+v", segs)
		}
	}
}
