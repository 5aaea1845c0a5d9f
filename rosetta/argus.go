package rosetta

import (
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Argus is the record that ra prints of a connection when all of argus's status
// records of it are put together (racluster).
type Argus struct {
	// State is the column state.
	State string
	// Letters are the events of ra -z: s SYN, S SYN,ACK, E established, f FIN, F FIN
	// acknowledged, R reset.
	Letters string
}

// ArgusStates returns the states that ArgusOf gives.
func ArgusStates() []string { return []string{"REQ", "ACC", "CON", "FIN", "RST"} }

// ArgusOf returns what argus would say of a connection. A single FIN makes it FIN, any
// RST makes it RST.
func ArgusOf(c *reassembly.Conn) Argus {
	var syn, synack, talk, fin, finACK, rst bool
	for i := range c.Events {
		e := &c.Events[i]
		switch {
		case e.Flags&wire.RST != 0:
			rst = true
		case e.Kind == reassembly.KindSYN:
			syn = true
		case e.Kind == reassembly.KindSYNACK:
			synack = true
		default:
			talk = talk || e.Flags&wire.ACK != 0
			fin = fin || e.Flags&wire.FIN != 0
		}
		p := &c.Ends[e.From.Peer()]
		finACK = finACK || p.HasFIN && e.Flags&wire.ACK != 0 && e.Kind != reassembly.KindRST && !e.Ack.Before(p.FIN)
	}
	established := talk && (synack || !syn)
	a := Argus{State: "REQ"}
	switch {
	case rst:
		a.State = "RST"
	case fin:
		a.State = "FIN"
	case established:
		a.State = "CON"
	case synack:
		a.State = "ACC"
	}
	for _, l := range [...]struct {
		is     bool
		letter string
	}{{syn, "s"}, {synack, "S"}, {established, "E"}, {fin, "f"}, {fin && finACK, "F"}, {rst, "R"}} {
		if l.is {
			a.Letters += l.letter
		}
	}
	return a
}
