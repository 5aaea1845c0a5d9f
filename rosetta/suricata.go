package rosetta

import (
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Suricata is the flow record of Suricata's EVE log, with its settings as they come:
// no midstream pickup, no one-sided sessions.
type Suricata struct {
	// TCPState is tcp.state, a state of the server; none when there is no session.
	TCPState string
	// FlowState is flow.state.
	FlowState string
}

type suricataState uint8

const (
	suricataNone suricataState = iota
	suricataSYNSent
	suricataSYNRecv
	suricataEstablished
	suricataFINWait1
	suricataFINWait2
	suricataTimeWait
	suricataLastACK
	suricataCloseWait
	suricataClosing
	suricataClosed
)

var suricataNames = [...]string{"none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2", "time_wait", "last_ack", "close_wait", "closing", "closed"}

// SuricataStates returns the names of Suricata's session states.
func SuricataStates() []string { return suricataNames[:] }

// SuricataFlowStates returns the values of FlowState.
func SuricataFlowStates() []string { return []string{"new", "established", "closed"} }

// SuricataOf returns what Suricata would say of a connection. A session begins with a
// SYN; what lies outside of the window does not count.
func SuricataOf(c *reassembly.Conn) Suricata {
	state := suricataNone
	for i := range c.Events {
		e := &c.Events[i]
		if e.Marks&(reassembly.MarkOutside|reassembly.MarkOther) == 0 {
			state = suricataStep(c, state, e)
		}
	}
	v := Suricata{TCPState: suricataNames[state], FlowState: "new"}
	switch state {
	case suricataNone, suricataSYNSent, suricataSYNRecv:
	case suricataLastACK, suricataTimeWait, suricataClosed:
		v.FlowState = "closed"
	default:
		v.FlowState = "established"
	}
	return v
}

func suricataStep(c *reassembly.Conn, state suricataState, e *reassembly.Event) suricataState {
	toServer := e.From == reassembly.Client
	fin, ack := e.Flags&wire.FIN != 0, e.Flags&wire.ACK != 0
	// covers: it acknowledges the other side's FIN.
	p := &c.Ends[e.From.Peer()]
	covers := ack && p.HasFIN && !e.Ack.Before(p.FIN)
	switch {
	case state == suricataNone:
		if e.Kind == reassembly.KindSYN && toServer {
			return suricataSYNSent
		}
		return suricataNone
	case e.Flags&wire.RST != 0:
		return suricataClosed
	case e.Flags&wire.SYN != 0:
		if state == suricataSYNSent && e.Kind == reassembly.KindSYNACK && !toServer {
			return suricataSYNRecv
		}
		return state
	}
	switch state {
	case suricataSYNRecv, suricataEstablished:
		switch {
		case fin && toServer:
			return suricataCloseWait
		case fin:
			return suricataFINWait1
		case ack && toServer:
			return suricataEstablished
		}
	case suricataFINWait1: // the server's FIN came first
		switch {
		case fin && toServer && covers:
			return suricataTimeWait
		case fin && toServer:
			return suricataClosing
		case toServer && covers:
			return suricataFINWait2
		}
	case suricataFINWait2:
		if fin && toServer {
			return suricataTimeWait
		}
	case suricataCloseWait: // the client's FIN came first
		if fin && !toServer {
			return suricataLastACK
		}
	case suricataLastACK:
		if toServer && covers {
			return suricataClosed
		}
	case suricataClosing:
		if !toServer && covers {
			return suricataTimeWait
		}
	case suricataTimeWait:
		if !toServer && covers {
			return suricataClosed
		}
	}
	return state
}
