package census

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

// Durations sums up how long endpoints stayed in each state and how long
// handshakes took. Adding connections in another order, or in parts that are
// merged, gives the same.
type Durations struct {
	// Dwell is by side and state. CLOSED and LISTEN have none: an endpoint in them
	// has no connection.
	Dwell [2][reassembly.StateCount]Dwell
	// RTT holds the handshakes' round trips.
	RTT [RTTParts]RTT
}

// Dwell is the time spent in one state, as bcc's tcpstates prints it for each
// change of state.
type Dwell struct {
	// Histogram holds the stays that were seen from their first segment to their
	// last.
	Histogram
	// Unfinished counts stays that lasted when the connection went out of sight: at
	// least as long as seen, nobody knows how much longer.
	Unfinished uint64
	// Assumed counts stays of which one end was not seen: a timer of the host
	// profile ended them, so their length is the profile's and not a measurement, or
	// they had begun before the capture.
	Assumed uint64
}

// The parts of a handshake's round trip, indices of Durations.RTT.
const (
	// RTTWhole is SYN to the ACK of the SYN-ACK.
	RTTWhole = iota
	// RTTClientSide is the part between the tap and the client, SYN-ACK to ACK.
	RTTClientSide
	// RTTServerSide is the part between the tap and the server, SYN to SYN-ACK.
	RTTServerSide
	// RTTParts is their number.
	RTTParts
)

// RTT is the round trips of one part.
type RTT struct {
	Histogram
	// Powers is what a histogram is drawn from.
	Powers Powers
}

// Stay says how a stay in a state is known; see Dwell.
type Stay uint8

// The ways.
const (
	StayMeasured Stay = iota
	StayUnfinished
	StayAssumed
)

// Stays calls do for each state of a timeline, but for CLOSED and LISTEN: an endpoint in
// them has no connection. took is how long it lasted, if it was measured.
func Stays(tl []reassembly.Transition, do func(s reassembly.State, stay Stay, took time.Duration)) {
	for i := range tl {
		if tl[i].State == reassembly.Closed || tl[i].State == reassembly.Listen {
			continue
		}
		switch {
		case i+1 == len(tl):
			do(tl[i].State, StayUnfinished, 0)
		case tl[i].Evidence == reassembly.Assumed || tl[i+1].Evidence == reassembly.Timer || tl[i+1].Evidence == reassembly.Assumed:
			do(tl[i].State, StayAssumed, 0)
		default:
			do(tl[i].State, StayMeasured, tl[i+1].At.Sub(tl[i].At))
		}
	}
}

// Add counts one connection's states and its handshake.
func (d *Durations) Add(c *reassembly.Conn) {
	for side := range c.Ends {
		Stays(c.Ends[side].Timeline, func(s reassembly.State, stay Stay, took time.Duration) {
			w := &d.Dwell[side][s]
			switch stay {
			case StayUnfinished:
				w.Unfinished++
			case StayAssumed:
				w.Assumed++
			default:
				w.Record(took)
			}
		})
	}
	h := &c.Handshake
	for part, took := range [RTTParts]time.Duration{RTTWhole: h.RTT, RTTClientSide: h.ClientSide, RTTServerSide: h.ServerSide} {
		if took > 0 {
			d.RTT[part].Histogram.Record(took)
			d.RTT[part].Powers.Record(took)
		}
	}
}

// Merge adds what o has counted.
func (d *Durations) Merge(o *Durations) {
	for side := range d.Dwell {
		for state := range d.Dwell[side] {
			mine, its := &d.Dwell[side][state], &o.Dwell[side][state]
			mine.Histogram.Merge(&its.Histogram)
			mine.Unfinished += its.Unfinished
			mine.Assumed += its.Assumed
		}
	}
	for part := range d.RTT {
		d.RTT[part].Histogram.Merge(&o.RTT[part].Histogram)
		d.RTT[part].Powers.Merge(&o.RTT[part].Powers)
	}
}
