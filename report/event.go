package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Follower is a Format that also prints what happens, and how things stand, while a live
// run goes on. Its methods are called between those of Format, and print whole lines at
// the next Flush.
type Follower interface {
	Flusher
	// Event prints what happened to a connection.
	Event(e *Event) error
	// Present prints how things stand.
	Present(p *Present) error
	// Incident prints what many connections show together.
	Incident(in *LiveIncident) error
	// Gap prints that the source was blind for a while.
	Gap(g *capture.Gap) error
}

// Present is how things stand in a live run.
type Present struct {
	// At is the capture's time; without Started there was no frame yet.
	At      wire.Time
	Started bool
	// Open is how many connections are held, Census their endpoints by side and
	// provisional state.
	Open   uint64
	Census [2][reassembly.StateCount]uint64
	// Opened, Settled and Evicted count connections since the beginning, Findings those
	// on settled connections by severity, Frames what was read.
	Opened, Settled, Evicted, Frames uint64
	Findings                         [severityCount]uint64
	// Losses are the source's own counts, if Counted; Gaps counts times in which it was
	// blind.
	Losses  capture.Losses
	Counted bool
	Gaps    uint64
}

// LiveIncident is what many connections show together, while a live run goes on: as far
// as they have settled.
type LiveIncident struct {
	// At is the capture's time at which it was found.
	At wire.Time
	// Incident is as it was found then, or, if Withdrawn, as it was told before: what came
	// later does not bear it out.
	Incident  *incident.Incident
	Withdrawn bool
}

// EventKind is a sort of Event.
type EventKind uint8

// The kinds. Each comes at most once for a connection, but for findings.
const (
	// EventOpened: the handshake is complete, or the capture began inside the connection.
	EventOpened EventKind = iota
	// EventRefused: the attempt came to nothing. Reason says how: refused, icmp,
	// unanswered, handshake-abandoned or what reset it; what waits for another try is
	// told when the last one has had its time.
	EventRefused
	// EventClosing: the first FIN.
	EventClosing
	// EventClosed: both FINs are acknowledged.
	EventClosed
	// EventReset: a RST ended it, in whatever state.
	EventReset
	// EventDied: it is over without FIN and RST, or nobody looks at it any more: its host
	// gave up or was gone, its tuple opened anew, a limit was reached.
	EventDied
	// EventFinding: a rule found something. Of a connection that is open only what is
	// certain is told; the rest when it has settled.
	EventFinding
	// EventWithdrawn: what a finding told of an open connection does not hold; a later
	// segment refuted it.
	EventWithdrawn

	// EventKinds is how many kinds there are.
	EventKinds
)

var eventNames = [EventKinds]string{"opened", "refused", "closing", "closed", "reset", "died", "finding", "withdrawn"}

// String returns the word used in reports.
func (k EventKind) String() string { return eventNames[k] }

// EventNames returns the words for all kinds, in their order.
func EventNames() []string { return eventNames[:] }

// Event is something that happened to a connection.
type Event struct {
	Kind EventKind
	// At is the capture time of what shows it, Frame that frame: the ACK that completes
	// a handshake, the first FIN, the RST. What only time shows has the connection's
	// last frame, and the time at which it was known.
	At    wire.Time
	Frame wire.FrameID
	// ID is the connection's number and UID its name, both those of its object in the
	// report; Tuple runs from its client to its server.
	ID    uint64
	UID   string
	Tuple wire.Tuple
	Encap []string
	// Ref names the connection as long as it is open (pipeline.View).
	Ref uint64
	// Start is when the connection began.
	Start wire.Time
	// States are both endpoints' states at the time of the event as far as is known by
	// now, indexed by side; HasState says whether the side has a connection at all.
	States   [2]reassembly.State
	HasState [2]bool
	// By is the side that did it (who sent the FIN or the RST), if HasBy.
	By    reassembly.Side
	HasBy bool
	// Reason is how it ended, for Refused, Closed, Reset and Died, as far as is known: an
	// open connection's is settled later.
	Reason reassembly.CloseReason
	// RTT is the handshake's round trip, for Opened; 0 is unknown.
	RTT time.Duration
	// Packets and Bytes are those of each side so far.
	Packets, Bytes [2]uint64
	// Finding is set for Finding and Withdrawn.
	Finding *finding.Finding
	// Settled: it was told when the connection left, and is final.
	Settled bool
}

// ended reports whether the event says how a connection ended.
func (e *Event) ended() bool {
	return e.Kind == EventRefused || e.Kind == EventClosed || e.Kind == EventReset || e.Kind == EventDied
}

// lifeEvent appends the object of an event.
func (a *appender) lifeEvent(b []byte, e *Event) []byte {
	b = append(b, `{"type":"event","schema":1,"event":"`...)
	b = append(b, e.Kind.String()...)
	b = append(b, `","at":`...)
	b = a.time(b, e.At)
	b = append(b, `,"t":`...)
	b = appendSeconds(b, e.At.Sub(e.Start))
	b = append(b, `,"frame":`...)
	b = a.frame(b, e.Frame)
	b = appendField(b, "id", e.ID)
	b = append(b, `,"uid":`...)
	b = appendString(b, e.UID)
	b = appendEnds(b, &e.Tuple)
	b = append(b, `,"encap":`...)
	b = appendStrings(b, e.Encap)
	b = append(b, `,"final":{`...)
	for side, has := range e.HasState {
		if has {
			b = appendSideKey(b, side)
			b = append(b, '"')
			b = append(b, e.States[side].String()...)
			b = append(b, '"')
		}
	}
	b = append(b, `},"packets":`...)
	b = appendSides(b, e.Packets[0], e.Packets[1])
	b = append(b, `,"bytes":`...)
	b = appendSides(b, e.Bytes[0], e.Bytes[1])
	if e.HasBy {
		b = append(b, `,"by":"`...)
		b = append(b, e.By.String()...)
		b = append(b, '"')
	}
	if e.ended() {
		b = append(b, `,"reason":"`...)
		b = append(b, e.Reason.String()...)
		b = append(b, '"')
	}
	if e.RTT > 0 {
		b = append(b, `,"rtt":`...)
		b = appendSeconds(b, e.RTT)
	}
	if e.Finding != nil {
		b = append(b, `,"finding":`...)
		b = a.finding(b, e.Finding)
	}
	b = append(b, `,"settled":`...)
	b = strconv.AppendBool(b, e.Settled)
	return append(b, '}')
}

// present appends the object of how things stand.
func (a *appender) present(b []byte, p *Present) []byte {
	b = append(b, `{"type":"census","schema":1`...)
	if p.Started {
		b = append(b, `,"at":`...)
		b = a.time(b, p.At)
	}
	b = appendField(b, "frames", p.Frames)
	b = appendField(b, "opened", p.Opened)
	b = appendField(b, "settled", p.Settled)
	b = appendField(b, "evicted", p.Evicted)
	b = appendField(b, "open", p.Open)
	b = append(b, `,"census":{`...)
	for side := range p.Census {
		b = appendSideKey(b, side)
		b = appendCounts(b, reassembly.StateCount, func(i int) string { return reassembly.State(i).String() }, func(i int) uint64 { return p.Census[side][i] })
	}
	b = append(b, `},"findings":`...)
	b = appendCounts(b, severityCount, func(i int) string { return finding.Severity(i).String() }, func(i int) uint64 { return p.Findings[i] })
	if p.Counted {
		b = appendField(b, "received", p.Losses.Received)
		b = appendField(b, "dropped", p.Losses.Dropped)
		b = appendField(b, "freezes", p.Losses.Freezes)
	}
	b = appendField(b, "gaps", p.Gaps)
	return append(b, '}')
}

// liveIncident appends the object of an incident that may change.
func (a *appender) liveIncident(b []byte, in *LiveIncident) []byte {
	b = append(b, `{"type":"incident","schema":1,"at":`...)
	b = a.time(b, in.At)
	b = append(b, `,"withdrawn":`...)
	b = strconv.AppendBool(b, in.Withdrawn)
	b = append(b, `,"incident":`...)
	return append(a.incident(b, in.Incident), '}')
}

// gap appends the object of a gap.
func (a *appender) gap(b []byte, g *capture.Gap) []byte {
	b = append(b, `{"type":"gap","schema":1,"capture":`...)
	b = appendString(b, g.Name)
	b = append(b, `,"what":`...)
	b = appendString(b, g.What)
	if g.From != 0 {
		b = append(b, `,"from":`...)
		b = a.time(b, g.From)
	}
	if g.To != 0 {
		b = append(b, `,"to":`...)
		b = a.time(b, g.To)
	}
	if g.Frames > 0 {
		b = appendField(b, "frames", g.Frames)
	}
	return append(b, '}')
}

// Event writes an event as one line.
func (f *ndjson) Event(e *Event) error {
	a := appender{multi: f.multi}
	f.out = append(a.lifeEvent(f.out, e), '\n')
	return f.spill()
}

// Present writes how things stand as one line.
func (f *ndjson) Present(p *Present) error {
	a := appender{multi: f.multi}
	f.out = append(a.present(f.out, p), '\n')
	return f.spill()
}

// Incident writes an incident as one line.
func (f *ndjson) Incident(in *LiveIncident) error {
	a := appender{multi: f.multi}
	f.out = append(a.liveIncident(f.out, in), '\n')
	return f.spill()
}

// Gap writes a gap as one line.
func (f *ndjson) Gap(g *capture.Gap) error {
	a := appender{multi: f.multi}
	f.out = append(a.gap(f.out, g), '\n')
	return f.spill()
}

// Flush writes the lines of what has happened.
func (f *text) Flush() error {
	if f.live.Len() == 0 {
		return nil
	}
	// One write: a line may be read by a program.
	c := f.live
	f.live = f.o.canvas()
	c.ascii = f.o.ASCII
	_, err := fmt.Fprint(f.w, c.finish())
	return err
}

// Event writes an event as one line.
func (f *text) Event(e *Event) error {
	f.begun()
	c := &f.live
	var what string
	by := ""
	if e.HasBy {
		by = " by the " + e.By.String()
	}
	switch e.Kind {
	case EventOpened:
		switch {
		case e.RTT > 0:
			what = "opened, round trip " + span(e.RTT)
		case e.At == e.Start:
			what = "open already"
		default:
			what = "opened"
		}
	case EventFinding, EventWithdrawn:
		what = e.Finding.Severity.String() + " " + e.Finding.Rule.ID
		if e.Kind == EventWithdrawn {
			what = "withdrawn: " + what
		}
		what += fmt.Sprintf(" (%s, %s): %s", e.Finding.Confidence, e.Finding.Endpoint, e.Finding.Message)
	default:
		what = e.Kind.String() + by
		if e.ended() && e.Reason != reassembly.CloseUnknown && e.Reason.String() != e.Kind.String() {
			what += ", " + e.Reason.String()
		}
		if e.Kind != EventRefused {
			what += fmt.Sprintf(", after %s, %s and %s octets", span(e.At.Sub(e.Start)), number(e.Bytes[0]), number(e.Bytes[1]))
		}
	}
	states := make([]string, 2)
	for side := range e.States {
		if states[side] = "-"; e.HasState[side] {
			states[side] = e.States[side].String()
		}
	}
	color := ""
	switch {
	case e.Finding != nil && e.Kind == EventFinding:
		color = severityColors[e.Finding.Severity]
	case e.Kind == EventReset || e.Kind == EventRefused || e.Kind == EventDied:
		color = severityColors[finding.Warning]
	}
	path := ""
	if len(e.Encap) > 0 {
		path = " in " + strings.Join(e.Encap, " ")
	}
	c.linef("%s #%d %s > %s%s [%s %s] %s", f.o.clock(e.At), e.ID, e.Tuple.Source(), e.Tuple.Destination(), path, states[0], states[1], c.paint(color, what))
	return nil
}

// Present writes how things stand as a few lines.
func (f *text) Present(p *Present) error {
	f.begun()
	c := &f.live
	at := "no frame yet"
	if p.Started {
		at = f.o.clock(p.At)
	}
	lost := ""
	if p.Counted {
		lost = fmt.Sprintf(", %s dropped by the capturing host", number(p.Losses.Dropped))
	}
	if p.Gaps > 0 {
		lost += fmt.Sprintf(", blind %s", times(p.Gaps))
	}
	c.linef("%s", c.paint(bold, fmt.Sprintf("%s %s open; %s begun, %s settled; %s%s", at, number(p.Open), number(p.Opened), number(p.Settled), plural(p.Frames, "frame", "frames"), lost)))
	for side := range p.Census {
		var states []string
		for s, n := range p.Census[side] {
			if n > 0 {
				states = append(states, reassembly.State(s).String()+" "+number(n))
			}
		}
		if len(states) > 0 {
			c.linef("    %ss: %s", reassembly.Side(side), strings.Join(states, ", "))
		}
	}
	return nil
}

// Incident writes an incident as one line.
func (f *text) Incident(in *LiveIncident) error {
	f.begun()
	x := in.Incident
	path, color, what := "", severityColors[x.Severity], x.Severity.String()+" "+x.Rule.ID
	if in.Withdrawn {
		color, what = "", "withdrawn: "+what
	}
	if len(x.Scope.Encap) > 0 {
		path = " in " + Printable(strings.Join(x.Scope.Encap, " "))
	}
	f.live.linef("%s %s%s %s", f.o.clock(in.At), x.Scope, path, f.live.paint(color, fmt.Sprintf("%s (%s, %s): %s", what, x.Confidence,
		plural(x.Count, "connection", "connections"), Printable(x.Message))))
	return nil
}

// Gap writes a gap as one line.
func (f *text) Gap(g *capture.Gap) error {
	f.begun()
	at := ""
	if when := max(g.From, g.To); when != 0 {
		at = f.o.clock(when) + " "
	}
	f.live.linef("%s%s", at, f.live.paint(severityColors[finding.Warning], g.Error()))
	return nil
}

// begun makes the canvas of the first line.
func (f *text) begun() {
	if f.live.Len() == 0 {
		f.live = f.o.canvas()
	}
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return number(n) + " times"
}
