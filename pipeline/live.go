package pipeline

import (
	"net/netip"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Live makes a run one that follows its source: epochs are cut by time too, the
// trackers' time goes on when no frame comes, and what happens is told while it does.
// Every function is called on the goroutine that called Run, one at a time, so that
// they may write to the same output as the format; what they are given is valid until
// they return. The others wait meanwhile: a slow one costs frames.
type Live struct {
	// Clock says how time passes; nil is the machine's.
	Clock Clock
	// Flush is the longest that a segment waits for others before it is looked at; 0
	// stands for 100 ms.
	Flush time.Duration
	// Event, if set, is called with what happens to connections: of one flush in the
	// order of their times.
	Event func(e *Event)
	// Every is the time between two calls of Snapshot; 0 for none. The first comes one
	// step after the beginning, the last right before Format.End, with Last set.
	Every    time.Duration
	Snapshot func(s *Snapshot)
	// Incident, if set, is called with what many connections show together, as far as they
	// have settled: when it is found first, when it has become graver, and when it does not
	// hold any more. Judge is the time between two looks; 0 stands for 10 s.
	Incident func(in *report.LiveIncident)
	Judge    time.Duration
	// Gap, if set, is called with each gap of the source.
	Gap func(g *capture.Gap)
	// View, if set, is asked before each snapshot what it shall hold; otherwise it has
	// sums alone. It is called on another goroutine than the others.
	View func() View
	// MaxHold, if not 0, has connections that are open for so long written as they are,
	// with "settled": false, and again as often, if they have changed; the format must be
	// a report.Interim. They are written once more when they have settled.
	MaxHold time.Duration
	// IncidentPart says how much of what many connections show together is kept in
	// memory: one in so many of what a capture may take, which is some 100 MB for each
	// worker. 0 stands for 32.
	IncidentPart int
}

// Clock is how a live run learns how much time has passed.
type Clock interface {
	// Now is like time.Now.
	Now() time.Time
}

// Event is something that happened to a connection.
type Event = report.Event

// EventKind is a sort of Event.
type EventKind = report.EventKind

// The kinds; see report.
const (
	EventOpened    = report.EventOpened
	EventRefused   = report.EventRefused
	EventClosing   = report.EventClosing
	EventClosed    = report.EventClosed
	EventReset     = report.EventReset
	EventDied      = report.EventDied
	EventFinding   = report.EventFinding
	EventWithdrawn = report.EventWithdrawn
	EventKinds     = report.EventKinds
)

// Order is what the rows of a snapshot are ordered by.
type Order uint8

// The orders. Each puts first what is most of it; equal ones go by number.
const (
	ByActivity Order = iota // the time of the last segment, latest first
	ByAge                   // the time of the first segment, oldest first
	ByStart                 // the same, newest first
	ByPackets               // of both sides
	ByBytes                 // of both sides
	ByRTT                   // of the handshake, longest first
	ByFindings              // the gravest finding, then their number
	ByState                 // the client's, then the server's
	ByIdle                  // the time since the last segment, longest first
)

// View is what the caller wants to see.
type View struct {
	// Rows is how many connections a snapshot lists at most, Listeners how many
	// listening sockets.
	Rows, Listeners int
	// Order is which come first; Reverse turns it round.
	Order   Order
	Reverse bool
	// Keep, if set, says which connections are wanted as rows. It is called on several
	// goroutines at once and must be quick: once for each open connection. ID, UID
	// and Findings are not set then.
	Keep func(r *Row) bool
	// Visit, if set, is called with every open connection, as Keep is; it keeps nothing of
	// r.
	Visit func(r *Row)
	// Follow names open connections, by Row.Ref or Event.Ref, of which the snapshot holds
	// everything.
	Follow []uint64
}

// Row is an open connection as it stands: provisional, as of the end of a capture.
type Row struct {
	// Ref names it for View.Follow as long as it is open.
	Ref   uint64
	ID    uint64
	UID   string
	Tuple wire.Tuple // from its client to its server
	Encap []string
	// Start and Last are the times of its first and last segment.
	Start, Last wire.Time
	// States are both endpoints' states, by side, Since when each is in it, and Evidence
	// how that is known. HasState says whether the side has a connection at all.
	States   [2]reassembly.State
	Since    [2]wire.Time
	Evidence [2]reassembly.Evidence
	HasState [2]bool
	RoleBy   reassembly.RoleBy
	// RTT is the handshake's round trip; 0 is unknown.
	RTT            time.Duration
	Packets, Bytes [2]uint64
	// Retransmits counts segments that repeat what was sent, by side.
	Retransmits [2]uint64
	// Worst is the gravest of the findings so far, Found how many there are.
	Worst finding.Severity
	Found int
	// Findings are those so far, gravest first. They may go again.
	Findings []finding.Finding
}

// Listener is an address and port at which connections arrive now.
type Listener struct {
	Server netip.AddrPort
	Encap  []string
	// States counts its open connections by the server's state, Clients those by the
	// client's; endpoints without a connection are in neither.
	States, Clients [reassembly.StateCount]uint64
	// Open is how many connections there are; Waiting counts those of whose handshake the
	// server has not seen the end, Oldest is the start of the oldest.
	Open, Waiting uint64
	Oldest        wire.Time
}

// Snapshot is how things stand.
type Snapshot struct {
	// At is the capture time, Wall the clock's; between two snapshots both advance alike
	// as far as the source is up to date. Started says whether there was a frame at all:
	// without one At means nothing.
	At      wire.Time
	Wall    time.Time
	Started bool
	// Last: it is the last one; all connections have been handed out, and nothing is
	// open.
	Last bool

	// Open is how many connections are held; Census counts their endpoints by side and
	// provisional state, those without a connection left out.
	Open   uint64
	Census [2][reassembly.StateCount]uint64
	// Behind counts connections that have changed and were not looked at yet, because
	// there were too many of them; Census and Rows show them as they were before.
	Behind uint64
	// Rows and Listeners are what View asked for.
	Rows      []Row
	Listeners []Listener
	// Followed are the connections of View.Follow that are open, as they would be
	// reported if the capture ended now (Provisional is set), with their numbers.
	Followed []Followed

	// Opened counts the connections that were ever begun, attempts included, in the
	// order of ID: the highest number so far. Evicted counts those that left because of
	// Config.Limits.
	Opened, Evicted uint64
	// Total sums up all settled connections since the beginning, Delta those since the
	// last snapshot: reasons, closers, outcomes, findings, Durations (round trips of
	// handshakes, dwell). Total also has what is said of the inputs, and examples; Delta
	// has neither, and no late groups. Incidents are in neither before the end.
	Total, Delta *report.Summary
	// Losses are the sources' own counts; Counted says whether they have any.
	Losses  capture.Losses
	Counted bool
	// Gaps are the gaps since the last snapshot, at most some dozens; GapCount counts
	// all since the beginning, one that was told twice once.
	Gaps     []*capture.Gap
	GapCount uint64
}

// Followed is an open connection with all that is known of it.
type Followed struct {
	Ref, ID uint64
	*report.Connection
}

// The usual values.
const (
	usualFlush = 100 * time.Millisecond
	// usualConnections are held at most where nobody says how many: some gigabyte.
	usualConnections  = 1 << 20
	usualIncidentPart = 32
)

type systemClock struct{}

// Now returns the time of day, with a reading of the monotonic clock.
func (systemClock) Now() time.Time { return time.Now() }

func (l *Live) clock() Clock {
	if l.Clock != nil {
		return l.Clock
	}
	return systemClock{}
}

func (l *Live) flush() time.Duration {
	if l.Flush > 0 {
		return l.Flush
	}
	return usualFlush
}

// ticks reports whether there are snapshots.
func (l *Live) ticks() bool { return l.Every > 0 && l.Snapshot != nil }

// looks reports whether anybody wants to know how connections stand before they settle.
func (l *Live) looks() bool { return l != nil && (l.Event != nil || l.Snapshot != nil) }

// incidentPart is incident.Config.Part.
func (c *Config) incidentPart() int {
	switch {
	case c.Live == nil:
		return 1
	case c.Live.IncidentPart > 0:
		return c.Live.IncidentPart
	}
	return usualIncidentPart
}
