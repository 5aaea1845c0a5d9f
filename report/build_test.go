package report

import (
	"io"
	"net/netip"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// builder makes connections by hand, one segment after the other, so that tests of
// the report depend neither on the tracker nor on the rules.
type builder struct {
	c     *Connection
	input int
	frame uint64
	now   wire.Time
}

const testStart = wire.Time(1767323045_000000006) // 2026-01-02T03:04:05.000000006Z

var testISN = [2]wire.Seq{0xfffffff0, 1000} // the client's wraps

const (
	cl = reassembly.Client
	sv = reassembly.Server
)

func newBuilder(client, server string) *builder {
	a, b := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	t := wire.Tuple{SrcPort: a.Port(), DstPort: b.Port(), V6: a.Addr().Is6()}
	t.Src, t.Dst = testAddr(a.Addr()), testAddr(b.Addr())
	c := &Connection{Conn: &reassembly.Conn{Tuple: t}, Capture: "a.pcap", UID: "K3FQ7VOCG2LXW", CommunityID: "1:wCb3OG7yAFWelaUydu0D+125CLM="}
	for i := range c.Ends {
		c.Ends[i].ISN, c.Ends[i].HasISN, c.Ends[i].First = testISN[i], true, testISN[i]
		c.Ends[i].TTL = 64
	}
	return &builder{c: c, now: testStart}
}

func testAddr(a netip.Addr) wire.Addr {
	if a.Is4() {
		b := a.As4()
		return wire.AddrFrom4(b[:])
	}
	b := a.As16()
	return wire.AddrFrom16(b[:])
}

// seg adds a segment, dt after the one before; seq and ack are relative.
func (b *builder) seg(dt time.Duration, from reassembly.Side, flags wire.Flags, seq, ack, n uint32, marks ...reassembly.Marks) *reassembly.Event {
	b.frame++
	b.now = b.now.Add(dt)
	c := b.c
	e := reassembly.Event{At: b.now, Frame: wire.NewFrameID(b.input, b.frame), Count: 1, Len: n, Seq: testISN[from].Add(seq), From: from,
		Flags: flags, Window: 501, TTL: 64}
	e.LastAt, e.LastFrame = e.At, e.Frame
	if flags.Has(wire.ACK) {
		e.Ack = testISN[1-from].Add(ack)
		c.Ends[1-from].Acked, c.Ends[1-from].HasAcked = e.Ack, true
	}
	s := wire.Segment{Seq: e.Seq, Flags: flags, Len: n}
	e.End, e.Kind = s.End(), kindOf(&s)
	for _, m := range marks {
		e.Marks |= m
	}
	end := &c.Ends[from]
	end.Packets++
	end.Bytes += uint64(n)
	if e.Marks.Has(reassembly.MarkRepeat) {
		end.Retransmits++
	} else {
		end.UniqueBytes += uint64(n)
	}
	end.Next, end.HasNext = e.End, true
	if flags.Has(wire.SYN) {
		end.HasSYN = true
		end.SYN = wire.Options{Set: wire.OptMSS | wire.OptWindowScale | wire.OptSACKPerm | wire.OptTimestamps, MSS: 1460, WindowScale: 7, TSVal: 77}
	}
	if len(c.Events) == 0 {
		c.First, c.Start = e.Frame, e.At
	}
	c.Events = append(c.Events, e)
	c.Last, c.End, c.Until = e.LastFrame, e.LastAt, e.LastAt
	return &c.Events[len(c.Events)-1]
}

// run makes the last event a run of count segments that lasts d.
func (b *builder) run(count uint32, d time.Duration) {
	e := &b.c.Events[len(b.c.Events)-1]
	more := count - 1
	b.frame += uint64(more)
	b.now = b.now.Add(d)
	b.c.Ends[e.From].Packets += uint64(more)
	b.c.Ends[e.From].Bytes += uint64(more * e.Len)
	b.c.Ends[e.From].UniqueBytes += uint64(more * e.Len)
	e.End = e.End.Add(more * e.Len)
	e.Count, e.Len = count, e.Len*count
	e.LastAt, e.LastFrame = b.now, wire.NewFrameID(b.input, b.frame)
	b.c.Last, b.c.End, b.c.Until = e.LastFrame, e.LastAt, e.LastAt
	b.c.Ends[e.From].Next = e.End
}

// to adds a state that the last segment caused.
func (b *builder) to(side reassembly.Side, s reassembly.State, ev reassembly.Evidence, proof ...uint64) *reassembly.Transition {
	e := &b.c.Events[len(b.c.Events)-1]
	t := reassembly.Transition{State: s, At: e.At, Frame: e.Frame, Evidence: ev}
	for _, p := range proof {
		t.Proof, t.Evidence = wire.NewFrameID(b.input, p), reassembly.Acked
	}
	tl := &b.c.Ends[side].Timeline
	if n := len(*tl); n > 0 {
		t.At = max(t.At, (*tl)[n-1].At) // entries never go back in time
	}
	*tl = append(*tl, t)
	return &(*tl)[len(*tl)-1]
}

// timer adds a state that began without a frame.
func (b *builder) timer(side reassembly.Side, s reassembly.State, after time.Duration) {
	tl := &b.c.Ends[side].Timeline
	*tl = append(*tl, reassembly.Transition{State: s, At: b.now.Add(after), Evidence: reassembly.Timer})
}

func (b *builder) open() {
	b.seg(0, cl, wire.SYN, 0, 0, 0)
	b.to(cl, reassembly.SynSent, reassembly.Sent)
	b.seg(8*time.Millisecond, sv, wire.SYN|wire.ACK, 0, 1, 0)
	b.to(sv, reassembly.SynReceived, reassembly.Sent)
	b.to(cl, reassembly.Established, reassembly.Passed, b.frame+1)
	b.seg(2*time.Millisecond, cl, wire.ACK, 1, 1, 0)
	b.to(sv, reassembly.Established, reassembly.Passed, b.frame+2)
	b.c.Handshake = reassembly.Handshake{Outcome: reassembly.HandshakeComplete, RTT: 10 * time.Millisecond, ServerSide: 8 * time.Millisecond,
		ClientSide: 2 * time.Millisecond, SYNs: 1, SYNACKs: 1}
	b.c.Ends[cl].Response, b.c.Ends[sv].Response = 2*time.Millisecond, 8*time.Millisecond
}

func (b *builder) exchange() {
	b.seg(100*time.Microsecond, cl, wire.PSH|wire.ACK, 1, 1, 180)
	b.seg(9*time.Millisecond, sv, wire.ACK, 1, 181, 1448)
	b.run(2, 90*time.Microsecond)
	b.seg(2*time.Millisecond, cl, wire.ACK, 181, 2897, 0)
}

func (b *builder) closing(reason reassembly.CloseReason, at int) {
	e := &b.c.Events[at]
	b.c.Outcome = reassembly.OutcomeSuccess
	b.c.Close = reassembly.Close{Reason: reason, Closer: e.From, HasCloser: true, By: "fin", At: e.At, Duration: b.c.End.Sub(e.At),
		IdleBefore: e.At.Sub(b.c.Events[at-1].LastAt)}
	if e.Flags.Has(wire.RST) {
		b.c.Close.By = "rst"
	}
}

// cleanLife is what most connections look like.
func cleanLife() *Connection {
	b := newBuilder("10.0.0.1:40000", "10.0.0.2:443")
	b.open()
	b.exchange()
	fin := len(b.c.Events)
	b.seg(5*time.Millisecond, cl, wire.FIN|wire.ACK, 181, 2897, 0)
	b.to(cl, reassembly.FinWait1, reassembly.Sent)
	b.to(sv, reassembly.CloseWait, reassembly.Passed, b.frame+1)
	b.seg(8*time.Millisecond, sv, wire.FIN|wire.ACK, 2897, 182, 0)
	b.to(sv, reassembly.LastAck, reassembly.Sent)
	b.to(cl, reassembly.FinWait2, reassembly.Passed, b.frame+1)
	b.to(cl, reassembly.TimeWait, reassembly.Passed, b.frame+1)
	b.seg(2*time.Millisecond, cl, wire.ACK, 182, 2898, 0)
	b.to(sv, reassembly.Closed, reassembly.Passed)
	b.closing(reassembly.CloseOrderly, fin)
	b.timer(cl, reassembly.Closed, 60*time.Second)
	b.c.Until = b.c.End.Add(60 * time.Second)
	return b.c
}

var ruleLostACK = &finding.Rule{ID: "lost-final-ack", Catalogue: []string{"C05a", "C05b"}, Title: "the last ACK of the close was lost on its way",
	Severity: finding.Warning, RFC: "RFC 9293 3.6",
	Advice: "Look for loss between the tap and the server, in that direction. One such close costs the server a few hundred milliseconds in LAST_ACK; many of them point at a lossy link."}

// lostFinalACK is the close that other tools call complete: the client's last ACK
// passes the tap and never reaches the server.
func lostFinalACK() *Connection {
	b := newBuilder("10.0.0.1:40001", "10.0.0.2:443")
	b.c.UID = "LFA2VOCG2LXWA"
	b.open()
	b.exchange()
	fin := len(b.c.Events)
	b.seg(1500*time.Millisecond, cl, wire.FIN|wire.ACK, 181, 2897, 0)
	b.to(cl, reassembly.FinWait1, reassembly.Sent)
	b.to(sv, reassembly.CloseWait, reassembly.Passed, b.frame+1)
	b.seg(8*time.Millisecond, sv, wire.FIN|wire.ACK, 2897, 182, 0)
	b.to(sv, reassembly.LastAck, reassembly.Sent)
	b.to(cl, reassembly.FinWait2, reassembly.Passed, b.frame+1)
	b.to(cl, reassembly.TimeWait, reassembly.Passed, b.frame+1)
	b.seg(2*time.Millisecond, cl, wire.ACK, 182, 2898, 0)
	b.seg(210*time.Millisecond, sv, wire.FIN|wire.ACK, 2897, 182, 0, reassembly.MarkRepeat)
	b.seg(2*time.Millisecond, cl, wire.ACK, 182, 2898, 0, reassembly.MarkDSACK)
	b.to(sv, reassembly.Closed, reassembly.Passed).Rewritten = true
	b.closing(reassembly.CloseOrderlyUnconfirmed, fin)
	b.timer(cl, reassembly.Closed, 60*time.Second)
	b.c.Until = b.c.End.Add(60 * time.Second)
	b.c.Findings = []finding.Finding{{Rule: ruleLostACK, Catalogue: "C05b", Severity: finding.Warning, Confidence: finding.Certain, Endpoint: finding.Server,
		Frames:  []wire.FrameID{b.c.Events[8].Frame, b.c.Events[9].Frame},
		Message: "The client's ACK of the server's FIN passed the tap and did not arrive: the server sent its FIN again 212 ms later.",
		Falsify: "A repeat of the FIN that left the server before the ACK could have reached it."}}
	return b.c
}

var ruleRefused = &finding.Rule{ID: "refused", Catalogue: []string{"H02"}, Title: "nobody listens on the port", Severity: finding.Error,
	RFC: "RFC 9293 3.10.7.1", Advice: "Is the service running, and on this address?"}

func refused() *Connection {
	b := newBuilder("[2001:db8::1]:40002", "[2001:db8::2]:81")
	b.c.UID = "REF2VOCG2LXWA"
	b.seg(0, cl, wire.SYN, 0, 0, 0)
	b.to(cl, reassembly.SynSent, reassembly.Sent)
	b.seg(300*time.Microsecond, sv, wire.RST|wire.ACK, 0, 1, 0)
	b.to(cl, reassembly.Closed, reassembly.Passed)
	b.c.Handshake = reassembly.Handshake{Outcome: reassembly.HandshakeRefused, SYNs: 1}
	b.closing(reassembly.CloseRefused, 1)
	b.c.Outcome = reassembly.OutcomeFailure
	b.c.Findings = []finding.Finding{{Rule: ruleRefused, Catalogue: "H02", Severity: finding.Error, Confidence: finding.Certain, Endpoint: finding.Client,
		Frames: []wire.FrameID{b.c.Events[0].Frame, b.c.Events[1].Frame}, Message: "The server answered the SYN with RST after 300 µs.", Falsify: "A SYN-ACK."}}
	return b.c
}

// midStream has most of what a connection can have at once: no opening, a VLAN,
// frames of a second file, gaps, repetitions, ICMP errors, open at the end.
func midStream() *Connection {
	b := newBuilder("192.0.2.7:51234", "198.51.100.20:5432")
	b.input, b.frame = 1, 99
	b.now = testStart.Add(3 * time.Second)
	c := b.c
	c.UID, c.PreviousUID, c.NextUID, c.CommunityID = "MID2VOCG2LXWA", "OLD", "NEW", ""
	c.Encap = []string{"vlan:12", "gre:\"x\"\n"}
	c.Ends[cl].HasISN, c.Ends[sv].HasISN = false, false
	c.RoleBy = reassembly.RoleByPort
	b.seg(0, cl, wire.PSH|wire.ACK, 5000, 900, 100)
	c.Ends[cl].First = b.c.Events[0].Seq
	b.to(cl, reassembly.Established, reassembly.Assumed)
	b.to(sv, reassembly.Established, reassembly.Assumed)
	b.seg(40*time.Millisecond, sv, wire.ACK, 900, 5100, 1000)
	c.Ends[sv].First = b.c.Events[1].Seq
	b.run(1200, 2*time.Second)
	b.seg(time.Millisecond, cl, wire.ACK, 5100, 1300000, 0, reassembly.MarkAckUnseen, reassembly.MarkZeroWindow).Window = 0
	b.seg(200*time.Millisecond, sv, wire.PSH|wire.ACK, 1300000, 5100, 700, reassembly.MarkRepeat, reassembly.MarkGap)
	b.seg(20*time.Minute, sv, wire.FIN|wire.ACK, 1300700, 5100, 0)
	b.to(sv, reassembly.FinWait1, reassembly.Sent)
	b.to(cl, reassembly.CloseWait, reassembly.Passed, b.frame+1)
	b.seg(-time.Millisecond, cl, wire.ACK, 5100, 1300701, 0)
	b.to(sv, reassembly.FinWait2, reassembly.Passed)
	b.closing(reassembly.CloseHalfClosed, 4)
	c.Outcome, c.Ended, c.Dropped = reassembly.OutcomeUnknown, reassembly.EndedEvicted, 7
	b.timer(sv, reassembly.Closed, 60*time.Second)
	c.Until = c.End.Add(75 * time.Second)
	c.Ends[sv].MissingBytes = 2000
	c.Ends[sv].Missing = []reassembly.Range{{From: testISN[sv].Add(2000), To: testISN[sv].Add(4000)}}
	c.Ends[sv].Repeated = []reassembly.Range{{From: testISN[sv].Add(1300000), To: testISN[sv].Add(1300700)}}
	c.Ends[cl].Duplicates = 3
	router := wire.AddrFrom4([]byte{203, 0, 113, 1})
	c.ICMP = []reassembly.ICMP{
		{At: c.Events[1].At.Add(400 * time.Millisecond), Frame: c.Events[1].Frame + 50, LastAt: c.Events[1].At.Add(500 * time.Millisecond), LastFrame: c.Events[1].Frame + 60, Count: 3,
			From: reassembly.Client, Reporter: router, Seq: c.Events[0].Seq, Type: 3, Code: 4, MTU: 1400},
		{At: c.End, LastAt: c.End, Frame: c.Last + 1, LastFrame: c.Last + 1, Count: 1, From: reassembly.Server, Reporter: router, Seq: c.Events[4].Seq,
			Type: 11, Code: 7, Unreachable: true},
	}
	c.Findings = []finding.Finding{
		{Rule: &finding.Rule{ID: "close-wait", Catalogue: []string{"C08"}, Title: "an application does not close"}, Catalogue: "C08", Severity: finding.Info,
			Confidence: finding.Possible, Endpoint: finding.Both, Frames: []wire.FrameID{b.c.Events[4].Frame}, Message: "Odd \u2028 text \xff\x1b[31m."},
	}
	return c
}

// step is one thing that a pipeline hands to a format.
type step struct {
	id   uint64
	c    *Connection
	late *Late
}

// testDocument is a whole report's worth of input.
type testDocument struct {
	name    string
	inputs  []Input
	steps   []step
	options Options
	stopped bool
	frags   wire.Fragments
	// incidents are what the connections show together, kept whether all was counted.
	incidents []incident.Incident
	kept      incident.Limits
}

func documents() []testDocument {
	one := Input{Info: capture.Info{Name: "a.pcap", Format: "pcap", Frames: 11, Bytes: 4321, Interfaces: []capture.Interface{{Link: 1, SnapLen: 262144, Resolution: 1e6}}},
		Segments: 11, First: testStart, Last: testStart.Add(34 * time.Millisecond)}
	lost := one
	lost.Frames, lost.Segments, lost.Last = 13, 13, testStart.Add(1750*time.Millisecond)
	bad := Input{Info: capture.Info{Name: "b \"\xff\".pcapng", Format: "pcapng", Packing: []string{"gzip", "zstd"}, Frames: 2012, Bytes: 9_876_543,
		Interfaces: []capture.Interface{{Link: 113, Name: "eth0", Description: "up\tlink", Resolution: 1e9, Received: 5000, Dropped: 12, Counted: true}},
		Passed:     map[uint32]uint64{5: 2, 0xbad: 1, 10: 4},
		Damage: []*capture.DamageError{{Name: "b \"\xff\".pcapng", Frame: 2013, Offset: 9_876_000, What: "block of 96 octets cut off after 40",
			Remedy: "copy the file again"}}},
		Segments: 1500, First: testStart.Add(3 * time.Second), Last: testStart.Add(21 * time.Minute), Backwards: 1, StepBack: 1500 * time.Microsecond, Snapped: 40,
		BackwardsAt: wire.NewFrameID(1, 7), SnappedAt: wire.NewFrameID(1, 3)}
	for i := range bad.Skipped {
		bad.Skipped[i] = uint64(i * 10)
	}
	bad.Skipped[wire.SkipNone] = 0
	late := &Late{Capture: "a.pcap", UID: "K3FQ7VOCG2LXW", Tuple: cleanLife().Tuple, Start: testStart.Add(time.Minute), End: testStart.Add(time.Minute),
		First: wire.NewFrameID(0, 12), Last: wire.NewFrameID(1, 13), Packets: [2]uint64{0, 2}, Bytes: [2]uint64{0, 5}, FINs: 1, RSTs: 1}
	everything := testDocument{name: "everything", inputs: []Input{one, bad}, stopped: true,
		frags:   wire.Fragments{Packets: 3, Frames: 8, Incomplete: 4, IncompleteFrames: 5, IncompleteTCP: 2, Evicted: 1, Overlapping: 1},
		options: Options{Inputs: []string{"a.pcap", "b.pcapng"}}}
	everything.steps = []step{{2, refused(), nil}, {1, lostFinalACK(), nil}, {0, nil, late}, {4, midStream(), nil}, {0, nil, late}, {3, cleanLife(), nil}}
	for i := range 24 {
		everything.steps = append(everything.steps, step{uint64(5 + i), refused(), nil})
	}
	everything.incidents = incidents()
	everything.kept = incident.Limits{Listeners: 1, Targets: 2, Clients: 1, Pairs: 8, Attempts: 64, Paths: 1, Hosts: 1}
	return []testDocument{
		{name: "empty", inputs: []Input{{Info: capture.Info{Name: "empty.pcap", Format: "pcap", Bytes: 24}}}, options: Options{Inputs: []string{"empty.pcap"}}},
		{name: "clean", inputs: []Input{one}, steps: []step{{1, cleanLife(), nil}}, options: Options{Inputs: []string{"a.pcap"}}},
		{name: "lost-final-ack", inputs: []Input{lost}, steps: []step{{1, lostFinalACK(), nil}}, options: Options{Inputs: []string{"a.pcap"}}},
		everything,
	}
}

// incidents are two: one that says all there can be, and one that says the least.
func incidents() []incident.Incident {
	down := &incident.Rule{ID: "down", Catalogue: []string{"G04"}, Title: "A service is down", Advice: "Start it. Then look why it ended.", RFC: "9293 3.5.2"}
	idle := &incident.Rule{ID: "idle", Catalogue: []string{"G02"}, Title: "Nothing to speak of", Advice: "Nothing.", RFC: "9293"}
	return []incident.Incident{
		{Rule: down, Catalogue: "G04", Severity: finding.Error, Confidence: finding.Likely,
			Scope: incident.Scope{Client: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("2001:db8::2"), Port: 443, Encap: []string{"vlan:12", "odd \"\xff"}},
			Count: 25, First: testStart, Last: testStart.Add(time.Second), UIDs: []string{"K3FQ7VOCG2LXW", "AAAAAAAAAAAAA"}, Frames: []wire.FrameID{wire.NewFrameID(0, 7), wire.NewFrameID(1, 3)},
			Message: "2001:db8::2 went down: 25 attempts were refused. One of them \x1b[31mtwice.", Reason: "nothing shows why", Falsify: "Another attempt that succeeded.",
			Folds: []incident.Fold{{ID: "refused", Count: 20}, {ID: "other", Count: 3}}, More: incident.Folded{Scopes: 12, Count: 340}},
		{Rule: idle, Catalogue: "G02", Severity: finding.Info, Confidence: finding.Certain, First: testStart, Last: testStart, Message: "Nothing is the matter.", Reason: "r", Falsify: "f"},
		{Rule: idle, Catalogue: "G02", Severity: finding.Info, Confidence: finding.Certain, First: testStart, Last: testStart, Message: "Nor here."},
	}
}

// print runs a document through a format, in the order in which a pipeline does.
func (d *testDocument) print(w io.Writer, f Format) error { return d.printInto(w, f, &Summary{}) }

// printInto does the same with a summary that says something already.
func (d *testDocument) printInto(w io.Writer, f Format, s *Summary) error {
	if err := f.Begin(w, &d.options); err != nil {
		return err
	}
	for _, st := range d.steps {
		if st.late != nil {
			s.AddLate(st.late)
			if err := f.Late(st.late); err != nil {
				return err
			}
			continue
		}
		var b Buffer
		f.Encode(&b, st.c)
		dg := NewDigest(st.c)
		s.Add(st.id, &dg)
		s.Durations.Add(st.c.Conn)
		if err := f.Add(st.id, &dg, &b); err != nil {
			return err
		}
	}
	s.Inputs, s.Interrupted, s.Fragments = d.inputs, d.stopped, d.frags
	s.Incidents, s.Limits.Incidents = d.incidents, d.kept
	return f.End(s)
}
