package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// phase is a part of a connection's life, for the rules across the drawing.
type phase uint8

const (
	phaseNone phase = iota
	phaseHandshake
	phaseData
	phaseTeardown
)

// phaseOf returns the part of life that a segment begins; it never goes back.
func (d *drawing) phaseOf(r *rung) phase {
	next := d.phase
	switch r.kind {
	case reassembly.KindSYN, reassembly.KindSYNACK:
		next = phaseHandshake
	case reassembly.KindRST:
		next = phaseTeardown
	case reassembly.KindFIN:
		next = phaseTeardown
	case reassembly.KindData:
		next = phaseData
	case reassembly.KindACK:
		// The handshake's third segment is an ACK too, so an ACK alone begins nothing
		// but the drawing of a connection whose handshake is missing.
		if d.phase == phaseNone || r.count > 1 {
			next = phaseData
		}
	}
	return max(next, d.phase)
}

// rule draws the line that opens a phase.
func (d *drawing) rule(p phase) {
	name := ""
	switch p {
	case phaseHandshake:
		name = "handshake"
	case phaseData:
		name = "established"
		if d.phase == phaseNone {
			name = "established before the capture"
		}
	case phaseTeardown:
		name = "teardown"
		if cl := &d.c.Close; cl.HasCloser {
			name = fmt.Sprintf("teardown, begun by the %s (%s)", cl.Closer, cl.Reason)
		}
	}
	line := "---- " + name + " "
	d.linef("%s", d.paint(dim, line+strings.Repeat("-", max(d.width-len(line), 4))))
}

// body draws all lines in the order of time.
func (d *drawing) body() {
	head := right("frame", d.frames) + " " + right("time", d.times) + right("delta", deltaWidth) + "  "
	d.linef("%s%s | %s | %s", d.paint(dim, head), right("client", laneWidth), blanks(d.middle), "server")
	for i := range d.rungs {
		r := &d.rungs[i]
		d.until(r.at)
		if p := d.phaseOf(r); p != d.phase {
			d.rule(p)
			d.phase = p
		}
		d.rung(r)
	}
	d.until(1<<63 - 1)
}

// until draws the states that began before t without a frame of their own.
func (d *drawing) until(t wire.Time) {
	for {
		side := -1
		for i := range d.alone {
			if len(d.alone[i]) > 0 && d.alone[i][0].At < t && (side < 0 || d.alone[i][0].At < d.alone[side][0].At) {
				side = i
			}
		}
		if side < 0 {
			return
		}
		tr := d.alone[side][0]
		d.alone[side] = d.alone[side][1:]
		var lanes [2]string
		lanes[side] = state(tr)
		note := "(timer)"
		if tr.Frame != 0 {
			note = "(inside a run)"
		} else if tr.Evidence == reassembly.Assumed {
			note = "(assumed)"
		}
		d.line(tr.Frame, tr.At, lanes, centre(note, d.middle))
	}
}

// line draws the columns of one line.
func (d *drawing) line(frame wire.FrameID, at wire.Time, lanes [2]string, middle string) {
	name, delta := "", ""
	if frame != 0 {
		name = frameName(frame, d.multi)
	}
	if d.started {
		delta = shortDelta(at, d.last)
	}
	d.started, d.last = true, at
	d.lanes(right(name, d.frames)+" "+right(seconds(at, d.c.Start), d.times)+right(delta, deltaWidth), lanes, middle)
}

// lanes draws a line whose left columns are given.
func (d *drawing) lanes(gutter string, lanes [2]string, middle string) {
	s := fmt.Sprintf("%s  %s | %s | %s", left(gutter, d.gutter()-2), d.paint(bold, right(lanes[0], laneWidth)),
		middle, d.paint(bold, lanes[1]))
	d.linef("%s", strings.TrimRight(s, " "))
}

func (d *drawing) rung(r *rung) {
	color := ""
	switch {
	case r.kind == reassembly.KindRST:
		color = red
	case r.kind == reassembly.KindICMP || r.marks&(reassembly.MarkRepeat|reassembly.MarkGap|reassembly.MarkOther|reassembly.MarkAckUnseen|reassembly.MarkOutside) != 0:
		color = yellow
	}
	lanes := func(n int) (out [2]string) {
		for side := range out {
			if n < len(r.states[side]) {
				out[side] = state(r.states[side][n])
			}
		}
		return out
	}
	d.line(r.frame, r.at, lanes(0), d.paint(color, d.arrow(r)))
	if r.count > 1 {
		d.last = r.lastAt
	}
	for n := 1; n < max(len(r.states[0]), len(r.states[1])); n++ {
		d.lanes("", lanes(n), blanks(d.middle))
	}
	notes := d.notes(r)
	for _, n := range notes {
		d.lanes("", [2]string{}, left("   "+n, d.middle))
	}
	for _, f := range r.findings {
		d.lanes("", [2]string{}, left(d.paint(severityColors[f.Severity], "   ^ "+f.Severity.String()+" "+f.Rule.ID), d.middle))
	}
}

// arrow draws a segment from its sender's lane to the other.
func (d *drawing) arrow(r *rung) string {
	label := " " + d.label(r) + " "
	dashes := strings.Repeat("-", max(d.middle-3-columns(label), 0))
	if r.from == reassembly.Client {
		return "--" + label + dashes + ">"
	}
	return "<" + dashes + label + "--"
}

// label says what a segment carries, in numbers relative to each side's first.
func (d *drawing) label(r *rung) string {
	if r.icmp != nil {
		return d.icmpLabel(r.icmp)
	}
	if r.count > 1 {
		if r.octets == 0 {
			return fmt.Sprintf("%s ACKs up to %s", number(uint64(r.count)), d.relative(r.ack, 1-r.from))
		}
		return fmt.Sprintf("%s segments, %s, seq %s-%s", number(uint64(r.count)), octets(uint64(r.octets)),
			d.relative(r.seq, r.from), d.relative(r.end, r.from))
	}
	s := "[" + flagNames[r.flags&511] + "] seq " + d.relative(r.seq, r.from)
	if r.flags.Has(wire.ACK) {
		s += " ack " + d.relative(r.ack, 1-r.from)
	}
	if r.octets > 0 {
		s += " len " + strconv.FormatUint(uint64(r.octets), 10)
	}
	return s
}

// relative prints a sequence number relative to its side's first. One a little
// before it (a keepalive, an old duplicate) is shown as negative.
func (d *drawing) relative(n wire.Seq, side reassembly.Side) string {
	rel := n.Sub(d.base[side])
	if rel < 0 && rel > -1<<24 {
		return strconv.FormatInt(int64(rel), 10)
	}
	return strconv.FormatUint(uint64(uint32(rel)), 10)
}

// notes are what else there is to say about a segment.
func (d *drawing) notes(r *rung) []string {
	var notes []string
	if r.count > 1 {
		s := "over " + span(r.lastAt.Sub(r.at)) + ", last frame " + frameName(r.lastFrame, d.multi)
		notes = append(notes, s)
	}
	if r.icmp != nil {
		notes = append(notes, d.icmpNote(r.icmp))
	}
	var words []string
	if r.duplicate {
		words = append(words, "captured twice")
	}
	for _, x := range markNames {
		if r.marks&x.mark != 0 {
			words = append(words, x.name)
		}
	}
	if len(words) > 0 {
		notes = append(notes, "^ "+strings.Join(words, ", "))
	}
	if r.options != nil && !r.duplicate {
		if s := optionWords(r.options); s != "" {
			notes = append(notes, s)
		}
	}
	return notes
}

// optionWords lists the options that a SYN offers.
func optionWords(o *wire.Options) string {
	var words []string
	for _, x := range optionNames {
		if o.Set&x.option == 0 {
			continue
		}
		switch x.option {
		case wire.OptMSS:
			words = append(words, "mss "+strconv.Itoa(int(o.MSS)))
		case wire.OptWindowScale:
			words = append(words, "wscale "+strconv.Itoa(int(o.WindowScale)))
		case wire.OptSACKPerm:
			words = append(words, "sack")
		case wire.OptTimestamps:
			words = append(words, "ts")
		case wire.OptDamaged:
			words = append(words, "damaged options")
		case wire.OptCut:
			words = append(words, "options cut off")
		default:
			words = append(words, x.name)
		}
	}
	return strings.Join(words, ", ")
}

// state prints a transition on its lane: the state, how it is known, and whether a
// later frame moved it.
func state(t *reassembly.Transition) string {
	s := t.State.String() + " " + evidenceMarks[t.Evidence]
	if t.Rewritten {
		s += "*"
	}
	return s
}

// seconds prints an offset in seconds with six digits.
func seconds(t, start wire.Time) string {
	us := int64(t.Sub(start)) / 1000
	sign := ""
	if us < 0 {
		sign, us = "-", -us
	}
	return fmt.Sprintf("%s%d.%06d", sign, us/1e6, us%1e6)
}

// shortDelta prints the time since the line before, short enough for its column.
func shortDelta(t, before wire.Time) string {
	if d := t.Sub(before); d >= time.Minute {
		return "+" + number(uint64(d.Round(time.Second)/time.Second)) + " s"
	}
	if t < before {
		return span(t.Sub(before))
	}
	return "+" + span(t.Sub(before))
}

func centre(s string, n int) string {
	before := max(n-columns(s), 0) / 2
	return left(blanks(before)+s, n)
}
