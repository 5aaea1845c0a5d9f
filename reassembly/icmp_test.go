package reassembly

import (
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// about makes an error that quotes a segment of a side, by its number relative to
// the side's ISN.
func (s *script) about(from Side, seq uint32, at wire.Time) *wire.ICMP {
	e := &wire.ICMP{Frame: 1000, At: at, Tuple: s.tuple, Reporter: wire.AddrFrom4([]byte{192, 0, 2, 1}), Type: 3, Code: 1, Seq: s.isn[from].Add(seq)}
	if from == Server {
		e.Tuple = s.tuple.Reverse()
	}
	return e
}

// Whose segment an error quotes is told by its tuple and its number: one of
// another life, or one that nobody can have sent, is nobody's.
func TestQuotedWhose(t *testing.T) {
	s := newScript().handshake().client(psh, 1, 1, payload(100)).server(ack, 1, 101)
	other := *newScript()
	other.tuple.SrcPort++
	for _, c := range []struct {
		name string
		e    *wire.ICMP
		want bool
	}{
		{"the SYN", s.about(Client, 0, s.at), true},
		{"data", s.about(Client, 1, s.at), true},
		{"the end of the data", s.about(Client, 101, s.at), true},
		{"what the window allowed, and the capture may lack", s.about(Client, 500, s.at), true},
		{"beyond the window", s.about(Client, 2000, s.at), false},
		{"before the SYN", s.about(Client, ^uint32(0), s.at), false},
		{"the SYN-ACK", s.about(Server, 0, s.at), true},
		{"another tuple", other.about(Client, 0, s.at), false},
	} {
		tr, conns := tracked(t)
		for i := range s.segs {
			tr.Feed(&s.segs[i])
		}
		if got := tr.Quoted(c.e); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		tr.Flush()
		if len(*conns) != 1 {
			t.Fatalf("%s: %d connections", c.name, len(*conns))
		}
		conn := (*conns)[0]
		if (len(conn.ICMP) == 1) != c.want || (conn.Seen&SeenICMP != 0) != c.want {
			t.Errorf("%s: %+v", c.name, conn.ICMP)
		}
		if conn.Ends[Client].Packets != 3 || conn.Ends[Server].Packets != 2 || conn.Last != s.segs[4].Frame || conn.Handshake.Outcome != HandshakeComplete {
			t.Errorf("%s: the error counts as a segment: %+v", c.name, conn)
		}
		if n := tr.icmps.live(); n != 0 && tr.Open() == 0 {
			t.Errorf("%s: %d notes are left", c.name, n)
		}
	}
}

// An error opens no connection, and none comes to one that has left.
func TestQuotedWithoutConnection(t *testing.T) {
	tr, conns := tracked(t)
	s := newScript()
	if tr.Quoted(s.about(Client, 0, scriptStart)) || tr.Open() != 0 {
		t.Error("an error before everything opened a connection")
	}
	s.handshake().clientCloses()
	for i := range s.segs {
		tr.Feed(&s.segs[i])
	}
	late := s.at.Add(10 * time.Minute)
	if tr.Quoted(s.about(Client, 0, late)) {
		t.Error("an error came to a connection that is over, before the clock was told")
	}
	tr.Advance(late)
	if tr.Quoted(s.about(Client, 0, late)) || len(*conns) != 1 || len((*conns)[0].ICMP) != 0 {
		t.Error("an error came to a connection that has left")
	}
	if tr.icmps.live() != 0 {
		t.Errorf("%d notes are left", tr.icmps.live())
	}
}

// Of two lives of a tuple the one that sent the number gets the error.
func TestQuotedOfOlderLife(t *testing.T) {
	tr, conns := tracked(t)
	s := newScript().handshake()
	first := s.about(Client, 1, s.at.Add(time.Second))
	s.reopen(500_000, 900_000).client(syn, 0, 0)
	for i := range s.segs {
		tr.Feed(&s.segs[i])
	}
	if !tr.Quoted(first) || !tr.Quoted(s.about(Client, 0, s.at)) {
		t.Error("nobody's")
	}
	tr.Flush()
	for i, c := range *conns {
		if len(c.ICMP) != 1 || c.ICMP[0].OfSYN != (i == 1) {
			t.Errorf("life %d: %+v", i+1, c.ICMP)
		}
	}
}

// Under another tag than the segment's own: an error takes the way back.
func TestQuotedUnderAnotherTag(t *testing.T) {
	for _, paths := range [][2]wire.EncapID{{0, 1}, {1, 0}, {1, 2}, {1, 1}} {
		tr, _ := tracked(t)
		s := newScript()
		s.tuple.Encap = paths[0]
		s.client(syn, 0, 0)
		tr.Feed(&s.segs[0])
		e := s.about(Client, 0, s.at)
		e.Tuple.Encap = paths[1]
		if !tr.Quoted(e) {
			t.Errorf("%v: nobody's", paths)
		}
	}
}

// Errors of one sort are one entry, and the sorts are bounded.
func TestQuotedBound(t *testing.T) {
	tr, conns := tracked(t)
	s := newScript().handshake()
	for i := range s.segs {
		tr.Feed(&s.segs[i])
	}
	for i := range 100 {
		e := s.about(Client, 1, s.at.Add(time.Duration(i)*time.Second))
		e.Frame = wire.FrameID(10 + i)
		e.Code = uint8(i % 10)
		tr.Quoted(e)
	}
	tr.Flush()
	c := (*conns)[0]
	if len(c.ICMP) != icmpMax || c.Dropped != 20 {
		t.Fatalf("%d sorts, %d left out", len(c.ICMP), c.Dropped)
	}
	if e := c.ICMP[1]; e.Count != 10 || e.Frame != 11 || e.LastFrame != 101 || e.LastAt != s.at.Add(91*time.Second) || e.From != Client {
		t.Errorf("%+v", e)
	}
}

// RFC 9293 section 3.9.2.2: an error about the SYN may end the attempt. Here it did
// if the client sent nothing any more.
func TestQuotedEndsAttempt(t *testing.T) {
	for _, c := range []struct {
		name   string
		script *script
		errors []time.Duration // since the first SYN
		kind   uint8
		code   uint8
		final  State
		want   HandshakeOutcome
		reason CloseReason
	}{
		{"at once", newScript().client(syn, 0, 0), []time.Duration{time.Millisecond}, 3, 1, Closed, HandshakeICMP, CloseICMP},
		{"time exceeded", newScript().client(syn, 0, 0), []time.Duration{time.Millisecond}, 11, 0, Closed, HandshakeICMP, CloseICMP},
		{"the client goes on", newScript().client(syn, 0, 0).after(time.Second).client(syn, 0, 0), []time.Duration{time.Millisecond}, 3, 1,
			SynSent, HandshakePending, CloseOpenAtEnd},
		{"the second one did", newScript().client(syn, 0, 0).after(time.Second).client(syn, 0, 0), []time.Duration{time.Millisecond, 1001 * time.Millisecond}, 3, 1,
			Closed, HandshakeICMP, CloseICMP},
		{"too big is no refusal", newScript().client(syn, 0, 0), []time.Duration{time.Millisecond}, 3, 4, SynSent, HandshakePending, CloseOpenAtEnd},
		{"source quench is none", newScript().client(syn, 0, 0), []time.Duration{time.Millisecond}, 4, 0, SynSent, HandshakePending, CloseOpenAtEnd},
		{"an answer came", newScript().client(syn, 0, 0).server(rstack, 0, 1), []time.Duration{time.Millisecond}, 3, 1, Closed, HandshakeRefused, CloseRefused},
		{"soft once established", newScript().handshake(), []time.Duration{time.Second}, 3, 1, Established, HandshakeComplete, CloseOpenAtEnd},
	} {
		tr, conns := tracked(t)
		errors := c.errors
		feed := func(until wire.Time) {
			for ; len(errors) > 0 && scriptStart.Add(errors[0]) <= until; errors = errors[1:] {
				e := c.script.about(Client, 0, scriptStart.Add(errors[0]))
				e.Type, e.Code = c.kind, c.code
				tr.Quoted(e)
			}
		}
		for i := range c.script.segs {
			feed(c.script.segs[i].At)
			tr.Feed(&c.script.segs[i])
		}
		feed(c.script.at.Add(time.Hour))
		tr.Flush()
		got := (*conns)[0]
		if got.Ends[Client].Final() != c.final || got.Handshake.Outcome != c.want || got.Close.Reason != c.reason {
			t.Errorf("%s: %v, handshake %v, close %v; want %v, %v, %v", c.name, got.Ends[Client].Final(), got.Handshake.Outcome, got.Close.Reason, c.final, c.want, c.reason)
		}
	}
}
