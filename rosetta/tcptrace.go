package rosetta

import (
	"math/bits"
	"strconv"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Tcptrace is what tcptrace says of a connection.
type Tcptrace struct {
	// SYNs and FINs are the directions, 0 to 2, that had one, acknowledged or not;
	// Reset is set by any RST.
	SYNs, FINs uint8
	Reset      bool
	// Connections is how many connections tcptrace makes of it; the others are of the
	// first.
	Connections uint16
}

// Complete returns the line "complete conn" of tcptrace's long output: yes, no or
// RESET, with the counts unless all four are there.
func (v *Tcptrace) Complete() string {
	word := "no"
	switch whole := v.SYNs == 2 && v.FINs == 2; {
	case whole && v.Reset:
		return "RESET"
	case whole:
		return "yes"
	case v.Reset:
		word = "RESET"
	}
	return word + " (SYNs: " + strconv.Itoa(int(v.SYNs)) + ") (FINs: " + strconv.Itoa(int(v.FINs)) + ")"
}

// tcptraceIdle is the silence after which tcptrace begins a connection anew.
const tcptraceIdle = 240 * time.Second

// tcptrace follows one connection by tcptrace's rules.
type tcptrace struct {
	last        wire.Time
	connections uint16
	syns, fins  uint8 // bits by side
	reset       bool
}

func (t *tcptrace) see(s *segment) {
	if t.connections == 0 || s.at.Sub(t.last) > tcptraceIdle && t.connections < 1<<16-1 {
		t.connections++
	}
	t.last = s.at
	if t.connections > 1 {
		return
	}
	if s.flags&wire.SYN != 0 {
		t.syns |= 1 << s.from
	}
	if s.flags&wire.FIN != 0 {
		t.fins |= 1 << s.from
	}
	t.reset = t.reset || s.flags&wire.RST != 0
}

func (t *tcptrace) view() Tcptrace {
	return Tcptrace{SYNs: uint8(bits.OnesCount8(t.syns)), FINs: uint8(bits.OnesCount8(t.fins)), Reset: t.reset, Connections: t.connections}
}
