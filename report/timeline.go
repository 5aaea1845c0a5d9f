package report

import (
	"io"
	"slices"

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
//
// It is as wide as Options.Width, or 100 columns. On a narrow terminal there are no
// lanes: each segment is a line of text.
func Timeline(w io.Writer, c *Connection, id uint64, ladder []Step, o *Options) error {
	d := drawing{canvas: o.canvas(), o: o, c: c, multi: len(o.Inputs) > 1}
	if ladder != nil {
		d.fromLadder(ladder)
	} else {
		d.fromEvents()
	}
	d.place()
	d.tell()
	d.measure()
	d.header(id, o.Inputs)
	if d.middle > 0 {
		d.body()
	} else {
		d.script()
	}
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
	// again are the frames that it repeats, the latest first.
	again []wire.FrameID
	// lost says whether it arrived.
	lost loss
	// hole is what the capture lacks, folded what is not drawn one by one: then there is
	// no segment.
	hole   *reassembly.Range
	folded *folded
	// states are the transitions that this frame caused, by side; findings those
	// that name it.
	states   [2][]*reassembly.Transition
	findings []*finding.Finding
}

// loss says whether a segment arrived, as far as later ones show.
type loss uint8

const (
	arrived  loss = iota // or nothing says otherwise
	doubtful             // it was sent again before anything acknowledged it
	lost                 // the receiver's states show that it had not
)

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
	// frames, times, delta, lane and middle are the widths of the columns of frames,
	// times and intervals, of a lane, and of the arrows; remarks that of what stands
	// right of the lanes, where there is room. A width of 0 leaves the column out.
	frames, times, delta, lane, middle, remarks int
	// brief: segments are labelled in the fewest words.
	brief bool
	// What the footer explains.
	lostAny, holeAny bool
	last             wire.Time // of the line before
	phase            phase
	started          bool
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
