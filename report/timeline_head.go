package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var roleSentences = map[reassembly.RoleBy]string{
	reassembly.RoleBySYN:    "the client's SYN was captured",
	reassembly.RoleBySYNACK: "the server's SYN-ACK was captured, the client's SYN was not",
	reassembly.RoleByPort:   "taken from the port numbers: the opening was not captured",
	reassembly.RoleByGuess:  "a guess: the opening was not captured and the ports do not tell; the first sender is taken for the client",
}

// neighbours names the tuple's lives before and after, by number where it is known.
func (d *drawing) neighbours() {
	c := d.c
	for i, x := range [...]struct {
		head, uid, began string
		apart            time.Duration
	}{
		{"  Before:    ", c.PreviousUID, "its last segment %s before the first of this", c.Start.Sub(c.Previous.Last)},
		{"  After:     ", c.NextUID, "its first segment %s after the last of this", c.Next.Key.Start.Sub(c.End)},
	} {
		if x.uid == "" {
			continue
		}
		name := "a connection"
		if n := c.Near[i]; n.ID != 0 {
			name = "connection " + number(n.ID) + " (" + n.Reason + ")"
		}
		d.prose(x.head, blanks(13), fmt.Sprintf("%s had the same addresses and ports, uid %s; "+x.began, name, x.uid, span(x.apart)))
	}
}

func (d *drawing) header(id uint64, inputs []string) {
	c := d.c
	title := fmt.Sprintf("Connection %s: %s (client) > %s (server)", number(id), c.Tuple.Source(), c.Tuple.Destination())
	d.prose("", "  ", d.paintWords(bold, title))
	frames := fmt.Sprintf("%s, frames %s to %s", shortName(c.Capture), frameName(c.First, d.multi), frameName(c.Last, d.multi))
	if len(c.Encap) > 0 {
		frames += ", inside " + shortName(strings.Join(c.Encap, " "))
	}
	d.prose("  ", "  ", frames)
	if d.multi {
		d.legend(inputs)
	}
	d.prose("  ", "  ", fmt.Sprintf("%s %s, lasted %s, uid %s", d.o.clock(c.Start), d.o.zone(c.Start), span(c.End.Sub(c.Start)), c.UID))
	d.neighbours()
	d.prose("  Roles:     ", blanks(13), roleSentences[c.RoleBy])
	d.prose("  Handshake: ", blanks(13), d.handshake())
	d.prose("  Close:     ", blanks(13), d.closing())
	for side := range c.Ends {
		e := &c.Ends[side]
		s := fmt.Sprintf("sent %s with %s", plural(e.Packets, "packet", "packets"), octets(e.Bytes))
		for _, x := range []struct {
			n    uint64
			what string
		}{{e.Retransmits, "retransmitted"}, {e.Duplicates, "captured twice"}} {
			if x.n > 0 {
				s += fmt.Sprintf(", %s %s", number(x.n), x.what)
			}
		}
		if e.MissingBytes > 0 {
			s += fmt.Sprintf(", %s acknowledged but not captured", octets(e.MissingBytes))
		}
		d.prose("  "+left(capital(reassembly.Side(side).String())+":", 11), blanks(13), s)
		if stays := d.stays(reassembly.Side(side)); stays != "" {
			d.prose(blanks(13), blanks(13), stays)
		}
	}
	for i := range c.Findings {
		f := &c.Findings[i]
		d.prose("  "+d.paint(severityColors[f.Severity], capital(f.Severity.String()))+": ", blanks(4),
			fmt.Sprintf("%s (%s, %s; %s): %s", d.paint(bold, f.Rule.ID), f.Confidence, f.Endpoint, frameList(f.Frames, d.multi, 8), printable(f.Message)))
	}
	d.WriteByte('\n')
}

// stays says how long a side was in each of its states, in their order.
func (d *drawing) stays(side reassembly.Side) string {
	tl := d.c.Ends[side].Timeline
	var words []string
	for i := range tl {
		t := &tl[i]
		switch {
		case i+1 == len(tl):
			if t.State != reassembly.Closed {
				words = append(words, t.State.String()+" to the end")
			}
		case t.State != reassembly.Closed:
			s := t.State.String() + " "
			if t.Evidence == reassembly.Assumed {
				s += "at least "
			}
			s += span(tl[i+1].At.Sub(t.At))
			if tl[i+1].Evidence == reassembly.Timer {
				s += " by its timer"
			}
			words = append(words, s)
		}
	}
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], " ", hard)
	}
	return strings.Join(words, ", ")
}

func (d *drawing) handshake() string {
	h := &d.c.Handshake
	s := h.Outcome.String()
	if h.RTT > 0 {
		s += ", round trip " + span(h.RTT)
		if h.ClientSide > 0 && h.ServerSide > 0 {
			s += fmt.Sprintf(" (%s on the client's side of the tap, %s on the server's)", span(h.ClientSide), span(h.ServerSide))
		}
	}
	if h.SYNs > 1 {
		s += fmt.Sprintf(", SYN sent %s times", number(uint64(h.SYNs)))
	}
	if h.SYNACKs > 1 {
		s += fmt.Sprintf(", SYN-ACK sent %s times", number(uint64(h.SYNACKs)))
	}
	for _, x := range []struct {
		set  bool
		what string
	}{{h.Cookie, "SYN cookie"}, {h.Deferred, "deferred accept"}, {h.AcceptQueue, "accept queue full"}, {h.FastOpen, "Fast Open"}, {h.Simultaneous, "simultaneous open"}} {
		if x.set {
			s += ", " + x.what
		}
	}
	return s
}

func (d *drawing) closing() string {
	cl := &d.c.Close
	s := cl.Reason.String()
	if cl.HasCloser {
		s += fmt.Sprintf(", begun by the %s", cl.Closer)
		if cl.By != "" {
			s += " with " + strings.ToUpper(cl.By)
		}
		s += " at +" + span(cl.At.Sub(d.c.Start))
		if cl.IdleBefore > 0 {
			s += " after " + span(cl.IdleBefore) + " of silence"
		}
		s += ", took " + span(cl.Duration)
	}
	if cl.Reset > 0 && cl.By != "rst" {
		s += fmt.Sprintf(", ended by a RST of the %s", cl.ResetBy)
	}
	for i := range d.c.Ends {
		if n := d.c.Ends[i].Unacked(); n > 0 {
			s += fmt.Sprintf("; %s of the %s never acknowledged", plural(uint64(n), "sequence number", "sequence numbers"), reassembly.Side(i))
		}
	}
	return s + "; outcome " + d.c.Outcome.String()
}

// evidenceMarks are the letters that stand behind a state.
var evidenceMarks = [...]string{reassembly.Sent: "s", reassembly.Acked: "a", reassembly.Passed: "p", reassembly.Timer: "t", reassembly.Assumed: "?"}

func (d *drawing) footer() {
	c := d.c
	var states []string
	for i := range c.Ends {
		if len(c.Ends[i].Timeline) > 0 {
			states = append(states, fmt.Sprintf("%s %s", reassembly.Side(i), c.Ends[i].Final()))
		}
	}
	if len(states) > 0 {
		when := "at the end"
		if open(c.Conn) {
			when = "as of the end of the capture, " + span(c.Until.Sub(c.End)) + " after the last frame"
		}
		d.prose("", "  ", capital(when)+": "+strings.Join(states, ", ")+".")
	}
	if c.Dropped > 0 {
		d.prose("", "  ", plural(uint64(c.Dropped), "event was", "events were")+" left out: the connection has more than are kept.")
	}
	d.WriteByte('\n')
	var used [len(evidenceMarks)]bool
	rewritten := false
	for i := range c.Ends {
		for _, t := range c.Ends[i].Timeline {
			used[t.Evidence], rewritten = true, rewritten || t.Rewritten
		}
	}
	var legend []string
	for e, what := range [...]string{
		reassembly.Sent:    "its own segment shows it",
		reassembly.Acked:   "its later segment proves that the cause had arrived",
		reassembly.Passed:  "the cause passed the tap and nothing contradicts its arrival",
		reassembly.Timer:   "a timer must have fired",
		reassembly.Assumed: "assumed, the capture began later",
	} {
		if used[e] {
			legend = append(legend, evidenceMarks[e]+" "+what)
		}
	}
	if rewritten {
		legend = append(legend, "* an earlier frame was meant to cause it, but a later one shows that it had not arrived")
	}
	if len(legend) > 0 {
		d.prose(d.paint(dim, "States: "), "  ", strings.Join(legend, "; ")+".")
	}
	var signs []string
	if d.lostAny {
		signs = append(signs, "x nothing shows that the segment arrived, and what came later says that it had not")
	}
	if d.holeAny {
		signs = append(signs, "- - the capture lacks it, though it was acknowledged")
	}
	if len(signs) > 0 {
		d.prose(d.paint(dim, "Arrows: "), "  ", strings.Join(signs, "; ")+".")
	}
	times := "Times are seconds from the first frame"
	if d.o.Times == TimesAbsolute {
		times = "Times are of the clock, " + d.o.zone(c.Start)
	}
	d.prose(d.paint(dim, "Flags: "), "  ", "S SYN, F FIN, R RST, P PSH, . ACK, U URG, E ECE, W CWR, A AE. "+times+"; sequence numbers count from each side's SYN.")
}
