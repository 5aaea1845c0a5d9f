package report

import (
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// script writes the drawing as lines of text, for terminals that are too narrow for
// two lanes: who sent what, and below it what that changed.
func (d *drawing) script() {
	for i := range d.rungs {
		r := &d.rungs[i]
		if r.hole == nil {
			d.scriptUntil(r.at)
			if s := d.silent(r.at); s != "" {
				d.prose("  ", "  ", d.paintWords(dim, s))
			}
			if p := d.phaseOf(r); p != d.phase && r.folded == nil {
				d.prose("-- ", "   ", d.paintWords(dim, d.phaseName(p)))
				d.phase = p
			}
		}
		d.scriptRung(r)
	}
	d.scriptUntil(1<<63 - 1)
}

func (d *drawing) scriptUntil(t wire.Time) {
	for {
		side := d.nextAlone(t)
		if side < 0 {
			return
		}
		tr := d.alone[side][0]
		d.alone[side] = d.alone[side][1:]
		d.prose("", "    ", d.time(tr.At)+" "+reassembly.Side(side).String()+" "+d.state(side, tr)+" "+d.aloneNote(tr))
		d.started, d.last = true, tr.At
	}
}

func (d *drawing) scriptRung(r *rung) {
	arrow := "C > S"
	if r.from == reassembly.Server {
		arrow = "S > C"
	}
	what := d.paintWords(r.colorOf(), d.label(r, 24))
	switch {
	case r.hole != nil:
		d.prose("  ", "    ", arrow+" "+d.paintWords(yellow, d.holeLabel(r, 60)))
		return
	case r.folded != nil:
		d.prose("  ", "    ", d.paintWords(dim, "... "+d.foldedWords(r.folded, 60)+" ..."))
		d.last = r.lastAt
		return
	case r.lost != arrived:
		d.lostAny = true
		what += " x"
	}
	line := frameName(r.frame, d.multi)
	if d.times > 0 {
		line += " " + d.time(r.at)
	}
	if d.started && d.o.Times == TimesDelta {
		line += " " + shortDelta(r.at, d.last)
	}
	d.started, d.last = true, max(r.at, r.lastAt)
	d.prose("", "    ", line+" "+arrow+" "+what)
	for side := range r.states {
		for _, t := range r.states[side] {
			s := reassembly.Side(side).String() + " " + d.state(side, t)
			if dwell := d.dwellOf(side, t); dwell != "" {
				s += " for " + dwell
			}
			d.prose("    ", "      ", s)
		}
	}
	for _, n := range d.notes(r) {
		d.prose("    ", "      ", strings.TrimPrefix(n, "^ "))
	}
	for _, f := range r.findings {
		d.prose("    ", "      ", d.paintWords(severityColors[f.Severity], f.Severity.String()+" "+f.Rule.ID))
	}
}
