package reassembly

// The tap sees segments, not calls. A user call shows as the segment that it
// causes: CLOSE is "snd FIN", ABORT is "snd RST". And it sees segments pass, not
// arrive: whether a "rcv" took place is decided in infer.go before the table is
// asked. Everything about which state follows which stands here and nowhere else.

// Stimulus is what an endpoint did or what happened to it.
type Stimulus uint8

// The stimuli. Inside one segment they apply in the order of RFC 9293 section
// 3.10.7.4: RST, SYN, ACK, FIN.
const (
	sndSYN          Stimulus = iota // sent a SYN without ACK
	sndSYNACK                       // sent a SYN with ACK
	sndFIN                          // sent its FIN
	sndRST                          // sent a RST and had no connection from then on
	rcvSYNACK                       // received the peer's SYN together with the ACK of its own
	rcvACKofSYN                     // received the ACK of its SYN
	rcvFIN                          // received the peer's FIN, and all before it
	rcvACKofFIN                     // received the ACK of its FIN
	rcvRST                          // received an acceptable RST
	rcvICMP                         // received an ICMP error that its SYN cannot get through
	timeout2MSL                     // TIME-WAIT is over
	timeoutDead                     // gave up: retries or FIN_WAIT_2 timer of the host profile
	midstream                       // the capture begins inside the connection
	midstreamClosed                 // the same, after the endpoint's own FIN
	midstreamPeer                   // the same, after the peer's FIN
	reopened                        // the next incarnation of the tuple took its place

	stimulusEnd
)

var stimulusNames = [...]string{"snd SYN", "snd SYN,ACK", "snd FIN", "snd RST", "rcv SYN,ACK", "rcv ACK of SYN", "rcv FIN", "rcv ACK of FIN", "rcv RST", "rcv ICMP", "Timeout=2MSL", "Timeout=retries", "capture begins", "capture begins after the own FIN", "capture begins after the peer's FIN", "reopened"}

// String returns the stimulus in the figure's words.
func (s Stimulus) String() string { return stimulusNames[s] }

// arc is one arrow of RFC 9293 figure 5, or one that its text adds.
type arc struct {
	from     State
	stimulus Stimulus
	to       State
	why      string
}

// arcs are the transitions, in the figure's order from top to bottom. Two of its
// arrows leave nothing on the wire and are not here: passive OPEN (a listener is
// taken for granted when a SYN,ACK is sent) and CLOSE in LISTEN or SYN-SENT (seen
// later, as a RST or as silence). LISTEN has no row: an endpoint without a
// connection is CLOSED (package doc), so a SYN,ACK leaves from CLOSED.
var arcs = [...]arc{
	{Closed, sndSYN, SynSent, "active OPEN: create TCB, snd SYN"},
	{Closed, sndSYNACK, SynReceived, "LISTEN: rcv SYN, snd SYN,ACK"},
	{SynSent, sndSYNACK, SynReceived, "rcv SYN, snd SYN,ACK (simultaneous open)"},
	{SynSent, rcvSYNACK, Established, "rcv SYN,ACK, snd ACK"},
	{SynReceived, rcvACKofSYN, Established, "rcv ACK of SYN"},
	{SynReceived, rcvSYNACK, Established, "rcv ACK of SYN, carried by the peer's SYN,ACK (simultaneous open)"},
	{SynReceived, sndFIN, FinWait1, "CLOSE: snd FIN"},
	{Established, sndFIN, FinWait1, "CLOSE: snd FIN"},
	{Established, rcvFIN, CloseWait, "rcv FIN, snd ACK"},
	{FinWait1, rcvACKofFIN, FinWait2, "rcv ACK of FIN"},
	{FinWait1, rcvFIN, Closing, "rcv FIN, snd ACK"},
	{FinWait2, rcvFIN, TimeWait, "rcv FIN, snd ACK"},
	{CloseWait, sndFIN, LastAck, "CLOSE: snd FIN"},
	{Closing, rcvACKofFIN, TimeWait, "rcv ACK of FIN"},
	{LastAck, rcvACKofFIN, Closed, "rcv ACK of FIN"},
	{TimeWait, timeout2MSL, Closed, "Timeout=2MSL: delete TCB"},

	// The FIN of a client that was accepted and closed at once may be the first
	// thing that its peer receives of the handshake's end (RFC 9293 section
	// 3.10.7.4, eighth: in SYN-RECEIVED a FIN leads to CLOSE-WAIT).
	{SynReceived, rcvFIN, CloseWait, "rcv FIN, snd ACK"},

	// Notes 1 and 3 of the figure and section 3.10.7: a RST sent or accepted
	// deletes the TCB. From SYN-RECEIVED after a passive OPEN the RFC returns to
	// LISTEN, which for the connection is CLOSED.
	{SynSent, sndRST, Closed, "ABORT, or the socket is gone: snd RST"},
	{SynReceived, sndRST, Closed, "ABORT: snd RST"},
	{Established, sndRST, Closed, "ABORT: snd RST"},
	{FinWait1, sndRST, Closed, "ABORT: snd RST"},
	{FinWait2, sndRST, Closed, "ABORT, or the socket is gone: snd RST"},
	{CloseWait, sndRST, Closed, "ABORT: snd RST"},
	{Closing, sndRST, Closed, "the socket is gone: snd RST"},
	{LastAck, sndRST, Closed, "the socket is gone: snd RST"},
	{TimeWait, sndRST, Closed, "TIME-WAIT is gone: snd RST"},
	{SynSent, rcvRST, Closed, "rcv RST,ACK of SYN: connection refused"},
	{SynReceived, rcvRST, Closed, "rcv RST: return to LISTEN, or refused"},
	{Established, rcvRST, Closed, "rcv RST"},
	{FinWait1, rcvRST, Closed, "rcv RST"},
	{FinWait2, rcvRST, Closed, "rcv RST"},
	{CloseWait, rcvRST, Closed, "rcv RST"},
	{Closing, rcvRST, Closed, "rcv RST"},
	{LastAck, rcvRST, Closed, "rcv RST"},
	{TimeWait, rcvRST, Closed, "rcv RST (assassination, RFC 1337)"},

	// RFC 9293 section 3.9.2.2 and RFC 5461: an attempt may be given up at an ICMP
	// error, and is by Linux, so that the next address can be tried.
	{SynSent, rcvICMP, Closed, "rcv ICMP unreachable for the SYN: the attempt is given up"},

	// Timers that the figure does not draw: retries that ran out (RFC 9293 section
	// 3.8.3, RFC 1122 section 4.2.3.5) and the time that Linux and others give an
	// orphan in FIN-WAIT-2.
	{SynSent, timeoutDead, Closed, "SYN retries ran out"},
	{SynReceived, timeoutDead, Closed, "SYN,ACK retries ran out"},
	{Established, timeoutDead, Closed, "retransmissions or keepalives ran out"},
	{FinWait1, timeoutDead, Closed, "FIN retries ran out"},
	{FinWait2, timeoutDead, Closed, "the orphan's FIN-WAIT-2 timer ran out"},
	{CloseWait, timeoutDead, Closed, "retransmissions or keepalives ran out"},
	{Closing, timeoutDead, Closed, "FIN retries ran out"},
	{LastAck, timeoutDead, Closed, "FIN retries ran out"},

	// The tuple opened anew. TIME-WAIT may be cut short by a new SYN (RFC 9293
	// section 3.6.1, MAY-2; RFC 6191); from any other state it means that the host
	// had lost the connection.
	{SynSent, reopened, Closed, "a new SYN from or to this end"},
	{SynReceived, reopened, Closed, "a new SYN from or to this end"},
	{Established, reopened, Closed, "a new SYN from or to this end"},
	{FinWait1, reopened, Closed, "a new SYN from or to this end"},
	{FinWait2, reopened, Closed, "a new SYN from or to this end"},
	{CloseWait, reopened, Closed, "a new SYN from or to this end"},
	{Closing, reopened, Closed, "a new SYN from or to this end"},
	{LastAck, reopened, Closed, "a new SYN from or to this end"},
	{TimeWait, reopened, Closed, "a new SYN from or to this end"},

	// The capture began later: the least that explains a segment of a connection.
	{Closed, midstream, Established, "the capture begins inside the connection"},
	{Closed, midstreamClosed, FinWait2, "the capture begins after the FIN of this end and its ACK"},
	{Closed, midstreamPeer, CloseWait, "the capture begins after the FIN of the other end and its ACK"},
}

// still lists, for each stimulus, the states in which it changes nothing, with
// the reason; what is in neither list is a contradiction: the packets do not tell
// one story, and the state stays too.
var still = [...]struct {
	stimulus Stimulus
	in       []State
	why      string
}{
	{sndSYN, []State{SynSent}, "a SYN retransmission"},
	{sndSYNACK, []State{SynReceived}, "a SYN,ACK retransmission"},
	{sndFIN, []State{FinWait1, FinWait2, Closing, LastAck, TimeWait}, "a FIN retransmission, maybe already in flight when its ACK arrived"},
	{sndRST, []State{Closed}, "a host without that socket answers with RST"},
	{rcvSYNACK, []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}, "a SYN,ACK retransmission; it is acknowledged again"},
	{rcvACKofSYN, []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}, "every ACK covers the SYN"},
	{rcvFIN, []State{CloseWait, Closing, LastAck, TimeWait}, "a FIN retransmission; TIME-WAIT answers and restarts its timer"},
	{rcvACKofFIN, []State{FinWait2, TimeWait, Closed}, "the ACK again"},
	{rcvRST, []State{Closed}, "nothing left to reset"},
	{rcvICMP, []State{SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait, Closed}, "a soft error: the connection goes on (RFC 1122 section 4.2.3.9)"},
	{timeout2MSL, []State{Closed}, "reset or reopened before"},
	{timeoutDead, []State{Closed}, "closed before"},
	{reopened, []State{Closed}, "closed before"},
	{midstream, []State{SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}, "the connection is known already"},
	{midstreamClosed, []State{SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}, "the connection is known already"},
	{midstreamPeer, []State{SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}, "the connection is known already"},
}

const (
	cellContradiction = iota
	cellStill
	cellArc
)

type cell struct {
	kind uint8
	to   State
}

// cells is the dense form of the lists above.
var cells = func() (t [StateCount][stimulusEnd]cell) {
	for _, a := range arcs {
		t[a.from][a.stimulus] = cell{cellArc, a.to}
	}
	for _, s := range still {
		for _, st := range s.in {
			t[st][s.stimulus] = cell{cellStill, st}
		}
	}
	return t
}()

// next returns the state that follows, and whether the stimulus is a transition
// there.
func (s State) next(by Stimulus) (State, bool) {
	c := cells[s][by]
	if c.kind == cellArc {
		return c.to, true
	}
	return s, false
}
