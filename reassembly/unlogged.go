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
	last, held  wire.Time
	says, holds bool // last has octets; there is a held one
	heldSays    bool
	run, talked bool // last is a run; the side has sent a plain segment
	spoke       wire.Time
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
func (t *Tracker) summarizeLog(c *course) {
	b := c.b
	u := Unlogged{Is: true}
	u.Heard[Client] = b.start
	var sides [2]tail
	closing := false
	segments := t.retold.behind[:b.n-1] // look has recalled them
	for i := range segments {
		e := &segments[i]
		from, at := e.from(), e.at
		u.Heard[from] = at
		if i == 0 {
			continue // the SYN-ACK
		}
		x, says, plain := &sides[from], e.len > 0, false
		if e.flags&wire.FIN != 0 {
			closing = true
		} else {
			plain = x.talked && !closing
		}
		if plain && x.run {
			if x.holds {
				x.last, x.says = x.held, x.says || x.heldSays
			}
			x.held, x.heldSays, x.holds = at, says, true
			continue
		}
		sides[0].spill()
		sides[1].spill()
		x.push(at, says)
		if plain {
			x.run = true
		} else {
			sides[0].run, sides[1].run = false, false
			x.talked = true
		}
	}
	for i := range sides {
		x := &sides[i]
		x.spill()
		x.push(0, false)
		u.Spoke[i] = x.spoke
	}
	t.conn.Unlogged = u
}
