package report

import (
	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var (
	_ = registerCensus("ndjson", func(p *censusPrint) error { return p.objects(false) })
	_ = registerCensus("json", func(p *censusPrint) error { return p.objects(true) })
)

// objects writes a census as JSON: one object for each count, one for each peak,
// and the report's summary last.
func (p *censusPrint) objects(document bool) error {
	multi := len(p.o.Inputs) > 1
	j := censusJSON{p: p, document: document, ndjson: ndjson{w: p.w, multi: multi}, a: appender{multi: multi}}
	if document {
		j.out = append(j.out, `{"schema":1,"census":[`...)
	}
	parts := p.parts()
	for i := range parts {
		x := &parts[i]
		for _, m := range p.moments {
			n := &x.At[m.index]
			if m.outside {
				n = nil
			}
			j.count(m.at, x, n, m.end)
		}
	}
	for i := range parts {
		x := &parts[i]
		if x.Step > 0 && p.any {
			x.Rows(p.first, p.last, func(at wire.Time, n *census.Counts) { j.count(at, x, n, false) })
		}
	}
	if document {
		j.out = append(j.out, "\n],\"peaks\":["...)
		j.comma = false
	}
	for i := range parts {
		x := &parts[i]
		if x.scope == "all" {
			for _, s := range censusStates {
				if s != reassembly.Closed {
					j.peak(x, s.String(), &p.r.States[s])
				}
			}
		}
		if x.hasPeak() {
			j.peak(x, x.peakOf(), &x.Peak)
		}
	}
	if document {
		j.out = append(j.out, "\n],\"summary\":"...)
		j.out = append(j.a.summary(j.out, p.s), '}', '\n')
	} else {
		j.out = append(j.a.summary(j.out, p.s), '\n')
	}
	if j.err != nil {
		return j.err
	}
	return j.Flush()
}

// censusJSON writes the objects of a census.
type censusJSON struct {
	ndjson
	a        appender
	p        *censusPrint
	document bool
	comma    bool
	err      error
}

// begin begins an object with what it is about.
func (j *censusJSON) begin(kind string, x *part) {
	if j.document {
		if j.comma {
			j.out = append(j.out, ',')
		}
		j.comma = true
		j.out = append(j.out, '\n')
	}
	b := append(j.out, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","schema":1,"scope":"`...)
	b = append(b, x.scope...)
	b = append(b, '"')
	if x.host != "" {
		b = append(b, `,"host":`...)
		b = appendString(b, x.host)
	}
	if x.listener != nil {
		b = append(b, `,"listener":`...)
		b = appendPeer(b, x.listener.Addr)
	}
	if x.others {
		b = appendField(b, "others", x.keys)
	}
	j.out = appendField(b, "connections", x.Connections)
}

func (j *censusJSON) instant(at wire.Time) {
	j.out = append(j.out, `,"at":`...)
	j.out = j.a.time(j.out, at)
	j.out = append(j.out, `,"t":`...)
	j.out = appendSeconds(j.out, at.Sub(j.p.first))
}

func (j *censusJSON) finish() {
	j.out = append(j.out, '}')
	if !j.document {
		j.out = append(j.out, '\n')
	}
	if len(j.out) >= flushAt && j.err == nil {
		j.err = j.Flush()
	}
	if j.err != nil {
		j.out = j.out[:0]
	}
}

// count writes the counts at an instant; n is nil where the capture does not reach.
func (j *censusJSON) count(at wire.Time, x *part, n *census.Counts, end bool) {
	if n == nil && end {
		return // there was no frame, so no instant either
	}
	j.begin("census", x)
	j.instant(at)
	if end {
		j.out = append(j.out, `,"end":true`...)
	}
	if n != nil {
		j.out = append(j.out, `,"states":`...)
		j.out = appendCounts(j.out, reassembly.StateCount, func(i int) string { return reassembly.State(i).String() },
			func(i int) uint64 { return n[i] })
		j.out = appendField(j.out, "sockets", n.Sockets())
		j.out = appendField(j.out, "open", n.Open())
	}
	j.finish()
}

func (j *censusJSON) peak(x *part, of string, p *census.Peak) {
	if p.Count == 0 {
		return
	}
	j.begin("peak", x)
	j.instant(p.At)
	j.out = append(j.out, `,"of":"`...)
	j.out = append(j.out, of...)
	j.out = append(j.out, `","count":`...)
	j.out = appendUint(j.out, p.Count)
	if p.Within > 0 {
		j.out = append(j.out, `,"within":`...)
		j.out = appendSeconds(j.out, p.Within)
		j.out = appendField(j.out, "at_most", p.AtMost)
	}
	j.finish()
}
