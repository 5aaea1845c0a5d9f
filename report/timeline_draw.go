package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Widths of the drawing's columns. drawColumns is the whole where nobody says how
// wide the terminal is; below laneLeast there are no lanes, from wideLanes on a state
// and its duration share a line, and from remarkColumns on what there is to say about a
// segment stands beside it.
const (
	drawColumns   = 100
	laneLeast     = 72
	wideLanes     = 124
	remarkColumns = 160

	deltaWidth = 9
	laneWidth  = 15 // "SYN_RECEIVED s*"
	laneWide   = laneWidth + 9
	arrowLeast = 16
	arrowMost  = 60
)

// measure finds how wide the columns are.
func (d *drawing) measure() {
	whole := d.width
	if whole <= 0 {
		whole = drawColumns
	}
	d.frames, d.times = 6, 10
	if whole < drawColumns {
		d.frames, d.times = 5, 8
	}
	for i := range d.rungs {
		if d.rungs[i].frame != 0 {
			d.frames = max(d.frames, columns(frameName(d.rungs[i].frame, d.multi)))
		}
		d.times = max(d.times, columns(d.time(d.rungs[i].at)))
	}
	for i := range d.c.Ends {
		for _, t := range d.c.Ends[i].Timeline {
			d.times = max(d.times, columns(d.time(t.At)))
		}
	}
	d.lane, d.delta = laneWidth, deltaWidth
	switch {
	case d.o.Times == TimesDelta:
		d.times = 0
	case whole < drawColumns:
		d.delta = 0
	}
	if whole >= wideLanes {
		d.lane = laneWide
	}
	if whole < laneLeast {
		d.middle, d.width = 0, whole
		return
	}
	d.middle = whole - d.gutter() - 2*d.lane - 6
	switch {
	case d.width <= 0: // nothing limits it
		for i := range d.rungs {
			d.middle = max(d.middle, columns(d.label(&d.rungs[i], 0))+6)
		}
		whole = d.gutter() + 2*d.lane + 6 + d.middle
	case whole >= remarkColumns:
		d.middle = min(d.middle, arrowMost)
		d.remarks = whole - d.gutter() - 2*d.lane - 6 - d.middle - 3
	case d.middle < arrowLeast:
		d.middle, d.width = 0, whole // frames and times are long ones
		return
	}
	d.width = whole
	// One that is too long makes all brief: a reader compares them.
	for i := range d.rungs {
		if r := &d.rungs[i]; r.icmp == nil && r.hole == nil && r.folded == nil && r.count == 1 {
			d.brief = d.brief || columns(d.label(r, 0)) > d.middle-6
		}
	}
}

func (d *drawing) gutter() int {
	n := d.frames + 2 + d.delta
	if d.times > 0 {
		n += 1 + d.times
	}
	return n
}

// time prints an instant as the column of times has it.
func (d *drawing) time(t wire.Time) string {
	if d.o.Times == TimesAbsolute {
		return d.o.in(t).Format("15:04:05.000000")
	}
	return seconds(t, d.c.Start)
}

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

// phaseName names a phase.
func (d *drawing) phaseName(p phase) string {
	switch p {
	case phaseHandshake:
		return "handshake"
	case phaseData:
		if d.phase == phaseNone {
			return "established before the capture"
		}
		return "established"
	}
	if cl := &d.c.Close; cl.HasCloser {
		return fmt.Sprintf("teardown, begun by the %s (%s)", cl.Closer, cl.Reason)
	}
	return "teardown"
}

// rule draws the line that opens a phase.
func (d *drawing) rule(p phase) {
	line := "---- " + d.phaseName(p) + " "
	d.linef("%s", d.paint(dim, line+strings.Repeat("-", max(d.drawn()-columns(line), 4))))
}

// drawn is how wide the lanes and what is left of them are.
func (d *drawing) drawn() int { return d.gutter() + 2*d.lane + 6 + d.middle }

// body draws all lines in the order of time.
func (d *drawing) body() {
	head := right("frame", d.frames)
	if d.times > 0 {
		head += " " + right("time", d.times)
	}
	if d.delta > 0 {
		head += right("delta", d.delta)
	}
	d.linef("%s  %s | %s | %s", d.paint(dim, head), right("client", d.lane), blanks(d.middle), "server")
	for i := range d.rungs {
		r := &d.rungs[i]
		if r.hole == nil {
			d.until(r.at)
			d.pause(r.at)
			if p := d.phaseOf(r); p != d.phase && r.folded == nil {
				d.rule(p)
				d.phase = p
			}
		}
		d.rung(r)
	}
	d.until(1<<63 - 1)
}

// pause draws how long nothing was said.
func (d *drawing) pause(t wire.Time) {
	if s := d.silent(t); s != "" {
		if columns(s) > d.middle {
			s = strings.Replace(s, " of silence", "", 1)
		}
		d.lanes("", [2]string{}, d.paint(dim, centre(s, d.middle)), "")
	}
}

// silent says how long nothing was said before t, if it was long.
func (d *drawing) silent(t wire.Time) string {
	if quiet := t.Sub(d.last); d.started && quiet >= silence {
		return "... " + span(quiet) + " of silence ..."
	}
	return ""
}

// until draws the states that began before t without a frame of their own.
func (d *drawing) until(t wire.Time) {
	for {
		side := d.nextAlone(t)
		if side < 0 {
			return
		}
		tr := d.alone[side][0]
		d.alone[side] = d.alone[side][1:]
		var lanes [2]string
		lanes[side] = d.state(side, tr)
		d.line(tr.Frame, tr.At, lanes, centre(d.aloneNote(tr), d.middle), "")
	}
}

// nextAlone returns the side whose state without a frame comes next before t; -1 for
// none.
func (d *drawing) nextAlone(t wire.Time) int {
	side := -1
	for i := range d.alone {
		if len(d.alone[i]) > 0 && d.alone[i][0].At < t && (side < 0 || d.alone[i][0].At < d.alone[side][0].At) {
			side = i
		}
	}
	return side
}

func (d *drawing) aloneNote(t *reassembly.Transition) string {
	switch {
	case t.Frame != 0 && t.Frame == d.c.Next.Frame:
		return "(the ports open anew)"
	case t.Frame != 0:
		return "(inside a run)"
	case t.Evidence == reassembly.Assumed:
		return "(assumed)"
	}
	return "(timer)"
}

// line draws the columns of one line.
func (d *drawing) line(frame wire.FrameID, at wire.Time, lanes [2]string, middle, remark string) {
	d.lanes(d.gutterAt(frame, at), lanes, middle, remark)
}

// gutterAt are the left columns of a line, which becomes the last one.
func (d *drawing) gutterAt(frame wire.FrameID, at wire.Time) string {
	name, delta := "", ""
	if frame != 0 {
		name = frameName(frame, d.multi)
	}
	if d.started {
		delta = shortDelta(at, d.last)
	}
	d.started, d.last = true, at
	gutter := right(name, d.frames)
	if d.times > 0 {
		gutter += " " + right(d.time(at), d.times)
	}
	if d.delta > 0 {
		gutter += right(delta, d.delta)
	}
	return gutter
}

// lanes draws a line whose left columns are given.
func (d *drawing) lanes(gutter string, lanes [2]string, middle, remark string) {
	s := fmt.Sprintf("%s  %s | %s | %s", left(gutter, d.gutter()-2), right(d.paint(bold, lanes[0]), d.lane), left(middle, d.middle), d.paint(bold, lanes[1]))
	if remark != "" {
		s = left(s, d.drawn()) + " | " + remark
	}
	d.linef("%s", strings.TrimRight(s, " "))
}

// colorOf is that of a segment's arrow.
func (r *rung) colorOf() string {
	switch {
	case r.kind == reassembly.KindRST && r.hole == nil && r.folded == nil:
		return red
	case r.hole != nil || r.lost != arrived || r.kind == reassembly.KindICMP ||
		r.marks&(reassembly.MarkRepeat|reassembly.MarkGap|reassembly.MarkOther|reassembly.MarkAckUnseen|reassembly.MarkOutside) != 0:
		return yellow
	}
	return ""
}

func (d *drawing) rung(r *rung) {
	switch {
	case r.hole != nil:
		d.holeAny = true
		d.lanes("", [2]string{}, d.paint(r.colorOf(), d.hole(r)), "")
		return
	case r.folded != nil:
		d.across(r)
		return
	}
	notes := d.notes(r)
	marks := make([]string, len(r.findings))
	for i, f := range r.findings {
		name := f.Severity.String() + " " + f.Rule.ID
		if d.remarks == 0 && columns(name) > d.middle-5 {
			name = f.Rule.ID // the head of the drawing says how grave it is
		}
		marks[i] = d.paint(severityColors[f.Severity], name)
	}
	remarks := []string{""}
	if d.remarks > 0 {
		all := slices.Concat(notes, marks)
		for i := range all {
			all[i] = strings.ReplaceAll(strings.TrimPrefix(all[i], "^ "), hard, " ")
		}
		if len(all) > 0 {
			remarks = wrapParts(all, d.remarks)
		}
		notes, marks = nil, nil
	}
	stack := d.stack(r)
	at := func(n int) (lanes [2]string) {
		for side := range lanes {
			if n < len(stack[side]) {
				lanes[side] = stack[side][n]
			}
		}
		return lanes
	}
	d.line(r.frame, r.at, at(0), d.paint(r.colorOf(), d.arrow(r)), remarks[0])
	if r.count > 1 {
		d.last = r.lastAt
	}
	var below []string
	for _, n := range notes {
		for i, l := range wrap(n, d.middle-3) {
			l = strings.ReplaceAll(l, hard, " ")
			if i > 0 && strings.HasPrefix(n, "^ ") {
				l = "  " + l
			}
			below = append(below, "   "+l)
		}
	}
	for _, m := range marks {
		below = append(below, "   ^ "+m)
	}
	for n := 1; n < max(len(stack[0]), len(stack[1]), len(below)+1, len(remarks)); n++ {
		middle, remark := "", ""
		if n <= len(below) {
			middle = below[n-1]
		}
		if n < len(remarks) {
			remark = remarks[n]
		}
		d.lanes("", at(n), middle, remark)
	}
}

// across draws what is folded, over both lanes: no state changes in it.
func (d *drawing) across(r *rung) {
	room := 2*d.lane + 6 + d.middle
	text := centre("... "+d.foldedWords(r.folded, room-8)+" ...", room)
	d.linef("%s  %s", d.gutterAt(r.frame, r.at), strings.TrimRight(d.paint(dim, strings.TrimRight(text, " ")), " "))
	d.last = r.lastAt
}

// stack are the lines that a segment's states take on each lane: a state, and below it,
// or beside it where there is room, how long the side stayed in it.
func (d *drawing) stack(r *rung) (out [2][]string) {
	for side := range out {
		for _, t := range r.states[side] {
			out[side] = append(out[side], d.state(side, t))
			if dwell := d.dwellOf(side, t); dwell != "" && d.lane == laneWidth {
				out[side] = append(out[side], dwell)
			}
		}
	}
	return out
}

// state prints a transition on its lane: the state, how it is known, whether a later
// frame moved it, and on a wide lane how long the side stayed in it.
func (d *drawing) state(side int, t *reassembly.Transition) string {
	s := t.State.String() + " " + evidenceMarks[t.Evidence]
	if t.Rewritten {
		s += "*"
	}
	if dwell := d.dwellOf(side, t); dwell != "" && d.lane > laneWidth {
		s += " " + dwell
	}
	return s
}

// wrapParts puts parts into lines of at most n columns, with semicolons in between; a
// part that is longer wraps.
func wrapParts(parts []string, n int) []string {
	for i := range parts[:len(parts)-1] {
		parts[i] += ";"
	}
	var lines []string
	for _, p := range parts {
		if k := len(lines) - 1; k >= 0 && columns(lines[k])+1+columns(p) <= n {
			lines[k] += " " + p
			continue
		}
		if columns(p) <= n || strings.Contains(p, "\x1b") {
			lines = append(lines, p)
			continue
		}
		lines = append(lines, wrap(p, n)...)
	}
	return lines
}

// arrow draws a segment from its sender's lane to the other. One that did not arrive
// ends on the way.
func (d *drawing) arrow(r *rung) string {
	label := " " + d.label(r, d.middle-6) + " "
	n := max(d.middle-3-columns(label), 0)
	if r.lost != arrived {
		d.lostAny = true
		rest := min(3, n)
		dashes := strings.Repeat("-", n-rest)
		if r.from == reassembly.Client {
			return "--" + label + dashes + "x" + blanks(rest)
		}
		return blanks(rest) + "x" + dashes + label + "--"
	}
	dashes := strings.Repeat("-", n)
	if r.from == reassembly.Client {
		return "--" + label + dashes + ">"
	}
	return "<" + dashes + label + "--"
}

// hole draws what a side sent and the capture lacks.
func (d *drawing) hole(r *rung) string {
	label := " " + d.holeLabel(r, d.middle-8) + " "
	n := max(d.middle-3-columns(label), 0)
	pad := blanks(n % 2)
	if r.from == reassembly.Client {
		return "-" + label + strings.Repeat("- ", n/2) + pad + ">"
	}
	return "<" + pad + strings.Repeat(" -", n/2) + label + "-"
}

func (d *drawing) holeLabel(r *rung, most int) string {
	seq := "seq " + d.relative(r.seq, r.from) + "-" + d.relative(r.end, r.from)
	for _, s := range []string{seq + " missing from the capture", seq + " missing", seq} {
		if columns(s) <= most {
			return s
		}
	}
	return "missing"
}

// label says what a segment carries, in numbers relative to each side's first, in at
// most so many columns (0: any) if that is possible.
func (d *drawing) label(r *rung, most int) string {
	var ways []string
	flags := flagNames[r.flags&511]
	seq, ack, octs := d.relative(r.seq, r.from), d.relative(r.ack, 1-r.from), strconv.FormatUint(uint64(r.octets), 10)
	acked := r.flags.Has(wire.ACK)
	switch {
	case r.hole != nil:
		return d.holeLabel(r, max(most, 0))
	case r.folded != nil:
		return d.foldedWords(r.folded, most)
	case r.icmp != nil:
		whole := d.icmpLabel(r.icmp)
		short, _, _ := strings.Cut(whole, ",")
		ways = []string{whole, short, "ICMP"}
	case r.count > 1 && r.octets == 0:
		n := number(uint64(r.count)) + " ACKs"
		ways = []string{n + " up to " + ack, n}
	case r.count > 1:
		n := plural(uint64(r.count), "segment", "segments")
		size := octets(uint64(r.octets))
		ways = []string{fmt.Sprintf("%s, %s, seq %s-%s", n, size, seq, d.relative(r.end, r.from)), n + ", " + size, number(uint64(r.count)) + ", " + size}
	default:
		whole := "[" + flags + "] seq " + seq
		brief := flags
		if r.octets > 0 {
			brief += " " + seq + ":" + d.relative(r.end, r.from)
		} else if r.kind != reassembly.KindACK {
			brief += " " + seq
		}
		shorter := brief
		if acked {
			whole += " ack " + ack
			brief += " ack " + ack
		}
		if r.octets > 0 {
			whole += " len " + octs
		}
		if ways = []string{whole, brief, shorter, flags}; d.brief {
			ways = ways[1:]
		}
	}
	for _, s := range ways {
		if most <= 0 || columns(s) <= most {
			return s
		}
	}
	return ways[len(ways)-1]
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

// optionWords lists the options that a SYN offers.
func optionWords(o *wire.Options) string {
	var words []string
	for _, x := range optionNames {
		if o.Set&x.option == 0 {
			continue
		}
		switch x.option {
		case wire.OptMSS:
			words = append(words, "mss"+hard+strconv.Itoa(int(o.MSS)))
		case wire.OptWindowScale:
			words = append(words, "wscale"+hard+strconv.Itoa(int(o.WindowScale)))
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
