package scenario

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Check runs the rules over one connection. The caller brings them; nil leaves
// findings uncompared.
type Check func(*reassembly.Conn) []finding.Finding

// Observed is what tcplife said about a compiled script, in the script's words:
// hosts by name, frames by the script's numbers.
type Observed struct {
	Conns []ObservedConn
	Late  []ObservedLate
	// Skipped lists the frames that gave no segment.
	Skipped []string
}

// ObservedConn is one connection.
type ObservedConn struct {
	Client, Server Endpoint
	RoleBy         string
	First, Last    int
	// Timelines are the states of client and server.
	Timelines [2][]Step
	Findings  []ObservedFinding
	// Close holds the values that a close section may ask for, by key.
	Close map[string][]string

	start wire.FrameID
}

// ObservedLate is one group of late segments.
type ObservedLate struct {
	A, B        Endpoint
	First, Last int
}

// ObservedFinding is one finding.
type ObservedFinding struct {
	ID, Catalogue, Severity, Confidence string
	// Endpoint is a host's name or "both".
	Endpoint string
	Frames   []int
	Message  string
}

// Observe compiles the script, decodes the frames, tracks the connections and runs
// the rules.
func (s *Script) Observe(v Variant, check Check) (*Observed, error) {
	capture, err := s.Compile(v)
	if err != nil {
		return nil, err
	}
	file, err := capture.File()
	if err != nil {
		return nil, err
	}
	frames, err := read(file, v.Format)
	if err != nil {
		return nil, err
	}
	o := &observer{script: s, v: v, check: check}
	tracker := reassembly.New(reassembly.Config{Settled: o.settled, Late: o.late})
	var decoder wire.Decoder
	var seg wire.Segment
	for i := range frames {
		skip, ok := decoder.Decode(&frames[i], &seg), true
		for ; ok; skip, ok = decoder.More(&frames[i], &seg) {
			switch skip {
			case wire.SkipICMP:
				tracker.Quoted(decoder.ICMP())
			case wire.SkipNone:
				tracker.Feed(&seg)
				if !v.Batch {
					tracker.Advance(seg.At)
				}
			default:
				o.seen.Skipped = append(o.seen.Skipped, fmt.Sprintf("frame %d: %s", v.scriptFrame(frames[i].ID.Number()), skip))
			}
		}
	}
	tracker.Flush()
	slices.SortFunc(o.seen.Conns, func(a, b ObservedConn) int { return cmp.Compare(a.start, b.start) })
	slices.SortFunc(o.seen.Late, func(a, b ObservedLate) int { return cmp.Compare(a.First, b.First) })
	return &o.seen, nil
}

// observer copies what the tracker hands out, which is valid only during the call.
type observer struct {
	script *Script
	v      Variant
	check  Check
	seen   Observed
}

func (o *observer) settled(c *reassembly.Conn, _ uint64) {
	oc := ObservedConn{
		Client: o.endpoint(c.Tuple.Source()), Server: o.endpoint(c.Tuple.Destination()),
		RoleBy: c.RoleBy.String(), First: o.frame(c.First), Last: o.frame(c.Last), start: c.First,
	}
	for side := range c.Ends {
		for _, tr := range c.Ends[side].Timeline {
			oc.Timelines[side] = append(oc.Timelines[side], Step{tr.State.String(), tr.Evidence.String(), o.frame(tr.Frame)})
		}
	}
	oc.Close = o.closing(c, oc.Client, oc.Server)
	if o.check != nil {
		for _, f := range o.check(c) {
			oc.Findings = append(oc.Findings, o.finding(f, oc.Client, oc.Server))
		}
	}
	o.seen.Conns = append(o.seen.Conns, oc)
}

func (o *observer) late(l *reassembly.Late) {
	o.seen.Late = append(o.seen.Late, ObservedLate{
		A: o.endpoint(l.Tuple.Source()), B: o.endpoint(l.Tuple.Destination()),
		First: o.frame(l.First), Last: o.frame(l.Last),
	})
}

// closing collects what a close section may ask for.
func (o *observer) closing(c *reassembly.Conn, client, server Endpoint) map[string][]string {
	hosts := [2]string{client.Host, server.Host}
	closer, by := "none", "none"
	if c.Close.HasCloser {
		closer = hosts[c.Close.Closer]
	}
	if c.Close.By != "" {
		by = c.Close.By
	}
	handshake := []string{c.Handshake.Outcome.String()}
	for _, f := range []struct {
		set  bool
		word string
	}{
		{c.Handshake.Cookie, "cookie"}, {c.Handshake.Deferred, "deferred"}, {c.Handshake.AcceptQueue, "accept_queue"},
		{c.Handshake.FastOpen, "fastopen"}, {c.Handshake.Simultaneous, "simultaneous"},
	} {
		if f.set {
			handshake = append(handshake, f.word)
		}
	}
	return map[string][]string{
		"reason": {c.Close.Reason.String()}, "closer": {closer}, "by": {by},
		"handshake": handshake, "outcome": {c.Outcome.String()}, "role": {c.RoleBy.String()},
		"icmp": icmpWords(c),
	}
}

func (o *observer) finding(f finding.Finding, client, server Endpoint) ObservedFinding {
	of := ObservedFinding{
		ID: f.Rule.ID, Catalogue: f.Catalogue, Severity: f.Severity.String(),
		Confidence: f.Confidence.String(), Message: f.Message, Endpoint: "both",
	}
	switch f.Endpoint {
	case finding.Client:
		of.Endpoint = client.Host
	case finding.Server:
		of.Endpoint = server.Host
	}
	for _, id := range f.Frames {
		of.Frames = append(of.Frames, o.frame(id))
	}
	of.Frames = slices.Compact(of.Frames)
	return of
}

func (o *observer) frame(id wire.FrameID) int { return o.v.scriptFrame(id.Number()) }

// endpoint turns an address and port back into the script's name.
func (o *observer) endpoint(ap netip.AddrPort) Endpoint {
	hosts := o.script.plan.hosts
	a := ap.Addr().AsSlice()
	place := int(a[len(a)-1]) - 1
	if place < 0 || place >= len(hosts) {
		return Endpoint{Host: ap.String(), Port: 1}
	}
	h := place
	if o.v.Mirror {
		h = len(hosts) - 1 - place
	}
	return Endpoint{Host: hosts[h].name, Port: int(ap.Port()) - hosts[place].port + 1}
}
