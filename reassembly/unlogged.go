package reassembly

import "github.com/tcplife/tcplife/wire"

// Unlogged is what is said of a connection whose log is not written because nobody would
// read it (Config.Unread): what the log would say of each side's last segments.
type Unlogged struct {
	// Is: Events is empty, and the rest is valid.
	Is bool
	// Heard is when a side's last segment came, Spoke the end of its last event with octets
	// (Event.LastAt); 0 if there was none.
	Heard, Spoke [2]wire.Time
}

// tail is the end of one side's log as retell would write it: the last event, and the one
// behind it that is held.
type tail struct {
	heard       wire.Time // the side's last segment
	spoke       wire.Time // the last event with octets, before last
	last, held  wire.Time
	says, holds bool // last has octets; there is a held one
	heldSays    bool
	run, talked bool // last is a run; the side has sent a plain segment
}

// hold takes a segment that goes on in the run, which is behind the one held so far.
func (x *tail) hold(at wire.Time, says bool) {
	if x.holds {
		x.last, x.says = x.held, x.says || x.heldSays
	}
	x.held, x.heldSays, x.holds = at, says, true
}

// list takes a segment that the log has by itself. plain: no part of the opening or the
// close.
func (x *tail) list(peer *tail, at wire.Time, says, plain bool) {
	x.spill()
	peer.spill()
	x.push(at, says)
	if plain && x.talked {
		x.run = true
	} else {
		x.run, peer.run = false, false
		x.talked = true
	}
}

// push makes an event the last one.
func (x *tail) push(at wire.Time, says bool) {
	if x.says {
		x.spoke = x.last
	}
	x.last, x.says = at, says
}

// spill makes the held event the last one, and the run.
func (x *tail) spill() {
	if x.holds {
		x.push(x.held, x.heldSays)
		x.holds, x.run = false, true
	}
}

// summarizeLog is retell for those who ask only for the end of the log.
func (c *course) summarizeLog(conn *Conn) {
	u := &conn.Unlogged
	u.Is = true
	for i := range c.ends {
		x := &c.ends[i].log
		x.spill()
		x.push(0, false)
		u.Heard[i], u.Spoke[i] = x.heard, x.spoke
	}
}
