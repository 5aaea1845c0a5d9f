package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// This file makes a conversation of a list of segments: what repeats what, what was
// lost and what the capture lacks, where nothing was said for long, and what need not
// be read line by line.

// silence is how long nothing must pass for a line of its own: what a reader would
// take for a pause.
const silence = time.Second

// Of a run of segments that tell nothing of their own, foldFirst and foldLast are
// drawn if it is longer than foldMin.
const foldMin, foldFirst, foldLast = 12, 4, 3

// tell looks at all rungs together.
func (d *drawing) tell() {
	d.repeats()
	d.losses()
	d.missing()
	if !d.o.All {
		d.fold()
	}
}

// covers reports whether a rung carries sequence numbers of another of the same side.
func (r *rung) covers(q *rung) bool {
	return r.from == q.from && r.icmp == nil && q.icmp == nil && r.span() > 0 && q.span() > 0 && r.seq.Before(q.end) && q.seq.Before(r.end)
}

// span is how many sequence numbers a rung carries.
func (r *rung) span() uint32 { return uint32(r.end - r.seq) }

// repeats ties each segment that was sent again to those that it repeats, the latest
// of them first; and a frame that is in the capture twice to the first copy.
func (d *drawing) repeats() {
	for i := range d.rungs {
		r := &d.rungs[i]
		if !r.duplicate && r.marks&reassembly.MarkRepeat == 0 {
			continue
		}
		for k := i - 1; k >= 0 && k > i-repeatReach; k-- {
			q := &d.rungs[k]
			if r.duplicate {
				if q.from == r.from && q.seq == r.seq && q.ack == r.ack && q.flags == r.flags && !q.duplicate {
					r.again = append(r.again, q.frame)
					break
				}
				continue
			}
			if q.covers(r) && !q.duplicate {
				r.again = append(r.again, q.frame)
				if len(r.again) == againMax || q.marks&reassembly.MarkRepeat == 0 {
					break
				}
			}
		}
	}
}

const (
	// repeatReach is how many lines back a repeated segment is looked for; a flight
	// under way is shorter.
	repeatReach = 4000
	// againMax is how many earlier copies are named.
	againMax = 3
)

// losses marks the segments that nothing shows to have arrived, though something later
// says that they had not: a segment that was sent again before anything acknowledged
// it, and one that a state did not follow though it was meant to.
func (d *drawing) losses() {
	for i := range d.rungs {
		q := &d.rungs[i]
		if q.marks&reassembly.MarkRepeat == 0 || q.duplicate || q.marks&reassembly.MarkKeepalive != 0 {
			continue
		}
		for k := i - 1; k >= 0 && k > i-repeatReach; k-- {
			r := &d.rungs[k]
			if r.from != q.from {
				if r.icmp == nil && r.flags.Has(wire.ACK) && !r.ack.Before(q.end) {
					break // what it carries had been acknowledged
				}
				continue
			}
			// The whole of it must come again: of a longer one a part may have arrived.
			if r.covers(q) && !r.duplicate && r.count == 1 && !r.seq.Before(q.seq) && !r.end.After(q.end) {
				r.lost = doubtful
			}
		}
	}
	for side := range d.c.Ends {
		for _, t := range d.c.Ends[side].Timeline {
			if !t.Rewritten || t.Frame == 0 {
				continue
			}
			at := slices.IndexFunc(d.rungs, func(r rung) bool { return r.frame == t.Frame })
			if at < 0 {
				continue
			}
			q := &d.rungs[at]
			for k := range at {
				r := &d.rungs[k]
				if r.from == q.from && r.kind == q.kind && r.seq == q.seq && r.end == q.end && r.ack == q.ack && r.count == 1 && !r.duplicate {
					r.lost = lost
				}
			}
		}
	}
}

// missing puts a line where the capture lacks what a side sent: before the first
// segment that shows that it was sent.
func (d *drawing) missing() {
	for side := range d.c.Ends {
		from := reassembly.Side(side)
		for _, m := range d.c.Ends[side].Missing {
			at := slices.IndexFunc(d.rungs, func(r rung) bool {
				if r.icmp != nil || r.hole != nil {
					return false
				}
				if r.from == from {
					return r.span() > 0 && !r.seq.Before(m.To)
				}
				return r.flags.Has(wire.ACK) && r.kind != reassembly.KindSYN && !r.ack.Before(m.To)
			})
			if at < 0 {
				at = len(d.rungs)
			}
			when := d.c.End
			if at < len(d.rungs) {
				when = d.rungs[at].at
			}
			hole := rung{at: when, from: from, seq: m.From, end: m.To, hole: &reassembly.Range{From: m.From, To: m.To}}
			d.rungs = slices.Insert(d.rungs, at, hole)
		}
	}
}

// plain reports whether a rung says nothing that its neighbours do not.
func (r *rung) plain() bool {
	return (r.kind == reassembly.KindData || r.kind == reassembly.KindACK) && r.icmp == nil && r.hole == nil && r.lost == arrived && !r.duplicate &&
		r.marks&(namedMarks) == 0 && len(r.states[0])+len(r.states[1])+len(r.findings) == 0 && r.options == nil
}

// fold replaces the middle of long runs of plain data and acknowledgments by a line
// that sums them up.
func (d *drawing) fold() {
	var out []rung
	for i := 0; i < len(d.rungs); {
		end := i
		for end < len(d.rungs) && d.rungs[end].plain() && (end == i || d.rungs[end].at.Sub(d.rungs[end-1].lastAt) < silence) {
			end++
		}
		if end-i <= foldMin {
			end = max(end, i+1)
			out = append(out, d.rungs[i:end]...)
			i = end
			continue
		}
		out = append(out, d.rungs[i:i+foldFirst]...)
		inner := d.rungs[i+foldFirst : end-foldLast]
		f := &folded{first: inner[0].frame, last: inner[len(inner)-1].lastFrame, took: inner[len(inner)-1].lastAt.Sub(inner[0].at)}
		for k := range inner {
			f.segments += uint64(inner[k].count)
			f.octets[inner[k].from] += uint64(inner[k].octets)
		}
		out = append(out, rung{at: inner[0].at, lastAt: inner[len(inner)-1].lastAt, frame: inner[0].frame, lastFrame: f.last, folded: f, kind: reassembly.KindData})
		out = append(out, d.rungs[end-foldLast:end]...)
		i = end
	}
	d.rungs = out
}

// folded sums up segments that are not drawn one by one.
type folded struct {
	first, last wire.FrameID
	segments    uint64
	octets      [2]uint64
	took        time.Duration
}

// words says what is folded, in as few columns as needed.
func (d *drawing) foldedWords(f *folded, most int) string {
	var data []string
	for side, n := range f.octets {
		if n > 0 {
			data = append(data, reassembly.Side(side).String()+" "+octets(n))
		}
	}
	what := plural(f.segments, "segment", "segments")
	for _, s := range []string{
		fmt.Sprintf("%s to frame %s: %s in %s", what, frameName(f.last, d.multi), strings.Join(data, ", "), span(f.took)),
		fmt.Sprintf("%s: %s in %s", what, strings.Join(data, ", "), span(f.took)),
		fmt.Sprintf("%s in %s", what, span(f.took)),
	} {
		if len(data) > 0 && columns(s) <= most {
			return s
		}
	}
	return what
}

// notes are what else there is to say about a segment.
func (d *drawing) notes(r *rung) []string {
	var notes []string
	if r.count > 1 {
		notes = append(notes, "over "+span(r.lastAt.Sub(r.at))+", last frame "+frameName(r.lastFrame, d.multi))
	}
	if r.icmp != nil {
		notes = append(notes, d.icmpNote(r.icmp))
	}
	if r.options != nil && !r.duplicate {
		if s := optionWords(r.options); s != "" {
			notes = append(notes, s)
		}
	}
	if s := d.markWords(r); s != "" {
		notes = append(notes, "^ "+s)
	}
	return notes
}

// markWords says what is the matter with a segment.
func (d *drawing) markWords(r *rung) string {
	var words []string
	add := func(mark reassembly.Marks, what string) {
		if r.marks&mark != 0 {
			words = append(words, what)
		}
	}
	again := ""
	for i, f := range r.again {
		if i > 0 {
			again += ", "
		}
		again += frameName(f, d.multi)
	}
	switch {
	case r.duplicate && again != "":
		words = append(words, "captured twice, as "+again)
	case r.duplicate:
		words = append(words, "captured twice")
	case r.marks&reassembly.MarkKeepalive != 0: // it repeats an octet by its nature
		words = append(words, "keepalive probe")
	case again != "":
		words = append(words, "again "+again)
	default:
		add(reassembly.MarkRepeat, "again")
	}
	if r.lost == lost {
		words = append(words, "lost")
	}
	add(reassembly.MarkGap, "beyond a gap")
	add(reassembly.MarkZeroWindow, "window 0")
	add(reassembly.MarkDSACK, "D-SACK: had it twice")
	add(reassembly.MarkOther, "of another life")
	add(reassembly.MarkAckUnseen, "acknowledges what is missing")
	add(reassembly.MarkOutside, "outside the window")
	return strings.Join(words, ", ")
}

// dwellOf returns how long a side stayed in a state; empty where that is not known, or
// no time at all.
func (d *drawing) dwellOf(side int, t *reassembly.Transition) string {
	tl := d.c.Ends[side].Timeline
	for i := range tl {
		if &tl[i] == t && i+1 < len(tl) && t.State != reassembly.Closed && tl[i+1].At > t.At {
			return span(tl[i+1].At.Sub(t.At))
		}
	}
	return ""
}
