package ui

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Source is what the screens show. Its methods are called on goroutines of their own,
// Load and Life also at the same time.
type Source interface {
	// Check says what is wrong with a filter, nil if nothing is. It must be quick.
	Check(filter string) error
	// Load returns what there is to see of the connections for which the filter holds,
	// all if it is empty. It may take its time, as p tells meanwhile; the end of ctx ends
	// it with an error.
	Load(ctx context.Context, filter string, p *Progress) (*Snapshot, error)
	// Life returns all that is known of one connection.
	Life(ctx context.Context, r *Row, p *Progress) (*Life, error)
	// Every is how often there is something new, 0 for never: a file stays as it is.
	Every() time.Duration
}

// Progress tells how far a Source is. The zero value says nothing.
type Progress struct{ words atomic.Pointer[func() string] }

// Say sets what tells how far it is. It is called on other goroutines.
func (p *Progress) Say(words func() string) { p.words.Store(&words) }

// String returns how far it is in words, empty if nobody said.
func (p *Progress) String() string {
	if f := p.words.Load(); f != nil {
		return (*f)()
	}
	return ""
}

// Snapshot is what there is to see at one time. Nobody changes it.
type Snapshot struct {
	// Title names what is shown: a capture, or an interface.
	Title string
	// First and Now are the times of the first frame and of the last, or of the clock;
	// valid if Any: there was a frame at all.
	First, Now wire.Time
	Any        bool
	// Summary is what a report would say of it.
	Summary *report.Summary
	// Rows are the connections, in the order of their numbers. Left is how many more
	// there are: of each kind some are kept (see Collector).
	Rows []Row
	Left uint64
	// Listeners are in the order of their first connection; OtherListeners counts the
	// connections to further ones.
	Listeners      []Listener
	OtherListeners uint64
	// Census counts all endpoints over time.
	Census Series
	// Note is a sentence about how the reading goes, empty for none.
	Note string
}

// Row is a connection in a list.
type Row struct {
	ID         uint64
	UID        string
	Tuple      wire.Tuple // from the client to the server
	Encap      []string
	Start, End wire.Time
	// Open: nothing says that it is over. Then its age is that up to Snapshot.Now.
	Open bool
	// States are both endpoints' last states, by side; HasState says whether the side had
	// a connection at all.
	States   [2]reassembly.State
	HasState [2]bool
	// RTT is the handshake's round trip; 0 is unknown.
	RTT            time.Duration
	Packets, Bytes [2]uint64
	Outcome        reassembly.Outcome
	Handshake      reassembly.HandshakeOutcome
	Reason         reassembly.CloseReason
	Closer         reassembly.Side
	HasCloser      bool
	By             string // "fin" or "rst"
	// Findings are those told of it, each rule once, the gravest first.
	Findings []Told
	// found are the findings themselves; going: it is open and not counted as over.
	found []finding.Finding
	going bool
}

// Told is a finding in a list.
type Told struct {
	Rule     *finding.Rule
	Severity finding.Severity
}

// Life is a connection with all that is known of it.
type Life struct {
	report.Connection
	ID uint64
	// Ladder is every segment; nil where the connection's log is all there is. Note says
	// why, if there is a reason.
	Ladder []report.Step
	Note   string
}

// Listener is an address and port that connections were made to.
type Listener struct {
	Server netip.AddrPort
	Encap  []string
	// Connections counts those made to it: Answered those of which the handshake is
	// complete or was before the capture, Refused and Unanswered the attempts that came to
	// nothing, and Open those that nothing says are over.
	Connections, Answered, Refused, Unanswered, Open uint64
	// Resets counts those that a RST ended, ClosedBy those that a side was the first to
	// close, by either.
	Resets   uint64
	ClosedBy [2]uint64
	// Failed counts those with the outcome failure, Warned those with a warning or error.
	Failed, Warned uint64
	// RTT holds the handshakes' round trips.
	RTT census.Histogram
	// Census counts its own endpoints over time; empty where that was not kept apart.
	Census Series
}

// Series is counts over time, in order. Each point holds the highest number of
// endpoints in each state from its instant up to the next point's.
type Series struct {
	At     []wire.Time
	Counts []census.Counts
	// Peak is the highest number in each state.
	Peak census.Counts
}
