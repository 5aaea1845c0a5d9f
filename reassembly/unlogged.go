package reassembly

import "github.com/tcplife/tcplife/wire"

// Unlogged is what is said of a connection whose log is not written because nobody would
// read it (Config.Unread): what the log would say of each side's last segments.
type Unlogged struct {
	// Is: Events is empty, and the rest is valid. Nor was the sides' Response measured.
	Is bool
	// Heard is when a side's last segment came, Spoke the end of its last event with octets
	// (Event.LastAt); 0 if there was none.
	Heard, Spoke [2]wire.Time
}

// tail is the end of one side's log as retell would write it: the last event, and the segment
// behind it that is held.
type tail struct {
	heard       wire.Time // the side's last segment
	spoke       wire.Time // the end of the last event with octets
	held        wire.Time // when the held segment passed, if holds
	says        bool      // the last event has octets
	holds       bool
	heldSays    bool
	run, talked bool // the last event is a run; the side has sent a plain segment
}

// hold takes a plain segment that goes on in the run, which is behind the one held so far.
func (x *tail) hold(at wire.Time, says bool) {
	if x.holds {
		x.says = x.says || x.heldSays
		if x.says {
			x.spoke = x.held
		}
	}
	x.held, x.heldSays, x.holds = at, says, true
}

// list takes a plain segment that the log has by itself: nothing of the side is held.
func (x *tail) list(peer *tail, at wire.Time, says bool) {
	peer.spill()
	x.push(at, says)
	if x.talked {
		x.run = true
	} else {
		x.talked, peer.run = true, false
	}
}

// push makes an event the last one.
func (x *tail) push(at wire.Time, says bool) {
	if x.says = says; says {
		x.spoke = at
	}
}

// spill makes the held segment the last event, and the run.
func (x *tail) spill() {
	if x.holds {
		x.push(x.held, x.heldSays)
		x.holds = false
	}
}

// summarizeLog is retell for those who ask only for the end of the log.
func (c *course) summarizeLog(conn *Conn) {
	u := &conn.Unlogged
	u.Is = true
	for i := range c.ends {
		x := &c.ends[i].log
		x.spill()
		u.Heard[i], u.Spoke[i] = x.heard, x.spoke
	}
}
