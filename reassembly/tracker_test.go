package reassembly

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

func TestRoles(t *testing.T) {
	for _, tt := range []struct {
		name     string
		flags    wire.Flags
		src, dst uint16
		client   bool // the sender is the client
		by       RoleBy
	}{
		{"a SYN, even towards an ephemeral port", syn, 80, 50000, true, RoleBySYN},
		{"a SYN-ACK, even from an ephemeral port", synack, 50000, 80, false, RoleBySYNACK},
		{"mid-stream, from a well-known port", psh, 443, 50000, false, RoleByPort},
		{"mid-stream, to a well-known port", psh, 50000, 443, true, RoleByPort},
		{"mid-stream, from below the ephemeral ports", psh, 8080, 50000, false, RoleByPort},
		{"mid-stream, two ephemeral ports", psh, 50000, 40000, true, RoleByGuess},
		{"mid-stream, two well-known ports", psh, 80, 443, true, RoleByGuess},
		{"a SYN with RST says nothing", syn | rst, 443, 50000, false, RoleByPort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript()
			s.tuple.SrcPort, s.tuple.DstPort = tt.src, tt.dst
			c := s.client(tt.flags, 0, 0, payload(10)).only(t)
			want(t, "client's port is the sender's", c.Tuple.SrcPort == tt.src, tt.client)
			want(t, "role by", c.RoleBy, tt.by)
		})
	}
}

func TestRolesDoNotDependOnAddresses(t *testing.T) {
	s := newScript()
	s.tuple.Src, s.tuple.Dst = s.tuple.Dst, s.tuple.Src
	c := s.handshake().clientCloses().only(t)
	want(t, "client's port", c.Tuple.SrcPort, 40000)
	want(t, "client", states(c, Client), "SYN_SENT ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT")
	want(t, "server", states(c, Server), "SYN_RECEIVED ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED")
}

// TestSYNACKFirst: the capture begins with the SYN-ACK, or holds it before the SYN.
func TestSYNACKFirst(t *testing.T) {
	c := newScript().server(synack, 0, 1).client(ack, 1, 1).clientCloses().only(t)
	want(t, "role by", c.RoleBy, RoleBySYNACK)
	want(t, "client's port", c.Tuple.SrcPort, 40000)
	want(t, "client's ISN", c.Ends[Client].ISN, 1000)
	want(t, "handshake", c.Handshake.Outcome, HandshakeComplete)

	c = newScript().server(synack, 0, 1).after(time.Microsecond).client(syn, 0, 0).client(ack, 1, 1).clientCloses().only(t)
	want(t, "client's port, SYN second", c.Tuple.SrcPort, 40000)
	want(t, "client, SYN second", states(c, Client), "SYN_SENT ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT")
}

func TestMidstream(t *testing.T) {
	c := newScript().client(psh, 501, 901, payload(100)).server(ack, 901, 601).only(t)
	want(t, "handshake", c.Handshake.Outcome, HandshakeUnseen)
	want(t, "client", timeline(c, Client), "ESTABLISHED[assumed 1]")
	want(t, "server", timeline(c, Server), "ESTABLISHED[assumed 1]")
	want(t, "client has an ISN", c.Ends[Client].HasISN, false)
	want(t, "first", c.Ends[Client].First, 1501)
	want(t, "unique bytes", c.Ends[Client].UniqueBytes, 100)
}

// TestRepeatedSYNsAreOneAttempt, however many there are.
func TestRepeatedSYNsAreOneAttempt(t *testing.T) {
	s := newScript()
	for range 6 {
		s.client(syn, 0, 0).after(16 * time.Second)
	}
	c := s.server(synack, 0, 1).client(ack, 1, 1).only(t)
	want(t, "SYNs", c.Handshake.SYNs, 6)
	want(t, "client's packets", c.Ends[Client].Packets, 7)
	want(t, "seen", c.Seen&SeenRepeatSYN != 0, true)
	want(t, "handshake", c.Handshake.Outcome, HandshakeComplete)
}

// TestNewISNIsANewIncarnation when the old one was closed, open, or only attempted.
func TestNewISNIsANewIncarnation(t *testing.T) {
	for name, first := range map[string]func(*script){
		"closed":    func(s *script) { s.handshake().clientCloses() },
		"open":      func(s *script) { s.handshake() },
		"attempted": func(s *script) { s.client(syn, 0, 0) },
		"reset":     func(s *script) { s.handshake().server(rst, 1, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript()
			first(s)
			n := len(s.segs)
			s.after(time.Second).reopen(500_000, 600_000).handshake().clientCloses()
			h := s.run(0)
			if len(h.conns) != 2 {
				t.Fatalf("%d connections, want 2", len(h.conns))
			}
			a, b := &h.conns[0], &h.conns[1]
			want(t, "packets of the first", a.Ends[0].Packets+a.Ends[1].Packets, uint64(n))
			want(t, "packets of the second", b.Ends[0].Packets+b.Ends[1].Packets, 7)
			want(t, "the second's predecessor", b.Previous.Key, a.Key)
			want(t, "the first's successor", a.Next.Key, b.Key)
			want(t, "its answer", a.Next.Answer.Number(), uint64(n+2))
			want(t, "replaced", a.Replaced, true)
			want(t, "the second's client", states(b, Client), "SYN_SENT ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT")
			want(t, "the first's end", a.Ends[Client].Final(), Closed)
		})
	}
}

// TestIncarnationsLimit: whoever plays with SYNs gets no more than a few records.
func TestIncarnationsLimit(t *testing.T) {
	h := &heard{}
	tr := listener(h)
	s := newScript()
	const n = 50
	for i := range uint32(n) {
		s.client(syn, 0, 0, func(seg *wire.Segment) { seg.Seq += wire.Seq(i * 100_000) })
		tr.Feed(&s.segs[i])
		if tr.Open() > incarnationsMax {
			t.Fatalf("%d incarnations held, the bound is %d", tr.Open(), incarnationsMax)
		}
	}
	tr.Flush()
	want(t, "connections", len(h.conns), n)
	for i := range h.conns {
		want(t, "packets", h.conns[i].Ends[Client].Packets, 1)
		if i > 0 {
			want(t, "predecessor", h.conns[i].Previous.Key, h.conns[i-1].Key)
		}
	}
}

// TestRefusedReuse: a SYN while the peer is in TIME_WAIT or still open may be
// refused with a challenge ACK (field guide W02). The old connection's segments go
// to the old one.
func TestRefusedReuse(t *testing.T) {
	s := newScript().handshake()
	s.client(psh, 1, 1, payload(100)).server(ack, 1, 101).clientCloses2(101)
	before := len(s.segs)
	old := s.isn
	s.after(5*time.Second).reopen(900_000, 0).client(syn, 0, 0)
	s.isn = old
	s.server(ack, 2, 102) // the challenge
	s.isn = [2]wire.Seq{900_000, 0}
	s.client(rst, 0, 0, func(seg *wire.Segment) { seg.Seq = old[Client] + 102 })
	h := s.run(0)
	if len(h.conns) != 2 {
		t.Fatalf("%d connections, want 2", len(h.conns))
	}
	a, b := &h.conns[0], &h.conns[1]
	want(t, "the old one's packets", a.Ends[0].Packets+a.Ends[1].Packets, uint64(before+2))
	want(t, "the new one's packets", b.Ends[0].Packets+b.Ends[1].Packets, 1)
	want(t, "replaced", a.Replaced, false)
	want(t, "the attempt's answer", a.Next.Answer, 0)
}

// clientCloses2 is a close after n octets of the client.
func (s *script) clientCloses2(next uint32) *script {
	return s.client(fin, next, 1).server(ack, 1, next+1).server(fin, 1, next+1).client(ack, next+1, 2)
}

// TestIdleTimeNeverSplits: a connection that is silent for a week is one.
func TestIdleTimeNeverSplits(t *testing.T) {
	c := newScript().handshake().client(psh, 1, 1, payload(10)).after(7*24*time.Hour).server(psh, 1, 11, payload(20)).
		after(time.Hour).client(ack, 11, 21).only(t)
	want(t, "packets", c.Ends[Client].Packets+c.Ends[Server].Packets, 6)
	want(t, "mid-stream, too", len(newScript().client(psh, 1, 1, payload(1)).after(7*24*time.Hour).server(ack, 1, 2).run(0).conns), 1)
}

// TestSettle: a closed connection leaves when 2MSL and the timer's slack are over,
// an attempt when nobody can answer it any more, an open one never.
func TestSettle(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    *script
		want time.Duration // after the last segment; 0: never
	}{
		{"closed", newScript().handshake().clientCloses(), Linux.TimeWait + Linux.TimerSlack},
		{"reset", newScript().handshake().server(rst, 1, 0), Linux.TimeWait + Linux.TimerSlack},
		{"attempt", newScript().client(syn, 0, 0), Linux.SYNSpan + Linux.TimeWait},
		{"open", newScript().handshake(), 0},
		{"half-closed", newScript().handshake().client(fin, 1, 1).server(ack, 1, 2), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &heard{}
			tr := listener(h)
			for i := range tt.s.segs {
				tr.Feed(&tt.s.segs[i])
			}
			left := time.Duration(0)
			for d := time.Duration(0); d < 400*time.Second && left == 0; d += 100 * time.Millisecond {
				tr.Advance(tt.s.at.Add(d))
				if len(h.conns) > 0 {
					left = d
				}
			}
			switch {
			case left < tt.want, tt.want == 0 && left != 0:
				t.Fatalf("left after %v, want %v", left, tt.want)
			case left > tt.want+1100*time.Millisecond:
				t.Errorf("left after %v, due after %v", left, tt.want)
			}
			if tt.want != 0 {
				want(t, "ended", h.conns[0].Ended, EndedSettled)
				want(t, "held", tr.Open(), 0)
			}
		})
	}
}

// TestLate: what comes after a connection has left is a late group with its key,
// never a second connection; what belongs to nobody is one.
func TestLate(t *testing.T) {
	s := newScript().handshake().clientCloses()
	key := UIDKey{Tuple: s.tuple, Start: scriptStart, ISN: 1000}
	s.after(80*time.Second).server(fin, 1, 2).after(time.Second).server(fin, 1, 2).client(rst, 2, 0)
	n := len(s.segs)
	h := s.run(0)
	if len(h.conns) != 1 || len(h.late) != 1 {
		t.Fatalf("%d connections, %d late groups, want one of each", len(h.conns), len(h.late))
	}
	l := h.late[0]
	want(t, "key", l.Key, key)
	want(t, "packets", l.Packets, [2]uint64{1, 2})
	want(t, "FINs and RSTs", [3]uint64{l.SYNs, l.FINs, l.RSTs}, [3]uint64{0, 2, 1})
	want(t, "first and last", [2]uint64{l.First.Number(), l.Last.Number()}, [2]uint64{uint64(n - 2), uint64(n)})

	t.Run("a stranger's numbers", func(t *testing.T) {
		s := newScript().handshake().clientCloses().after(80*time.Second).reopen(5_000_000, 6_000_000).server(psh, 1, 1, payload(10))
		h := s.run(0)
		want(t, "connections", len(h.conns), 2)
		want(t, "late groups", len(h.late), 0)
		want(t, "predecessor", h.conns[1].Previous.Key, key)
	})
	t.Run("a new SYN", func(t *testing.T) {
		s := newScript().handshake().clientCloses().after(80*time.Second).reopen(5_000_000, 6_000_000).handshake()
		h := s.run(0)
		want(t, "connections", len(h.conns), 2)
		want(t, "predecessor", h.conns[1].Previous.Key, key)
	})
	t.Run("the old SYN", func(t *testing.T) {
		h := newScript().handshake().clientCloses().after(80*time.Second).client(syn, 0, 0).run(0)
		want(t, "connections", len(h.conns), 1)
		want(t, "SYNs of the late group", h.late[0].SYNs, 1)
	})
	t.Run("after the tomb", func(t *testing.T) {
		h := newScript().handshake().clientCloses().after(400*time.Second).server(fin, 1, 2).run(0)
		want(t, "connections", len(h.conns), 2)
	})
}

// TestDoubledFrames: a frame that the capture holds twice counts as a packet and as
// nothing else.
func TestDoubledFrames(t *testing.T) {
	once := newScript().handshake().client(psh, 1, 1, payload(100)).server(ack, 1, 101).clientCloses2(101)
	twice := newScript()
	for i := range once.segs {
		for j := range 2 {
			s := once.segs[i]
			s.At += wire.Time(j) * 1500
			s.Frame = wire.NewFrameID(0, uint64(len(twice.segs)+1))
			twice.segs = append(twice.segs, s)
		}
	}
	twice.at = twice.segs[len(twice.segs)-1].At
	a, b := once.only(t), twice.only(t)
	for side := range a.Ends {
		x, y := &a.Ends[side], &b.Ends[side]
		want(t, "packets", y.Packets, 2*x.Packets)
		want(t, "duplicates", y.Duplicates, x.Packets)
		want(t, "unique bytes", y.UniqueBytes, x.UniqueBytes)
		want(t, "retransmits", y.Retransmits, x.Retransmits)
		want(t, "states", states(b, Side(side)), states(a, Side(side)))
	}
	want(t, "events", len(b.Events), len(a.Events))
	want(t, "seen", b.Seen, a.Seen|SeenDuplicate)

	for _, tt := range []struct {
		name   string
		after  time.Duration
		w      []with
		double bool
	}{
		{"1 ms later", time.Millisecond, nil, true},
		{"5 ms later", 5 * time.Millisecond, nil, false},
		{"50 ms later, with its IP identification", 50 * time.Millisecond, []with{ipid(77)}, true},
		{"50 ms later, with its time stamp", 50 * time.Millisecond, []with{timestamp(9)}, true},
		{"a retransmission after 200 ms", 200 * time.Millisecond, []with{ipid(77)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := append(tt.w, payload(10))
			c := newScript().handshake().client(psh, 1, 1, w...).after(tt.after).client(psh, 1, 1, w...).only(t)
			want(t, "duplicates", c.Ends[Client].Duplicates == 1, tt.double)
			want(t, "retransmits", c.Ends[Client].Retransmits == 0, tt.double)
		})
	}
}

// TestDoubleOfASYN: what a SYN changes about the life that it belongs to makes no other
// life of its double.
func TestDoubleOfASYN(t *testing.T) {
	s := newScript().after(0).client(syn, 0, 0).server(syn, 0, 0).
		client(ack, 1, 1).client(fin, 1, 1).client(fin, 2, 1).client(syn, 0, 0).client(ack, 3, 1).server(ack, 1, 3).
		after(3*time.Millisecond).client(ack, 3, 1).client(psh, 3, 1, payload(1)).client(ack, 4, 1).
		after(3*time.Millisecond).client(ack, 4, 1).client(fin, 4, 1).server(fin, 1, 5).
		client(rst, 5, 0).client(synack, 0, 2).server(ack, 2, 5).client(syn, 0, 0)
	want(t, "lives", len(track(s.segs).conns), 1)
	s.after(time.Microsecond).client(syn, 0, 0)
	want(t, "lives with the double", len(track(s.segs).conns), 1)
}

// TestSequenceWrap: nothing depends on where the numbers are.
func TestSequenceWrap(t *testing.T) {
	run := func(isn [2]wire.Seq) *Conn {
		s := newScript()
		s.isn = isn
		s.handshake()
		for i := range uint32(20) {
			s.client(psh, 1+100*i, 1, payload(100))
		}
		return s.server(ack, 1, 2001).clientCloses2(2001).only(t)
	}
	plain := run([2]wire.Seq{1000, 2000})
	for _, isn := range [][2]wire.Seq{{0xffffffff, 0xffffffff}, {0xffffff00, 5}, {0x7fffffff, 0x7ffffff0}, {0xfffffff0 - 1000, 0}} {
		c := run(isn)
		for side := range c.Ends {
			want(t, fmt.Sprint(isn, " timeline"), timeline(c, Side(side)), timeline(plain, Side(side)))
			want(t, fmt.Sprint(isn, " unique bytes"), c.Ends[side].UniqueBytes, plain.Ends[side].UniqueBytes)
		}
		want(t, fmt.Sprint(isn, " seen"), c.Seen, plain.Seen)
	}
}

// TestMarks: one remarkable segment at the end of each script.
func TestMarks(t *testing.T) {
	open := func() *script { return newScript().handshake().client(psh, 1, 1, payload(100)).server(ack, 1, 101) }
	for _, tt := range []struct {
		name string
		s    *script
		want Marks
	}{
		{"ordinary data", open().client(psh, 101, 1, payload(50)), 0},
		{"a retransmission", open().client(psh, 1, 1, payload(100)), MarkRepeat},
		{"a partial retransmission", open().client(psh, 51, 1, payload(100)), MarkRepeat},
		{"a gap", open().client(psh, 201, 1, payload(50)), MarkGap},
		{"what fills a gap", open().client(psh, 201, 1, payload(50)).client(psh, 101, 1, payload(100)), 0},
		{"a keepalive", open().client(ack, 100, 1), MarkKeepalive},
		{"a keepalive with an octet", open().client(ack, 100, 1, payload(1)), MarkKeepalive},
		{"a closed window", open().server(ack, 1, 101, window(0)), MarkZeroWindow},
		{"a SYN's window of 0 says nothing", newScript().client(syn, 0, 0, window(0)), 0},
		{"a D-SACK", func() *script { s := open(); return s.server(ack, 1, 101, s.dsack(Server, 1, 101)) }(), MarkDSACK},
		{"an acknowledgment of what was never captured", open().server(ack, 1, 201), MarkAckUnseen},
		{"time stamps", open().client(psh, 101, 1, payload(50), timestamp(5)), MarkTimestamp},
		{"a repeated SYN", newScript().client(syn, 0, 0).after(time.Second).client(syn, 0, 0), MarkRepeat},
		{"a repeated FIN", open().client(fin, 101, 1).after(time.Second).client(fin, 101, 1), MarkRepeat},
		{"a RST in the window", open().client(rst, 101, 0), 0},
		{"a RST far outside", open().client(rst, 1<<28, 0), MarkOutside},
		{"data beyond any window", open().client(psh, 1<<30+200, 1, payload(5)), MarkOutside},
		{"data far below", open().client(psh, 1<<31, 1, payload(5)), MarkOutside},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.s.only(t)
			e := c.Events[len(c.Events)-1]
			want(t, "marks", e.Marks, tt.want)
		})
	}
}

// TestMissingAndRepeated: the ranges say what was acknowledged and never captured,
// and what was sent more than once.
func TestMissingAndRepeated(t *testing.T) {
	isn := newScript().isn[Client]
	at := func(from, to uint32) Range { return Range{isn.Add(from), isn.Add(to)} }
	for _, tt := range []struct {
		name              string
		s                 *script
		missing, repeated []Range
		unique, rexmits   uint64
		hole              bool
	}{
		{"acknowledged and never captured", newScript().handshake().client(psh, 101, 1, payload(50)).server(ack, 1, 151), []Range{at(1, 101)}, nil, 50, 0, false},
		{"a hole that nobody acknowledged", newScript().handshake().client(psh, 101, 1, payload(50)).server(ack, 1, 1), nil, nil, 50, 0, true},
		{"half acknowledged", newScript().handshake().client(psh, 101, 1, payload(50)).server(ack, 1, 51), []Range{at(1, 51)}, nil, 50, 0, true},
		{"filled", newScript().handshake().client(psh, 101, 1, payload(50)).client(psh, 1, 1, payload(100)).server(ack, 1, 151), nil, nil, 150, 0, false},
		{"filled in the middle", newScript().handshake().client(psh, 101, 1, payload(50)).client(psh, 41, 1, payload(20)).server(ack, 1, 151), []Range{at(1, 41), at(61, 101)}, nil, 70, 0, false},
		{"sent twice", newScript().handshake().client(psh, 1, 1, payload(100)).client(psh, 1, 1, payload(100)), nil, []Range{at(1, 101)}, 100, 1, false},
		{"half of it sent twice", newScript().handshake().client(psh, 1, 1, payload(100)).client(psh, 51, 1, payload(100)), nil, []Range{at(51, 101)}, 150, 1, false},
		{"more holes than are told, all filled", manyHoles(40, func(s *script, n uint32) {
			for i := range n {
				s.client(psh, 1+200*i, 1, payload(100))
			}
			s.server(ack, 1, 1+200*n)
		}), nil, nil, 80 * 100, 0, false},
		{"the end alone", newScript().handshake().client(psh, 1, 1, payload(100)).server(ack, 1, 201), []Range{at(101, 201)}, nil, 100, 0, false},
		{"data again, now with the FIN", newScript().handshake().client(psh, 1, 1, payload(100)).client(fin, 1, 1, payload(100)), nil, []Range{at(1, 101)}, 100, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := tt.s.only(t).Ends[Client]
			if tt.name == "data again, now with the FIN" && e.UniqueBytes == 101 {
				t.Error("the FIN's number is counted as an octet when it comes with a retransmission")
			}
			if !slices.Equal(e.Missing, tt.missing) || !slices.Equal(e.Repeated, tt.repeated) {
				t.Errorf("missing %v, repeated %v, want %v and %v", e.Missing, e.Repeated, tt.missing, tt.repeated)
			}
			want(t, "unique bytes", e.UniqueBytes, tt.unique)
			want(t, "retransmits", e.Retransmits, tt.rexmits)
			want(t, "hole", e.HasHole, tt.hole)
		})
	}
}

// manyHoles is a client every other of whose segments of 100 octets does not come, and
// what follows.
func manyHoles(n uint32, then func(s *script, n uint32)) *script {
	s := newScript().handshake()
	for i := range n {
		s.client(psh, 101+200*i, 1, payload(100))
	}
	then(s, n)
	return s
}

// TestManyMissing: of many ranges the closest are told as one, but what is counted is
// what the capture lacks.
func TestManyMissing(t *testing.T) {
	e := manyHoles(40, func(s *script, n uint32) { s.server(ack, 1, 1+200*n) }).only(t).Ends[Client]
	want(t, "ranges", len(e.Missing), rangesMax)
	want(t, "missing bytes", e.MissingBytes, 40*100)
	want(t, "hole", e.HasHole, false)

	s := newScript().handshake()
	for i := range uint32(2000) {
		s.client(psh, 101+200*i, 1, payload(100)).server(ack, 1, 201+200*i)
	}
	e = s.only(t).Ends[Client]
	want(t, "ranges of 2000", len(e.Missing), rangesMax)
	want(t, "missing bytes of 2000", e.MissingBytes, 2000*100)

	// What was given up before it was acknowledged may have come again.
	e = manyHoles(2000, func(s *script, n uint32) { s.server(ack, 1, 1) }).only(t).Ends[Client]
	want(t, "missing bytes where nothing is acknowledged", e.MissingBytes, 0)
	want(t, "hole where nothing is acknowledged", e.HasHole, true)
}

// TestLogIsBounded: however long a connection is, its log is not.
func TestLogIsBounded(t *testing.T) {
	const n = 100_000
	s := newScript().handshake()
	for i := range uint32(n) {
		s.after(time.Microsecond).client(psh, 1+10*i, 1, payload(10))
		if i%2 == 1 {
			s.after(time.Microsecond).server(ack, 1, 11+10*i)
		}
	}
	c := s.clientCloses2(1 + 10*n).only(t)
	want(t, "segments of the client", c.Ends[Client].Packets, n+4)
	want(t, "unique bytes", c.Ends[Client].UniqueBytes, 10*n)
	if len(c.Events) > 16 {
		t.Errorf("%d events of a plain bulk transfer", len(c.Events))
	}
	counted, octets := uint64(0), uint64(0)
	for i := range c.Events {
		counted += uint64(c.Events[i].Count)
		octets += uint64(c.Events[i].Len)
	}
	want(t, "segments in the log", counted, uint64(len(s.segs)))
	want(t, "octets in the log", octets, 10*n)
	want(t, "dropped", c.Dropped, 0)
	want(t, "client", states(c, Client), "SYN_SENT ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT")
}

// TestLogOfALossyConnection: retransmissions fold, too, when they are too many.
func TestLogOfALossyConnection(t *testing.T) {
	s := newScript().handshake()
	for i := range uint32(5000) {
		s.client(psh, 1+10*i, 1, payload(10)).client(psh, 1+10*i, 1, payload(10)).server(ack, 1, 11+10*i, window(uint16(i%2)))
	}
	c := s.clientCloses2(50_001).only(t)
	if n := len(c.Events); n > logMax {
		t.Errorf("%d events, the bound is %d", n, logMax)
	}
	var counted uint64
	for i := range c.Events {
		counted += uint64(c.Events[i].Count)
	}
	want(t, "counted and dropped", counted+uint64(c.Dropped), uint64(len(s.segs)))
	want(t, "retransmits", c.Ends[Client].Retransmits, 5000)
	want(t, "client", states(c, Client), "SYN_SENT ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT")
}

// TestLogKeepsTheEnd: what ended a long connection is told segment by segment, however
// much was remarkable before.
func TestLogKeepsTheEnd(t *testing.T) {
	s := newScript().handshake().client(psh, 1, 1, payload(10)).after(time.Millisecond).server(ack, 1, 11)
	const answered, vain = 500, 9
	for range answered {
		s.after(75*time.Second).client(ack, 10, 1).after(time.Millisecond).server(ack, 1, 11)
	}
	for range vain {
		s.after(75*time.Second).client(ack, 10, 1)
	}
	c := s.after(75*time.Second).client(rstack, 11, 1).only(t)
	n := len(c.Events)
	if n > logPlain+packTail {
		t.Errorf("%d events", n)
	}
	want(t, "the last event", c.Events[n-1].Kind, KindRST)
	for i := n - 1 - vain; i < n-1; i++ {
		if e := &c.Events[i]; !e.Marks.Has(MarkKeepalive) || e.Count != 1 {
			t.Errorf("event %d of %d is %d segments, marks %b", i, n, e.Count, e.Marks)
		}
	}
	probes := uint32(0)
	for i := range c.Events {
		if c.Events[i].Marks.Has(MarkKeepalive) {
			probes += c.Events[i].Count
		}
	}
	want(t, "probes", probes, answered+vain)
	want(t, "reason", c.Close.Reason, CloseKeepaliveDead)
}

// TestRepeatedFINsAreCounted, each by itself as long as there is place.
func TestRepeatedFINsAreCounted(t *testing.T) {
	s := newScript().handshake()
	for range 500 {
		s.after(time.Second).client(fin, 1, 1)
	}
	c := s.only(t)
	var fins uint32
	for i := range c.Events {
		if c.Events[i].Kind == KindFIN {
			fins += c.Events[i].Count
		}
	}
	want(t, "FINs", fins+c.Dropped, 500)
	want(t, "seen", c.Seen&SeenRepeatFIN != 0, true)
	if n := len(c.Events); n > logMax {
		t.Errorf("%d events, the bound is %d", n, logMax)
	}
}

// TestUIDKeyIsStable: the key is that of the first segment, whatever follows.
func TestUIDKeyIsStable(t *testing.T) {
	s := newScript().handshake().client(psh, 1, 1, payload(10)).clientCloses2(11)
	want(t, "key", s.only(t).Key, UIDKey{Tuple: s.tuple, Start: scriptStart, ISN: 1000})
	for n := 1; n <= len(s.segs); n++ {
		cut := *s
		cut.segs = s.segs[:n]
		want(t, fmt.Sprint("key after ", n), cut.only(t).Key, UIDKey{Tuple: s.tuple, Start: scriptStart, ISN: 1000})
	}
}

// TestEncapsulationSeparates: the same tuple in another VLAN is another connection.
func TestEncapsulationSeparates(t *testing.T) {
	s := newScript().handshake()
	inner := newScript()
	inner.tuple.Encap = 5
	inner.handshake()
	var both []wire.Segment
	for i := range s.segs {
		both = append(both, s.segs[i], inner.segs[i])
	}
	want(t, "connections", len(track(both).conns), 2)
}

// TestFlushBefore hands out in the order of opening, up to the stamp.
func TestFlushBefore(t *testing.T) {
	h := &heard{}
	tr := listener(h)
	for i := range uint16(300) {
		s := newScript()
		s.tuple.SrcPort = 10_000 + i*7%300
		s.handshake()
		tr.Feed(&s.segs[0])
	}
	for limit := uint64(50); limit <= 350; limit += 50 {
		tr.FlushBefore(limit)
		want(t, fmt.Sprint("connections before ", limit), len(h.conns), int(min(limit-1, 300)))
	}
	tr.Flush()
	want(t, "connections", len(h.conns), 300)
	for i := range h.conns {
		want(t, "port", h.conns[i].Tuple.SrcPort, 10_000+uint16(i)*7%300)
	}
}
