package finding

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// CaptureRule is one kind of finding about the capture as a whole, as a value: how
// the capture was made decides what can be said about the connections in it. It
// never changes a finding on a connection; it says what those can miss.
type CaptureRule struct {
	// ID is stable: lower case words with hyphens.
	ID string
	// Catalogue is the number in the catalogue.
	Catalogue string
	Title     string
	// Severity is the highest that the rule gives.
	Severity Severity
	// Meaning, Signature, Effect, Alternatives and Advice are paragraphs for people:
	// what it is, what shows it, what it does to the findings on connections, what
	// else could look like it, how to make a better capture.
	Meaning, Signature, Effect, Alternatives, Advice string
	// Check reports whether the capture has it. It is pure.
	Check func(c *Capture) (CaptureFinding, bool)
}

// CaptureFinding is one thing that a rule found about the whole capture.
type CaptureFinding struct {
	Rule       *CaptureRule
	Severity   Severity
	Confidence Confidence
	// Connections counts those that are concerned; 0 where frames are, whatever is in
	// them.
	Connections uint64
	// Frames are some that show it, in capture order; none where nothing in the
	// capture does, such as the capturing host's own count of what it lost.
	Frames []wire.FrameID
	// Message says in one sentence what is the matter, Reason why the confidence is
	// what it is.
	Message, Reason string
}

// Capture is what the rules about a capture read. Sums and lowest frames are all that
// it keeps, so that the order in which connections come does not matter.
type Capture struct {
	// Frames, Segments and Connections count what was read. Data counts octets of
	// payload.
	Frames, Segments, Connections, Data uint64
	// Snapped counts frames captured shorter than they were, CutHeaders those of them
	// that end inside the headers, Backwards those with an earlier time than the one
	// before, Dropped those that the capturing hosts say they lost.
	Snapped, CutHeaders, Backwards, Dropped uint64
	// Stray counts frames whose time fits neither of their neighbours'.
	Stray uint64
	// SnappedAt, BackwardsAt and StrayAt are the first such frames; 0 if there is none.
	SnappedAt, BackwardsAt, StrayAt wire.FrameID
	// StepBack is by how much a frame is earlier than the one before, at most.
	StepBack time.Duration
	// What connections show.
	MidStream, Lossy, OneWay, Doubled, Offloaded Concerned
	// LostOctets counts octets that were acknowledged and never captured,
	// DoubledFrames frames that the capture holds twice.
	LostOctets, DoubledFrames uint64
	// Controlled counts connections that lack data and have nothing but control
	// segments.
	Controlled uint64
}

// concernedFrames bounds the frames kept for each matter: enough to go and look.
const concernedFrames = 16

// Concerned counts connections that show something.
type Concerned struct {
	// Count counts them; Sure those that prove it.
	Count, Sure uint64
	// Frames are the lowest of the frames that show it, one for each connection.
	Frames []wire.FrameID
}

// add counts a connection that shows it with a frame.
func (n *Concerned) add(frame wire.FrameID, sure bool) {
	n.Count++
	if sure {
		n.Sure++
	}
	at, _ := slices.BinarySearch(n.Frames, frame)
	if at == concernedFrames {
		return
	}
	if len(n.Frames) == concernedFrames {
		n.Frames = n.Frames[:concernedFrames-1]
	}
	n.Frames = slices.Insert(n.Frames, at, frame)
}

// merge adds what another one counted.
func (n *Concerned) merge(o *Concerned) {
	n.Count += o.Count
	n.Sure += o.Sure
	n.Frames = append(slices.Clone(n.Frames), o.Frames...)
	slices.Sort(n.Frames)
	n.Frames = n.Frames[:min(len(n.Frames), concernedFrames)]
}

// Trace is what one connection shows about its capture.
type Trace struct {
	First wire.FrameID
	// Frames, Doubled and Data count its frames, those in the capture twice, and
	// octets of payload.
	Frames, Doubled, Data uint64
	// MidStream: its opening was not captured. OneWay: one direction was not, though
	// it must have been there. Each has the stronger case beside it: both sides sent,
	// and one of them data; the side that was captured acknowledges ever more.
	MidStream, MidStreamSure, OneWay, OneWaySure bool
	// Lost is the first frame that acknowledges what was never captured, or not until it
	// came again; LostOctets how much data there is of that, 0 where it was a SYN-ACK.
	// LostSure: a longer capture could not show otherwise.
	Lost       wire.FrameID
	LostOctets uint64
	LostSure   bool
	// Offload is the first frame that is longer than its receiver takes segments.
	Offload wire.FrameID
	// Control: it has SYN, FIN or RST, and nothing else.
	Control bool
}

// TraceOf returns what c shows. It is pure.
func TraceOf(c *reassembly.Conn) (t Trace) {
	t.Take(c)
	return t
}

// Take is TraceOf where the trace is to be.
func (t *Trace) Take(c *reassembly.Conn) {
	a, b := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	*t = Trace{}
	t.First, t.MidStream = c.First, c.Handshake.Outcome == reassembly.HandshakeUnseen
	t.OneWay = oneWay(c)
	t.Frames, t.Doubled, t.Data, t.LostOctets = a.Packets+b.Packets, a.Duplicates+b.Duplicates, a.Bytes+b.Bytes, a.MissingBytes+b.MissingBytes
	if t.MidStream {
		// A probe and the answer to it begin without a SYN too, but carry nothing.
		t.MidStreamSure = t.Data > 0 && c.Ends[0].Packets > 0 && c.Ends[1].Packets > 0
	}
	if t.OneWay {
		t.OneWaySure = advances(c)
	}
	ahead := -1
	if t.LostOctets > 0 || c.Seen&reassembly.SeenAckUnseen != 0 {
		ahead = next(&Case{Conn: c}, 0, func(e *reassembly.Event) bool { return e.Marks.Has(reassembly.MarkAckUnseen) })
	}
	if t.LostOctets == 0 && ahead >= 0 {
		t.LostOctets = cameAgain(c, ahead)
	}
	if t.LostOctets > 0 {
		t.Lost, t.LostSure = t.First, !t.MidStream
		if ahead >= 0 {
			t.Lost = c.Events[ahead].Frame
			// Until then the acknowledgment may merely have overtaken the data.
			t.LostSure = t.LostSure && c.Until.Sub(c.Events[ahead].At) > reassembly.Overtaking
		}
		t.Control = t.Data == 0 && next(&Case{Conn: c}, 0, func(e *reassembly.Event) bool { return e.Flags&(wire.SYN|wire.FIN|wire.RST) == 0 }) < 0
	}
	if i := unseenSYNACK(c); t.Lost == 0 && i >= 0 {
		t.Lost, t.LostSure = c.Events[i].Frame, !t.MidStream
	}
	if t.Data > 0 && len(c.Events) > 0 {
		t.Offload = oversized(c)
	}
}

// Unremarkable reports whether a connection shows nothing about its capture: what TraceOf would
// return has its frames and octets, and nothing else. Of some it leaves that open, and returns
// false.
func Unremarkable(c *reassembly.Conn) bool {
	a, b := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	return c.Handshake.Outcome != reassembly.HandshakeUnseen && c.Seen&reassembly.SeenAckUnseen == 0 &&
		a.Duplicates|b.Duplicates|a.MissingBytes|b.MissingBytes == 0 && (a.Packets > 0 && b.HasSYN || !oneWay(c) && c.Handshake.Outcome != reassembly.HandshakeComplete) &&
		(len(c.Events) == 0 || a.Bytes|b.Bytes == 0)
}

// cameAgain returns how much event i acknowledges of what the capture does not hold
// before it, and holds behind it so late that this is a repetition: its acknowledgment was
// lost, and the capture lacks the first copy.
func cameAgain(c *reassembly.Conn, i int) uint64 {
	ack := &c.Events[i]
	var end wire.Seq
	known := false
	for j := range c.Events[:i] {
		if e := &c.Events[j]; e.From != ack.From && genuine(e) && e.Kind != reassembly.KindRST && (!known || e.End.After(end)) {
			end, known = e.End, true
		}
	}
	again := next(&Case{Conn: c}, i+1, func(e *reassembly.Event) bool {
		return e.From != ack.From && genuine(e) && consumes(e) && !e.End.Before(ack.Ack)
	})
	if !known || again < 0 || !ack.Ack.After(end) || c.Events[again].Seq.After(end) || c.Events[again].At.Sub(ack.At) <= reassembly.Overtaking {
		return 0
	}
	return uint64(ack.Ack.Sub(end))
}

// unseenSYNACK returns the client's first segment that acknowledges a SYN-ACK which the
// capture does not hold, though it holds the SYN and what the server sent later; -1 if
// it lacks none.
func unseenSYNACK(c *reassembly.Conn) int {
	if !c.Ends[reassembly.Client].HasSYN || c.Ends[reassembly.Server].HasSYN || c.Ends[reassembly.Server].Packets == 0 || c.Handshake.Outcome != reassembly.HandshakeComplete {
		return -1
	}
	return next(&Case{Conn: c}, 0, func(e *reassembly.Event) bool {
		return e.From == reassembly.Client && acking(e) && e.Kind != reassembly.KindSYN
	})
}

// oneWay reports whether one direction is absent from the capture. Silence is the
// nature of an attempt that was never answered, so those do not count.
func oneWay(c *reassembly.Conn) bool {
	if c.Ends[0].Packets > 0 && c.Ends[1].Packets > 0 {
		return false
	}
	switch c.Handshake.Outcome {
	case reassembly.HandshakeUnanswered, reassembly.HandshakeICMP, reassembly.HandshakePending:
		return c.Ends[0].Packets == 0
	}
	return true
}

// advances reports whether acknowledgments of a one-way connection go on to higher
// numbers: what they acknowledge was sent, by somebody who is not in the capture.
func advances(c *reassembly.Conn) bool {
	first := next(&Case{Conn: c}, 0, acking)
	return first >= 0 && next(&Case{Conn: c}, first+1, func(e *reassembly.Event) bool {
		return acking(e) && e.Ack.After(c.Events[first].Ack)
	}) >= 0
}

func acking(e *reassembly.Event) bool {
	return genuine(e) && e.Flags&wire.ACK != 0 && e.Kind != reassembly.KindRST
}

// oversized returns the first frame with more data than the MSS option of its
// receiver allows (RFC 9293 section 3.7.1); 0 if there is none. Of folded data the
// average is known, which is too long only if one of them is.
func oversized(c *reassembly.Conn) wire.FrameID {
	var most [2]uint32
	for s := range c.Ends {
		peer := &c.Ends[1-s]
		if peer.HasSYN && peer.SYN.Set.Has(wire.OptMSS) {
			most[s] = uint32(peer.SYN.MSS)
		}
	}
	for i := range c.Events {
		e := &c.Events[i]
		if m := most[e.From&1]; m > 0 && e.Len > m && e.Count > 0 && e.Len/e.Count > m {
			return e.Frame
		}
	}
	return 0
}

// Add counts a connection.
func (c *Capture) Add(t *Trace) {
	c.Connections++
	c.Data += t.Data
	c.DoubledFrames += t.Doubled
	if t.MidStream {
		c.MidStream.add(t.First, t.MidStreamSure)
	}
	switch {
	case t.OneWay:
		c.OneWay.add(t.First, t.OneWaySure)
	case t.Lost != 0:
		// With one direction only there is no telling what of the other is lacking.
		// Of a connection that began before, what is acknowledged first may be older.
		c.Lossy.add(t.Lost, t.LostSure)
		c.LostOctets += t.LostOctets
	}
	if t.Doubled > 0 {
		c.Doubled.add(t.First, t.Doubled >= doubledLeast && t.Doubled*doubledShare >= t.Frames)
	}
	if t.Offload != 0 {
		c.Offloaded.add(t.Offload, true)
	}
	if t.Control {
		c.Controlled++
	}
}

// Merge adds what another Capture counted.
func (c *Capture) Merge(o *Capture) {
	c.Frames, c.Segments, c.Connections, c.Data = c.Frames+o.Frames, c.Segments+o.Segments, c.Connections+o.Connections, c.Data+o.Data
	c.Snapped, c.CutHeaders, c.Backwards, c.Dropped = c.Snapped+o.Snapped, c.CutHeaders+o.CutHeaders, c.Backwards+o.Backwards, c.Dropped+o.Dropped
	c.LostOctets, c.DoubledFrames, c.Controlled = c.LostOctets+o.LostOctets, c.DoubledFrames+o.DoubledFrames, c.Controlled+o.Controlled
	c.Stray += o.Stray
	c.StepBack = max(c.StepBack, o.StepBack)
	c.SnappedAt, c.BackwardsAt, c.StrayAt = earlier(c.SnappedAt, o.SnappedAt), earlier(c.BackwardsAt, o.BackwardsAt), earlier(c.StrayAt, o.StrayAt)
	for _, n := range []struct{ to, from *Concerned }{{&c.MidStream, &o.MidStream}, {&c.Lossy, &o.Lossy}, {&c.OneWay, &o.OneWay},
		{&c.Doubled, &o.Doubled}, {&c.Offloaded, &o.Offloaded}} {
		n.to.merge(n.from)
	}
}

// earlier returns the lower of two frames, where 0 is none.
func earlier(a, b wire.FrameID) wire.FrameID {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Check returns what the rules say about the capture: the gravest first, then by ID.
func (c *Capture) Check() (found []CaptureFinding) {
	for _, r := range captureRules {
		if f, ok := r.Check(c); ok {
			f.Rule = r
			found = append(found, f)
		}
	}
	slices.SortStableFunc(found, func(a, b CaptureFinding) int { return int(b.Severity) - int(a.Severity) })
	return found
}

var captureRules []*CaptureRule

// registerCapture adds a rule about the capture when the package is initialised. One
// that is not whole, or whose ID is taken, is a mistake in the program.
func registerCapture(r CaptureRule) *CaptureRule {
	switch {
	case r.ID == "" || strings.ToLower(r.ID) != r.ID || strings.ContainsAny(r.ID, " _."):
		panic(fmt.Sprintf("finding: %q is not a rule's ID: lower case words with hyphens", r.ID))
	case r.Catalogue == "" || r.Title == "" || r.Meaning == "" || r.Signature == "" || r.Effect == "" || r.Alternatives == "" || r.Advice == "" || r.Check == nil:
		panic(fmt.Sprintf("finding: rule %s is not whole", r.ID))
	case LookupCapture(r.ID) != nil || Lookup(r.ID) != nil:
		panic(fmt.Sprintf("finding: rule %s is registered twice", r.ID))
	}
	captureRules = append(captureRules, &r)
	slices.SortFunc(captureRules, func(a, b *CaptureRule) int { return strings.Compare(a.ID, b.ID) })
	return &r
}

// AllCapture returns every rule about captures, by ID.
func AllCapture() []*CaptureRule { return slices.Clone(captureRules) }

// LookupCapture returns the rule about captures with an ID, nil if there is none.
func LookupCapture(id string) *CaptureRule {
	for _, r := range captureRules {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// grade grades a finding that some of the connections concerned prove.
func (n *Concerned) grade(proved, doubt string) (Confidence, string) {
	if n.Sure > 0 {
		return Certain, proved
	}
	return Possible, doubt
}
