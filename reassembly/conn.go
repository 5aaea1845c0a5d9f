package reassembly

import (
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Side is one of a connection's two endpoints.
type Side uint8

// The sides. The client sent the first SYN, the server answers it; where no
// handshake was captured, Conn.RoleBy says how the roles were chosen.
const (
	Client Side = iota
	Server
)

// Peer returns the other side.
func (s Side) Peer() Side { return 1 - s }

// String returns "client" or "server".
func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// RoleBy says how client and server were told apart.
type RoleBy uint8

// The ways, best first.
const (
	RoleBySYN    RoleBy = iota // the client's SYN was captured
	RoleBySYNACK               // the server's SYN-ACK was captured, the SYN was not
	RoleByPort                 // mid-stream: the server has the well-known or lower port
	RoleByGuess                // mid-stream: the sender of the first segment is taken for the client
)

var roleByNames = [...]string{"syn", "synack", "port", "guess"}

// String returns the word used in reports.
func (r RoleBy) String() string { return roleByNames[r] }

// Outcome says whether the connection came about and ended as its users wanted.
type Outcome uint8

// The outcomes.
const (
	OutcomeUnknown Outcome = iota // open at the end of the capture, or too little seen
	OutcomeSuccess                // established, and not ended by a reset or a dead peer
	OutcomeFailure                // never established, or ended by a reset or a dead peer
)

var outcomeNames = [...]string{"unknown", "success", "failure"}

// String returns the word used in reports.
func (o Outcome) String() string { return outcomeNames[o] }

// Conn is one incarnation of a 4-tuple: what its log says after all of it was
// read. Events and the timelines belong to the tracker that handed the Conn out
// and are valid until the call that did returns.
type Conn struct {
	// Tuple runs from the client to the server.
	Tuple  wire.Tuple
	RoleBy RoleBy
	// First and Last are the first and last frame, Start and End their times.
	First, Last wire.FrameID
	Start, End  wire.Time
	// Ends holds the two endpoints, indexed by Side.
	Ends [2]Endpoint
	// Events is the bounded log, in capture order; see Unlogged.
	Events []Event
	// Unlogged stands for a log that is not written.
	Unlogged Unlogged
	// ICMP holds the ICMP errors about its segments, bounded, the first of each
	// sort in capture order.
	ICMP []ICMP
	// Dropped counts events that the bounds left out.
	Dropped uint32
	// Seen is the union of what happened; rules are selected by it.
	Seen Seen
	// Quiet is the last long silence, if there was one.
	Quiet     Quiet
	Idle      Idle
	Outcome   Outcome
	Handshake Handshake
	Close     Close
	// Until is the capture time up to which the connection was watched: the
	// tracker's clock when it settled. Nothing after it is known.
	Until wire.Time
	// Ended says why the connection left the tracker.
	Ended Ended
	// Key is what the uid is made of.
	Key UIDKey
	// Previous describes the incarnation that had the tuple before, if the tracker
	// still knew it.
	Previous Incarnation
	// Next is set when the tuple opened anew while the tracker still held this
	// connection; Replaced when that attempt was answered.
	Next     Incarnation
	Replaced bool
	// View is what Config.Watch named the connection; 0 if Whole or, when that is empty,
	// Events holds every segment of it, one by one.
	View uint32
	// Whole is what Events would be if it had no runs. It is written with Config.Watch only,
	// and where it says more than Events.
	Whole []Event
}

// Quiet is a time in which nothing passed in either direction, 30 seconds or longer.
// For is 0 if there was none.
type Quiet struct {
	// At and Frame are those of the segment that ended it.
	At    wire.Time
	Frame wire.FrameID
	For   time.Duration
}

// Clone returns a copy that stays valid.
func (c *Conn) Clone() *Conn {
	d := *c
	d.Events, d.Whole, d.ICMP = slices.Clone(c.Events), slices.Clone(c.Whole), slices.Clone(c.ICMP)
	for i := range d.Ends {
		e := &d.Ends[i]
		e.Missing, e.Repeated, e.Timeline = slices.Clone(e.Missing), slices.Clone(e.Repeated), slices.Clone(e.Timeline)
	}
	return &d
}

// Incarnation names another connection of the same tuple. The zero value is none.
type Incarnation struct {
	// Key is what its uid is made of.
	Key UIDKey
	// Last is the time of its last segment so far.
	Last wire.Time
	// Frame is its first frame, Opener the side of *this* connection that sent it.
	Frame  wire.FrameID
	Opener Side
	// Answer is the frame of its SYN-ACK, seen while this connection was held, and
	// AnswerAt its time; 0 if there was none.
	Answer   wire.FrameID
	AnswerAt wire.Time
	// TTL is the hop limit of its opener's last segment, TSVal the newest time stamp
	// of that side, if HasTime.
	TTL     uint8
	TSVal   uint32
	HasTime bool
}

// Ended says why a connection left the tracker.
type Ended uint8

// The reasons.
const (
	EndedSettled Ended = iota // closed, and 2MSL passed
	EndedReused               // its tuple opened anew
	EndedInput                // the input ended
	EndedEvicted              // a limit on connections or memory
)

// Early reports whether the connection may have gone on: it was not over when it was
// last watched.
func (e Ended) Early() bool { return e == EndedInput || e == EndedEvicted }

// Endpoint is one side of a connection.
type Endpoint struct {
	// Packets counts every captured frame the side sent, doubled and repeated ones
	// too; Bytes the TCP payload in them, in octets.
	Packets, Bytes uint64
	// Duplicates counts frames that the capture holds twice.
	Duplicates uint64
	// Retransmits counts segments that repeat sequence numbers already sent;
	// UniqueBytes is the payload without repetitions.
	Retransmits, UniqueBytes uint64
	// ISN is the initial sequence number; HasISN is false when neither the SYN was
	// seen nor the peer's acknowledgment of it.
	ISN    wire.Seq
	HasISN bool
	// First is the first sequence number seen of the side (the ISN if the SYN was).
	First wire.Seq
	// Next is the number after the highest sequence number seen; Acked the highest
	// acknowledgment that the peer sent for this side.
	Next, Acked wire.Seq
	// HasNext and HasAcked say whether the two mean anything.
	HasNext, HasAcked bool
	// Missing are ranges that the peer acknowledged though the capture never held
	// them, the closest as one if they are many; MissingBytes is how much of them is
	// missing.
	Missing      []Range
	MissingBytes uint64
	// HasHole: some numbers below Next were neither captured nor acknowledged.
	HasHole bool
	// Repeated are ranges that were sent more than once, the closest as one if they are
	// many.
	Repeated []Range
	// Response is the shortest time from a segment passing the tap towards this
	// side to the side's answer passing the tap back: this side's share of the
	// round trip. 0 is unknown.
	Response time.Duration
	// SYN holds the options of the side's SYN or SYN-ACK, if HasSYN.
	SYN    wire.Options
	HasSYN bool
	// TTL is the hop limit of the side's first segment.
	TTL uint8
	// FIN is the number after the side's FIN, if HasFIN.
	FIN    wire.Seq
	HasFIN bool
	// Timeline lists the states, first to last. Empty when the side had no
	// connection as far as can be told.
	Timeline []Transition
	// Gone is the frame with which the side's host shows that it knows no such
	// connection any more, although nothing told of its end: the host restarted, or
	// what ended it was lost before the tap. Nobody saw that transition, and a host
	// without power makes none, so Timeline does not hold it. 0: no such frame.
	Gone wire.FrameID
}

// Final returns the state that the side is left in: CLOSED if its connection is
// gone or it never had one, otherwise the state at the end of the timeline.
func (e *Endpoint) Final() State {
	if n := len(e.Timeline); n > 0 && e.Gone == 0 {
		return e.Timeline[n-1].State
	}
	return Closed
}

// Unacked returns how many sequence numbers the side sent that the peer never
// acknowledged, as far as the capture shows.
func (e *Endpoint) Unacked() uint32 {
	if !e.HasNext || !e.HasAcked || !e.Next.After(e.Acked) {
		return 0
	}
	return uint32(e.Next.Sub(e.Acked))
}

// HandshakeOutcome says how the opening ended.
type HandshakeOutcome uint8

// The outcomes; the list grows only with the schema's version.
const (
	HandshakeUnseen     HandshakeOutcome = iota // the capture began later
	HandshakePending                            // under way when the input ended
	HandshakeComplete                           // both sides established
	HandshakeRefused                            // the SYN was answered by a RST
	HandshakeUnanswered                         // nothing came back
	HandshakeICMP                               // an ICMP error came back
	HandshakeReset                              // reset after the SYN-ACK
	HandshakeAbandoned                          // the SYN-ACK was never acknowledged
)

var handshakeNames = [...]string{"unseen", "pending", "complete", "refused", "unanswered", "icmp", "reset", "abandoned"}

// String returns the word used in reports.
func (h HandshakeOutcome) String() string { return handshakeNames[h] }

// Handshake describes the opening.
type Handshake struct {
	Outcome HandshakeOutcome
	// RTT is SYN to the ACK of the SYN-ACK; ServerSide the part behind the tap
	// towards the server (SYN to SYN-ACK), ClientSide the other. 0 is unknown;
	// each is given only when its segments were not repeated.
	RTT, ClientSide, ServerSide time.Duration
	// SYNs and SYNACKs count the copies seen (doubled frames not counted).
	SYNs, SYNACKs uint32
	// The flags of design section 5.
	Cookie, Deferred, AcceptQueue, FastOpen, Simultaneous bool
}

// CloseReason says how a connection ended.
type CloseReason uint8

// The reasons; the list grows only with the schema's version.
const (
	CloseUnknown            CloseReason = iota
	CloseOrderly                        // both FINs, both acknowledged
	CloseOrderlyUnconfirmed             // both FINs, the last ACK not shown to have arrived
	CloseHalfClosed                     // one FIN only at the end
	CloseRefused                        // the SYN was answered by a RST
	CloseUnanswered                     // the SYN was never answered
	CloseICMP                           // an ICMP error ended the attempt
	CloseHandshakeAbandoned             // the handshake was begun and not finished
	CloseAbort                          // a socket was aborted: RST without, or in place of, a FIN
	CloseAbortUnread                    // closed with unread data: RST in answer to or right after data
	CloseLateDataReset                  // data after the peer's full close met a RST
	CloseNoSocketReset                  // a host without that socket answered with RST
	CloseDeviceReset                    // a device on the path sent the RST
	CloseKeepaliveDead                  // keepalive probes went unanswered
	CloseRetransmitDead                 // retransmissions went unanswered
	CloseZeroWindowDead                 // a closed window never opened
	CloseReplaced                       // the tuple opened anew without a close
	CloseOpenAtEnd                      // open when the input ended
)

var closeNames = [...]string{"unknown", "orderly", "orderly-unconfirmed", "half-closed", "refused", "unanswered", "icmp", "handshake-abandoned", "abort", "abort-unread", "late-data-reset", "no-socket-reset", "device-reset", "keepalive-dead", "retransmit-dead", "zero-window-dead", "replaced", "open-at-end"}

// String returns the word used in reports.
func (c CloseReason) String() string { return closeNames[c] }

// CloseReasons returns every reason's name, in the order of the constants.
func CloseReasons() []string { return closeNames[:] }

// Close describes the end of a connection.
type Close struct {
	Reason CloseReason
	// Closer is the side that began to close (first FIN, or the RST); HasCloser
	// is false when nobody did or it cannot be told.
	Closer    Side
	HasCloser bool
	// By is "fin" or "rst"; empty without a closer.
	By string
	// At is the time of the closer's first FIN or RST; Duration the time from it
	// to the last segment of the close.
	At       wire.Time
	Duration time.Duration
	// Reset is the index, plus one, of the event with the RST that ended the connection,
	// and ResetBy the side in whose name it came; 0 if none did.
	Reset   int
	ResetBy Side
	// IdleBefore is the time between the segment before the close and the close.
	IdleBefore time.Duration
}
