package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Step is one segment of a connection's full ladder, from a second pass over the
// input.
type Step struct {
	wire.Segment
	// From is the side that sent it.
	From reassembly.Side
	// Marks are what the tracker found out about it; 0 when it was not asked.
	Marks reassembly.Marks
	// Duplicate: the capture holds the frame twice, and this is the second copy.
	Duplicate bool
}

// Timeline draws one connection: the client's lane on the left, the server's on
// the right, time from top to bottom. Each segment is an arrow; each side's states
// stand on its own lane at the segment that caused them, with the evidence. id is
// the connection's number in the report. Without a ladder the connection's events
// are drawn, in which a run of data and acknowledgments is one line.
func Timeline(w io.Writer, c *Connection, id uint64, ladder []Step, o *Options) error {
	d := drawing{canvas: o.canvas(), o: o, c: c, multi: len(o.Inputs) > 1}
	if ladder != nil {
		d.fromLadder(ladder)
	} else {
		d.fromEvents()
	}
	d.place()
	d.measure()
	d.header(id, o.Inputs)
	d.body()
	d.footer()
	_, err := io.WriteString(w, d.finish())
	return err
}

// rung is one line of the drawing: a segment or a run of them.
type rung struct {
	at, lastAt       wire.Time
	frame, lastFrame wire.FrameID
	count            uint32
	octets           uint32
	seq, end, ack    wire.Seq
	flags            wire.Flags
	window           uint16
	from             reassembly.Side
	kind             reassembly.Kind
	marks            reassembly.Marks
	duplicate        bool
	line             int // its place among the rungs
	options          *wire.Options
	icmp             *reassembly.ICMP // of KindICMP
	// states are the transitions that this frame caused, by side; findings those
	// that name it.
	states   [2][]*reassembly.Transition
	findings []*finding.Finding
}

// drawing is one timeline in the making.
type drawing struct {
	canvas
	o     *Options
	c     *Connection
	multi bool
	rungs []rung
	// alone are the transitions whose frame has no rung of its own (a timer, or a
	// frame inside a run), by side, in the order of time.
	alone [2][]*reassembly.Transition
	base  [2]wire.Seq
	// frames, times and middle are the widths of the frame and time columns and of
	// the arrows.
	frames, times, middle int
	last                  wire.Time // of the line before
	phase                 phase
	started               bool
}

func (d *drawing) fromEvents() {
	d.rungs = make([]rung, 0, len(d.c.Events)+len(d.c.ICMP))
	syn := [2]bool{}
	errors := d.c.ICMP
	for i := range d.c.Events {
		e := &d.c.Events[i]
		for ; len(errors) > 0 && errors[0].Frame < e.Frame; errors = errors[1:] {
			d.rungs = append(d.rungs, icmpRung(&errors[0]))
		}
		r := rung{at: e.At, lastAt: e.LastAt, frame: e.Frame, lastFrame: e.LastFrame, count: max(e.Count, 1), octets: e.Len,
			seq: e.Seq, end: e.End, ack: e.Ack, flags: e.Flags, window: e.Window, from: e.From & 1, kind: e.Kind, marks: e.Marks}
		if r.flags.Has(wire.SYN) && !syn[r.from] && d.c.Ends[r.from].HasSYN {
			r.options, syn[r.from] = &d.c.Ends[r.from].SYN, true
		}
		d.rungs = append(d.rungs, r)
	}
	for i := range errors {
		d.rungs = append(d.rungs, icmpRung(&errors[i]))
	}
}

func (d *drawing) fromLadder(ladder []Step) {
	d.rungs = make([]rung, 0, len(ladder)+len(d.c.ICMP))
	errors := d.c.ICMP
	for i := range ladder {
		s := &ladder[i]
		for ; len(errors) > 0 && errors[0].Frame < s.Frame; errors = errors[1:] {
			d.rungs = append(d.rungs, icmpRung(&errors[0]))
		}
		r := rung{at: s.At, lastAt: s.At, frame: s.Frame, lastFrame: s.Frame, count: 1, octets: s.Len, seq: s.Seq, end: s.End(),
			ack: s.Ack, flags: s.Flags, window: s.Window, from: s.From & 1, kind: kindOf(&s.Segment), marks: s.Marks, duplicate: s.Duplicate}
		if s.Flags.Has(wire.SYN) {
			r.options = &s.Options
		}
		d.rungs = append(d.rungs, r)
	}
	for i := range errors {
		d.rungs = append(d.rungs, icmpRung(&errors[i]))
	}
}

// kindOf is the order in which reassembly.Kind is defined.
func kindOf(s *wire.Segment) reassembly.Kind {
	switch f := s.Flags; {
	case f.Has(wire.RST):
		return reassembly.KindRST
	case f.Has(wire.SYN | wire.ACK):
		return reassembly.KindSYNACK
	case f.Has(wire.SYN):
		return reassembly.KindSYN
	case !f.Has(wire.ACK):
		return reassembly.KindOdd
	case f.Has(wire.FIN):
		return reassembly.KindFIN
	case s.Len > 0:
		return reassembly.KindData
	}
	return reassembly.KindACK
}

// place gives each transition and finding to the rung of its frame.
func (d *drawing) place() {
	at := make(map[wire.FrameID]*rung, len(d.rungs))
	for i := range d.rungs {
		r := &d.rungs[i]
		r.line = i
		at[r.frame] = r
		if at[r.lastFrame] == nil {
			at[r.lastFrame] = r
		}
	}
	for side := range d.c.Ends {
		tl := d.c.Ends[side].Timeline
		var above *rung // the line of the side's state before
		for i := range tl {
			t := &tl[i]
			if r := at[t.Frame]; t.Frame != 0 && r != nil {
				// Segments cross: what caused a state may have passed before what caused
				// the one before it. The lane shows them in the side's own order.
				if above != nil && r.line < above.line {
					r = above
				}
				above = r
				r.states[side] = append(r.states[side], t)
			} else {
				d.alone[side] = append(d.alone[side], t)
			}
		}
	}
	for i := range d.c.Findings {
		f := &d.c.Findings[i]
		for _, frame := range f.Frames {
			if r := at[frame]; r != nil && !slices.Contains(r.findings, f) {
				r.findings = append(r.findings, f)
			}
		}
	}
	d.base[0], _ = seqBase(d.c.Conn, reassembly.Client)
	d.base[1], _ = seqBase(d.c.Conn, reassembly.Server)
}

// measure finds how wide the frame column and the arrows must be. The whole is 100
// columns wide unless large numbers need more.
func (d *drawing) measure() {
	d.frames, d.times = 6, 10
	for i := range d.rungs {
		d.frames = max(d.frames, columns(frameName(d.rungs[i].frame, d.multi)))
		d.times = max(d.times, columns(seconds(d.rungs[i].at, d.c.Start)))
	}
	for i := range d.c.Ends {
		for _, t := range d.c.Ends[i].Timeline {
			d.times = max(d.times, columns(seconds(t.At, d.c.Start)))
		}
	}
	d.middle = 100 - d.gutter() - 2*laneWidth - 6
	for i := range d.rungs {
		d.middle = max(d.middle, columns(d.label(&d.rungs[i]))+6)
	}
	d.width = d.gutter() + 2*laneWidth + 6 + d.middle
}

// Widths of the column of intervals and of a lane.
const (
	deltaWidth = 9
	laneWidth  = 15 // "SYN_RECEIVED s*"
)

func (d *drawing) gutter() int { return d.frames + 1 + d.times + deltaWidth + 2 }

var roleSentences = map[reassembly.RoleBy]string{
	reassembly.RoleBySYN:    "the client's SYN was captured",
	reassembly.RoleBySYNACK: "the server's SYN-ACK was captured, the client's SYN was not",
	reassembly.RoleByPort:   "taken from the port numbers: the opening was not captured",
	reassembly.RoleByGuess:  "a guess: the opening was not captured and the ports do not tell; the first sender is taken for the client",
}

func (d *drawing) header(id uint64, inputs []string) {
	c := d.c
	d.linef("%s", d.paint(bold, fmt.Sprintf("Connection %s: %s (client) > %s (server)", number(id), c.Tuple.Source(), c.Tuple.Destination())))
	frames := fmt.Sprintf("%s, frames %s to %s", shortName(c.Capture), frameName(c.First, d.multi), frameName(c.Last, d.multi))
	if len(c.Encap) > 0 {
		frames += ", inside " + shortName(strings.Join(c.Encap, " "))
	}
	d.prose("  ", "  ", frames)
	if d.multi {
		d.legend(inputs)
	}
	d.prose("  ", "  ", fmt.Sprintf("%s %s, lasted %s, uid %s", d.o.clock(c.Start), d.o.zone(c.Start), span(c.End.Sub(c.Start)), c.UID))
	d.prose("  Roles:     ", blanks(13), roleSentences[c.RoleBy])
	d.prose("  Handshake: ", blanks(13), d.handshake())
	d.prose("  Close:     ", blanks(13), d.closing())
	for side := range c.Ends {
		e := &c.Ends[side]
		s := fmt.Sprintf("sent %s with %s", plural(e.Packets, "packet", "packets"), octets(e.Bytes))
		for _, x := range []struct {
			n    uint64
			what string
		}{{e.Retransmits, "retransmitted"}, {e.Duplicates, "captured twice"}} {
			if x.n > 0 {
				s += fmt.Sprintf(", %s %s", number(x.n), x.what)
			}
		}
		if e.MissingBytes > 0 {
			s += fmt.Sprintf(", %s acknowledged but not captured", octets(e.MissingBytes))
		}
		d.prose("  "+left(capital(reassembly.Side(side).String())+":", 11), blanks(13), s)
		if stays := d.stays(reassembly.Side(side)); stays != "" {
			d.prose(blanks(13), blanks(13), stays)
		}
	}
	for i := range c.Findings {
		f := &c.Findings[i]
		d.prose("  "+d.paint(severityColors[f.Severity], capital(f.Severity.String()))+": ", blanks(4),
			fmt.Sprintf("%s (%s, %s; %s): %s", d.paint(bold, f.Rule.ID), f.Confidence, f.Endpoint, frameList(f.Frames, d.multi, 8), printable(f.Message)))
	}
	d.WriteByte('\n')
}

// stays says how long a side was in each of its states, in their order.
func (d *drawing) stays(side reassembly.Side) string {
	tl := d.c.Ends[side].Timeline
	var words []string
	for i := range tl {
		t := &tl[i]
		switch {
		case i+1 == len(tl):
			if t.State != reassembly.Closed {
				words = append(words, t.State.String()+" to the end")
			}
		case t.State != reassembly.Closed:
			s := t.State.String() + " "
			if t.Evidence == reassembly.Assumed {
				s += "at least "
			}
			s += span(tl[i+1].At.Sub(t.At))
			if tl[i+1].Evidence == reassembly.Timer {
				s += " by its timer"
			}
			words = append(words, s)
		}
	}
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], " ", hard)
	}
	return strings.Join(words, ", ")
}

func (d *drawing) handshake() string {
	h := &d.c.Handshake
	s := h.Outcome.String()
	if h.RTT > 0 {
		s += ", round trip " + span(h.RTT)
		if h.ClientSide > 0 && h.ServerSide > 0 {
			s += fmt.Sprintf(" (%s on the client's side of the tap, %s on the server's)", span(h.ClientSide), span(h.ServerSide))
		}
	}
	if h.SYNs > 1 {
		s += fmt.Sprintf(", SYN sent %s times", number(uint64(h.SYNs)))
	}
	if h.SYNACKs > 1 {
		s += fmt.Sprintf(", SYN-ACK sent %s times", number(uint64(h.SYNACKs)))
	}
	for _, x := range []struct {
		set  bool
		what string
	}{{h.Cookie, "SYN cookie"}, {h.Deferred, "deferred accept"}, {h.AcceptQueue, "accept queue full"}, {h.FastOpen, "Fast Open"}, {h.Simultaneous, "simultaneous open"}} {
		if x.set {
			s += ", " + x.what
		}
	}
	return s
}

func (d *drawing) closing() string {
	cl := &d.c.Close
	s := cl.Reason.String()
	if cl.HasCloser {
		s += fmt.Sprintf(", begun by the %s", cl.Closer)
		if cl.By != "" {
			s += " with " + strings.ToUpper(cl.By)
		}
		s += " at +" + span(cl.At.Sub(d.c.Start))
		if cl.IdleBefore > 0 {
			s += " after " + span(cl.IdleBefore) + " of silence"
		}
		s += ", took " + span(cl.Duration)
	}
	if cl.Reset > 0 && cl.By != "rst" {
		s += fmt.Sprintf(", ended by a RST of the %s", cl.ResetBy)
	}
	for i := range d.c.Ends {
		if n := d.c.Ends[i].Unacked(); n > 0 {
			s += fmt.Sprintf("; %s of the %s never acknowledged", plural(uint64(n), "sequence number", "sequence numbers"), reassembly.Side(i))
		}
	}
	return s + "; outcome " + d.c.Outcome.String()
}

// evidenceMarks are the letters that stand behind a state.
var evidenceMarks = [...]string{reassembly.Sent: "s", reassembly.Acked: "a", reassembly.Passed: "p", reassembly.Timer: "t", reassembly.Assumed: "?"}

func (d *drawing) footer() {
	c := d.c
	var states []string
	for i := range c.Ends {
		if len(c.Ends[i].Timeline) > 0 {
			states = append(states, fmt.Sprintf("%s %s", reassembly.Side(i), c.Ends[i].Final()))
		}
	}
	if len(states) > 0 {
		when := "at the end"
		if open(c.Conn) {
			when = "as of the end of the capture, " + span(c.Until.Sub(c.End)) + " after the last frame"
		}
		d.prose("", "  ", capital(when)+": "+strings.Join(states, ", ")+".")
	}
	if c.Dropped > 0 {
		d.prose("", "  ", plural(uint64(c.Dropped), "event was", "events were")+" left out: the connection has more than are kept.")
	}
	d.WriteByte('\n')
	var used [len(evidenceMarks)]bool
	rewritten := false
	for i := range c.Ends {
		for _, t := range c.Ends[i].Timeline {
			used[t.Evidence], rewritten = true, rewritten || t.Rewritten
		}
	}
	var legend []string
	for e, what := range [...]string{
		reassembly.Sent:    "its own segment shows it",
		reassembly.Acked:   "its later segment proves that the cause had arrived",
		reassembly.Passed:  "the cause passed the tap and nothing contradicts its arrival",
		reassembly.Timer:   "a timer must have fired",
		reassembly.Assumed: "assumed, the capture began later",
	} {
		if used[e] {
			legend = append(legend, evidenceMarks[e]+" "+what)
		}
	}
	if rewritten {
		legend = append(legend, "* an earlier frame was meant to cause it, but a later one shows that it had not arrived")
	}
	if len(legend) > 0 {
		d.prose(d.paint(dim, "States: "), "  ", strings.Join(legend, "; ")+".")
	}
	d.prose(d.paint(dim, "Flags: "), "  ", "S SYN, F FIN, R RST, P PSH, . ACK, U URG, E ECE, W CWR, A AE. Times are seconds from the first frame; sequence numbers count from each side's SYN.")
}
