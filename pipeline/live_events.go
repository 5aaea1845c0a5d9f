package pipeline

import (
	"slices"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// tell makes events of what is new about a connection since it was looked at last.
// final: it leaves, and what is said of it now is for good.
func (o *onlooker) tell(i int32, c *reassembly.Conn, found []finding.Finding, final bool) {
	s := &o.list[i]
	if w := o.w; w.picker != nil {
		o.view = report.Connection{Conn: c, Capture: w.cfg.Name, Encap: w.batch.layers(c.Tuple.Encap), Provisional: !final, Findings: found}
		w.names.view(&o.view)
		if picked, then := w.pick(&o.view); !picked && then == nil {
			return
		}
	}
	for k := EventOpened; k <= EventDied; k++ {
		if s.told.has(k) {
			continue
		}
		if e, yes := happened(k, c, s.told, final); yes {
			s.told.add(k)
			o.event(e, c, s.stamp, final)
		}
	}
	o.tellFindings(i, c, found, final)
}

// happened reports whether an event has happened to a connection, and when.
func happened(k EventKind, c *reassembly.Conn, told kinds, final bool) (e Event, yes bool) {
	e = Event{Kind: k, At: c.End, Frame: c.Last, Reason: c.Close.Reason}
	failed := false
	switch c.Handshake.Outcome {
	case reassembly.HandshakeRefused, reassembly.HandshakeReset:
		failed = true
	case reassembly.HandshakeICMP, reassembly.HandshakeUnanswered, reassembly.HandshakeAbandoned:
		// A later try may succeed.
		failed = final
	}
	over := told.has(EventClosed) || told.has(EventReset) || told.has(EventRefused)
	switch k {
	case EventOpened:
		switch c.Handshake.Outcome {
		case reassembly.HandshakeUnseen:
			e.At, e.Frame = c.Start, c.First
		case reassembly.HandshakeComplete:
			e.At, e.Frame, e.RTT = c.Start, c.First, c.Handshake.RTT
			for side := range c.Ends {
				for _, t := range c.Ends[side].Timeline {
					if t.State == reassembly.Established && t.At >= e.At {
						e.At, e.Frame = t.At, t.Frame
					}
				}
			}
		default:
			return e, false
		}
		e.Reason = reassembly.CloseUnknown
		return e, true
	case EventRefused:
		if !failed || over {
			return e, false
		}
		byReset(&e, c)
		if c.Close.Reset == 0 && final {
			e.At = c.Until
		}
		return e, true
	case EventClosing:
		for i := range c.Events {
			if v := &c.Events[i]; v.Kind == reassembly.KindFIN && v.Marks&(reassembly.MarkOther|reassembly.MarkOutside) == 0 {
				e.At, e.Frame, e.By, e.HasBy, e.Reason = v.At, v.Frame, v.From, true, reassembly.CloseUnknown
				return e, true
			}
		}
		return e, false
	case EventClosed:
		if failed || over || c.Close.Reason != reassembly.CloseOrderly && !(final && c.Close.Reason == reassembly.CloseOrderlyUnconfirmed) {
			return e, false
		}
		e.By, e.HasBy = c.Close.Closer, c.Close.HasCloser
		return e, true
	case EventReset:
		if failed || over || c.Close.Reset == 0 {
			return e, false
		}
		byReset(&e, c)
		return e, true
	case EventDied:
		if !final || over || c.Ended == reassembly.EndedInput {
			return e, false
		}
		e.At = c.Until
		return e, true
	}
	return e, false
}

// byReset says in e which RST it was, if one ended the connection.
func byReset(e *Event, c *reassembly.Conn) {
	if c.Close.Reset > 0 {
		v := &c.Events[c.Close.Reset-1]
		e.At, e.Frame, e.By, e.HasBy = v.At, v.Frame, c.Close.ResetBy, true
	}
}

// tellFindings tells of findings: those of an open connection as soon as they are
// certain, the others when it has settled, and of those told that do not hold.
func (o *onlooker) tellFindings(i int32, c *reassembly.Conn, found []finding.Finding, final bool) {
	s := &o.list[i]
	told := o.told[i]
	if len(found) == 0 && len(told) == 0 {
		return
	}
	for j := range told {
		if !slices.ContainsFunc(o.same(found), func(a announced) bool { return a == told[j].announced }) {
			if !told[j].withdrawn {
				told[j].withdrawn = true
				f := told[j].finding
				o.event(Event{Kind: EventWithdrawn, At: c.End, Frame: c.Last, Finding: &f}, c, s.stamp, final)
			}
		} else if told[j].withdrawn {
			told[j].withdrawn = false // it holds after all
			f := told[j].finding
			o.event(Event{Kind: EventFinding, At: c.End, Frame: c.Last, Finding: &f}, c, s.stamp, final)
		}
	}
	for j, a := range o.same(found) {
		f := &found[j]
		if !final && f.Confidence != finding.Certain || slices.ContainsFunc(told, func(t toldFinding) bool { return t.announced == a }) {
			continue
		}
		told = append(told, toldFinding{a, *f, false})
		e := Event{Kind: EventFinding, At: c.End, Frame: c.Last, Finding: f}
		if final && c.Ended != reassembly.EndedInput {
			e.At = max(c.Until, c.End)
		}
		o.event(e, c, s.stamp, final)
	}
	if len(told) > 0 {
		o.told[i] = told
	}
}

// announced is what makes a finding of one connection the same as one told before: nth
// counts those that are alike otherwise.
type announced struct {
	rule      *finding.Rule
	endpoint  finding.Endpoint
	catalogue string
	nth       int
}

// same returns what findings are known by. It is valid until the next call.
func (o *onlooker) same(found []finding.Finding) []announced {
	o.known = o.known[:0]
	for i := range found {
		a := announced{found[i].Rule, found[i].Endpoint, found[i].Catalogue, 0}
		for slices.Contains(o.known, a) {
			a.nth++
		}
		o.known = append(o.known, a)
	}
	return o.known
}

// toldFinding is a finding that an event told of.
type toldFinding struct {
	announced
	finding   finding.Finding
	withdrawn bool
}

// event completes an event and hands it to the merger.
func (o *onlooker) event(e Event, c *reassembly.Conn, stamp uint64, final bool) {
	w := o.w
	e.Ref, e.Tuple, e.Encap, e.Start, e.Settled = stamp, c.Tuple, w.batch.layers(c.Tuple.Encap), c.Start, final
	e.UID = w.names.uid(&c.Key, e.Encap)
	for side := range c.Ends {
		end := &c.Ends[side]
		e.States[side], e.HasState[side] = stateAt(end, e.At), len(end.Timeline) > 0
		e.Packets[side], e.Bytes[side] = end.Packets, end.Bytes
	}
	w.result.events = append(w.result.events, e)
}

// stateAt returns the state that an endpoint was in at some time: what it came into at
// that very time included.
func stateAt(e *reassembly.Endpoint, at wire.Time) reassembly.State {
	state := reassembly.Closed
	for _, t := range e.Timeline {
		if t.At <= at {
			state = t.State
		}
	}
	return state
}
