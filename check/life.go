package check

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
	"github.com/tcplife/tcplife/wire"
)

// life is what a check reads of one connection. It is valid during the call that hands
// it over, but for its strings and findings.
type life struct {
	id uint64
	*report.Digest
	*parcel
}

// parcel is what crosses from where a connection settled to where all are in order.
type parcel struct {
	// rtt are the parts of the handshake's round trip, by census's indices; 0 unknown.
	rtt [census.RTTParts]time.Duration
	// syns counts repetitions of SYN and SYN-ACK.
	syns uint32
	// opening are the frames of SYN, SYN-ACK and ACK, closing that with which the close
	// began, or the RST that ended it.
	opening, closing []wire.FrameID
	stays            [2][]stay
	duration         time.Duration
	// holds says which of the filters hold; undecided are those that ask for numbers.
	holds     []bool
	undecided []func(id, stream uint64) bool
	// states is what a census reads; nil if there is none.
	states []byte
}

// stay is one state of an endpoint.
type stay struct {
	state reassembly.State
	// frame and until are those that began and ended it; until is 0 when it lasts.
	frame, until wire.FrameID
	dwell        time.Duration
	// whole: both ends were seen. lasting: it went on when the connection went out of
	// sight. Neither: a timer of the profile ended it, or it had begun before.
	whole, lasting bool
}

// judge is what a Run asks for a verdict.
type judge interface {
	see(l *life)
	verdicts(s *report.Summary) []Verdict
}

// Run is one check of one capture: give it to a pipeline as its format.
type Run struct {
	judges  []judge
	filters []*selection.Selection
	pickers sync.Pool // of []report.Picker
	census  bool
	// base is where the filters of the document begin whose expectations begin now.
	base int
	// deep: an expression may ask for anything.
	deep bool

	mu      sync.Mutex
	next    uint64
	parcels map[uint64]*parcel

	memory  *memory // nil unless connections are remembered
	options report.Options
	summary *report.Summary
}

func newRun(filters []*selection.Selection) *Run {
	r := &Run{filters: filters, parcels: map[uint64]*parcel{}}
	r.pickers.New = func() any {
		all := make([]report.Picker, len(filters))
		for i, f := range filters {
			all[i] = f.Picker()
		}
		return &all
	}
	return r
}

// Begin implements report.Format.
func (r *Run) Begin(_ io.Writer, o *report.Options) error {
	r.options = *o
	return nil
}

// Needs implements report.Needer.
func (r *Run) Needs() report.Needs {
	return report.Needs{Names: true, Events: true, Peers: r.deep}
}

// Encode implements report.Format: it keeps what is read of the connection, and writes
// under which number.
func (r *Run) Encode(b *report.Buffer, c *report.Connection) {
	p := newParcel(c.Conn)
	if r.census {
		p.states = census.AppendLife(nil, c.Conn)
	}
	if len(r.filters) > 0 {
		pickers := r.pickers.Get().(*[]report.Picker)
		p.holds, p.undecided = make([]bool, len(r.filters)), make([]func(id, stream uint64) bool, len(r.filters))
		for i, f := range *pickers {
			p.holds[i], p.undecided[i] = f.Pick(c)
		}
		r.pickers.Put(pickers)
	}
	r.mu.Lock()
	r.next++
	n := r.next
	r.parcels[n] = p
	r.mu.Unlock()
	b.B = binary.LittleEndian.AppendUint64(b.B, n)
}

// Add implements report.Format.
func (r *Run) Add(id uint64, d *report.Digest, b *report.Buffer) error {
	n := binary.LittleEndian.Uint64(b.B)
	r.mu.Lock()
	p := r.parcels[n]
	delete(r.parcels, n)
	r.mu.Unlock()
	for i, decide := range p.undecided {
		if decide != nil {
			p.holds[i] = decide(id, d.Stream)
		}
	}
	l := life{id, d, p}
	for _, j := range r.judges {
		j.see(&l)
	}
	return nil
}

// Late implements report.Format. What comes late changes no life.
func (r *Run) Late(*report.Late) error { return nil }

// End implements report.Format.
func (r *Run) End(s *report.Summary) error {
	r.summary = s
	return nil
}

// Result returns the verdicts when the pipeline has ended.
func (r *Run) Result(name string) *Result {
	out := &Result{Capture: name, Inputs: r.options.Inputs}
	if r.summary == nil {
		return out
	}
	out.Connections = r.summary.Connections
	if first, _, ok := r.summary.Span(); ok {
		out.Start = first
	}
	for _, j := range r.judges {
		out.Verdicts = append(out.Verdicts, j.verdicts(r.summary)...)
	}
	for _, u := range r.summary.Unread {
		out.Remarks = append(out.Remarks, fmt.Sprintf("%s is missing: %v", u.Name, u.Err))
	}
	for _, f := range r.summary.CaptureFindings() {
		if f.Severity > finding.Info {
			out.Remarks = append(out.Remarks, f.Message)
		}
	}
	return out
}

func newParcel(c *reassembly.Conn) *parcel {
	p := &parcel{
		rtt: [census.RTTParts]time.Duration{census.RTTWhole: c.Handshake.RTT, census.RTTClientSide: c.Handshake.ClientSide, census.RTTServerSide: c.Handshake.ServerSide},
		// Of each, the first is no repetition.
		syns:     max(c.Handshake.SYNs, 1) - 1 + max(c.Handshake.SYNACKs, 1) - 1,
		duration: c.End.Sub(c.Start),
	}
	for side := range c.Ends {
		p.stays[side] = staysOf(c, &c.Ends[side])
	}
	p.opening, p.closing = openingFrames(c), closingFrames(c)
	return p
}

func staysOf(c *reassembly.Conn, e *reassembly.Endpoint) (all []stay) {
	tl := e.Timeline
	for i := range tl {
		s := stay{state: tl[i].State, frame: tl[i].Frame}
		switch {
		case tl[i].State == reassembly.Closed || tl[i].State == reassembly.Listen:
		case i+1 == len(tl):
			s.lasting, s.dwell = true, c.Until.Sub(tl[i].At)
		default:
			s.until, s.dwell = tl[i+1].Frame, tl[i+1].At.Sub(tl[i].At)
			// What the profile's timer ended is as long as the profile says, and
			// measures nothing.
			s.whole = tl[i].Evidence != reassembly.Assumed && tl[i+1].Evidence != reassembly.Timer && tl[i+1].Evidence != reassembly.Assumed
		}
		all = append(all, s)
	}
	return all
}

// openingFrames are the first SYN, the first SYN-ACK and what acknowledges it.
func openingFrames(c *reassembly.Conn) (list []wire.FrameID) {
	want := []func(e *reassembly.Event) bool{
		func(e *reassembly.Event) bool { return e.Kind == reassembly.KindSYN },
		func(e *reassembly.Event) bool { return e.Kind == reassembly.KindSYNACK },
		func(e *reassembly.Event) bool { return e.From == reassembly.Client && e.Flags.Has(wire.ACK) },
	}
	for i := range c.Events {
		if len(want) > 0 && want[0](&c.Events[i]) {
			list, want = append(list, c.Events[i].Frame), want[1:]
		}
	}
	return list
}

// closingFrames are the closer's first FIN, and the RST that ended the connection.
func closingFrames(c *reassembly.Conn) (list []wire.FrameID) {
	if c.Close.HasCloser && c.Close.By == "fin" {
		i := slices.IndexFunc(c.Events, func(e reassembly.Event) bool {
			return e.Kind == reassembly.KindFIN && e.From == c.Close.Closer
		})
		if i >= 0 {
			list = append(list, c.Events[i].Frame)
		}
	}
	if c.Close.Reset > 0 && c.Close.Reset <= len(c.Events) {
		list = append(list, c.Events[c.Close.Reset-1].Frame)
	}
	return list
}

// evidence shows the connection by some of its frames; by the first and last if there
// are none.
func (l *life) evidence(list []wire.FrameID, text string) Evidence {
	if len(list) == 0 {
		if list = []wire.FrameID{l.First, l.Last}; l.First == l.Last {
			list = list[:1]
		}
	}
	return Evidence{Connection: l.id, UID: l.UID, Client: l.Tuple.Source(), Server: l.Tuple.Destination(), Frames: slices.Clone(list), Text: text}
}

// ended says how the connection was closed.
func (l *life) ended() string {
	text := l.Reason.String()
	if l.begunToClose() {
		text += fmt.Sprintf(", closed first by the %s (%s)", l.Closer, map[string]string{"fin": "FIN", "rst": "RST"}[l.By])
	}
	return text
}

// closed is the evidence for how the connection ended.
func (l *life) closed() Evidence { return l.evidence(l.closing, l.ended()) }

// Fault says on how many connections an expression could not be evaluated; nil if there
// was none.
func (r *Run) Fault() error {
	for _, f := range r.filters {
		if err := f.Fault(); err != nil {
			return err
		}
	}
	return nil
}
