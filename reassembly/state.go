package reassembly

import "github.com/tcplife/tcplife/wire"

// State is a state of one endpoint of a connection (RFC 9293 section 3.3.2). The
// zero value is Closed.
type State uint8

// The eleven states, in the RFC's order but for Closed, which comes first.
const (
	Closed State = iota
	Listen
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait

	stateEnd
)

// StateCount is the number of states, for tables indexed by State.
const StateCount = int(stateEnd)

var stateNames = [...]string{"CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT"}

// String returns the RFC's name with underscores.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "?"
}

// Synchronized reports whether both sequence numbers are agreed on in this state
// (RFC 9293 section 3.3.2: ESTABLISHED and everything behind it).
func (s State) Synchronized() bool { return s >= Established }

// Evidence says how a transition is known.
type Evidence uint8

// The kinds of evidence. Only Sent and Acked are proofs.
const (
	// Sent: the endpoint's own segment shows it (it sent a FIN: FIN_WAIT_1).
	Sent Evidence = iota
	// Acked: a later segment of that endpoint proves that it had received the cause.
	Acked
	// Passed: the cause passed the tap towards it and nothing contradicts its arrival.
	Passed
	// Timer: a timer of the host profile must have fired.
	Timer
	// Assumed: the capture began later; the state is the least that explains what is seen.
	Assumed
)

var evidenceNames = [...]string{"sent", "acked", "passed", "timer", "assumed"}

// String returns the word used in reports.
func (e Evidence) String() string {
	if int(e) < len(evidenceNames) {
		return evidenceNames[e]
	}
	return "?"
}

// Transition is one entry of an endpoint's timeline: from At on it was in State.
type Transition struct {
	State State
	// At is the time of Frame at the tap, or when the timer fired. Entries of one
	// timeline never go back in time.
	At wire.Time
	// Frame is the frame that the transition follows from: the received cause, or
	// the own segment that shows it. 0 for a timer.
	Frame wire.FrameID
	// Proof is the later frame that made Passed into Acked; 0 if there is none.
	Proof    wire.FrameID
	Evidence Evidence
	// Rewritten: an earlier frame would have caused the transition, but a later
	// segment showed that it had not arrived.
	Rewritten bool
	// by is what moved it, a row of arcs.
	by Stimulus
}
