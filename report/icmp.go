package report

import (
	"fmt"
	"strconv"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// appendMeaning appends an error's name, or its numbers if it has none.
func appendMeaning(b []byte, e *reassembly.ICMP, v6 bool) []byte {
	if s := wire.ICMPName(v6, e.Type, e.Code); s != "" {
		return append(b, s...)
	}
	b = append(b, "type "...)
	b = appendUint(b, uint64(e.Type))
	b = append(b, " code "...)
	return appendUint(b, uint64(e.Code))
}

// icmp appends an ICMP error as an event.
func (a *appender) icmp(b []byte, e *reassembly.ICMP, c *reassembly.Conn, base *[2]wire.Seq, based *[2]bool) []byte {
	b = append(b, `{"at":`...)
	b = a.time(b, e.At)
	b = append(b, `,"t":`...)
	b = appendSeconds(b, e.At.Sub(c.Start))
	b = append(b, `,"frame":`...)
	b = a.frame(b, e.Frame)
	b = append(b, `,"from":"`...)
	b = append(b, e.From.String()...)
	b = append(b, `","event":"icmp"`...)
	if e.Count > 1 {
		b = append(b, `,"count":`...)
		b = appendUint(b, uint64(e.Count))
		b = append(b, `,"last_frame":`...)
		b = a.frame(b, e.LastFrame)
		b = append(b, `,"last_t":`...)
		b = appendSeconds(b, e.LastAt.Sub(c.Start))
	}
	if from := e.From & 1; based[from] {
		b = append(b, `,"seq":`...)
		b = appendUint(b, uint64(uint32(e.Seq-base[from])))
	}
	b = append(b, `,"icmp":{"type":`...)
	b = appendUint(b, uint64(e.Type))
	b = appendField(b, "code", uint64(e.Code))
	b = append(b, `,"meaning":"`...)
	b = appendMeaning(b, e, c.Tuple.V6)
	b = append(b, `","reporter":"`...)
	b = e.Reporter.Netip(c.Tuple.V6).AppendTo(b)
	b = append(b, '"')
	if e.MTU > 0 {
		b = appendField(b, "mtu", uint64(e.MTU))
	}
	b = append(b, `,"unreachable":`...)
	b = strconv.AppendBool(b, e.Unreachable)
	return append(b, '}', '}')
}

// icmpRung makes a line of the drawing from an error: an arrow to the side whose
// segment it quotes.
func icmpRung(e *reassembly.ICMP) rung {
	return rung{at: e.At, lastAt: e.LastAt, frame: e.Frame, lastFrame: e.LastFrame, count: e.Count, seq: e.Seq,
		from: e.From.Peer(), kind: reassembly.KindICMP, icmp: e}
}

// icmpLabel is what stands on that arrow.
func (d *drawing) icmpLabel(e *reassembly.ICMP) string {
	s := string(appendMeaning([]byte("ICMP "), e, d.c.Tuple.V6))
	if e.MTU > 0 {
		s += ", MTU " + strconv.FormatUint(uint64(e.MTU), 10)
	}
	if e.Count > 1 {
		s = number(uint64(e.Count)) + " x " + s
	}
	return s
}

// icmpNote says who sent it about what.
func (d *drawing) icmpNote(e *reassembly.ICMP) string {
	return fmt.Sprintf("from %s, about seq %s", e.Reporter.Netip(d.c.Tuple.V6), d.relative(e.Seq, e.From))
}
