package report

import (
	"slices"
	"strconv"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// appendCounts appends an object with one counter for each name, zeros included:
// a reader need not know the list to tell "none" from "not counted".
func appendCounts(b []byte, n int, name func(int) string, count func(int) uint64) []byte {
	b = append(b, '{')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name(i)...)
		b = append(b, '"', ':')
		b = appendUint(b, count(i))
	}
	return append(b, '}')
}

func appendField(b []byte, key string, n uint64) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	return appendUint(b, n)
}

func appendSkipped(b []byte, n *[wire.SkipCount]uint64) []byte {
	const first = int(wire.SkipNone) + 1 // SkipNone is success
	return appendCounts(b, wire.SkipCount-first,
		func(i int) string { return wire.Skip(i + first).String() },
		func(i int) uint64 { return n[i+first] })
}

// summary appends the report's last object.
func (a *appender) summary(b []byte, s *Summary) []byte {
	b = append(b, `{"type":"summary","schema":1,"interrupted":`...)
	b = strconv.AppendBool(b, s.Interrupted)
	b = append(b, `,"files":[`...)
	for i := range s.Inputs {
		if i > 0 {
			b = append(b, ',')
		}
		b = a.input(b, i+1, &s.Inputs[i])
	}
	b = append(b, ']')
	b = appendUnread(b, s)
	b = a.totals(b, s)
	if len(s.Selection) > 0 {
		b = append(b, `,"selection":{"of":`...)
		b = appendUint(b, s.All())
		b = append(b, `,"by":`...)
		b = append(appendStrings(b, s.Selection), '}')
	}
	b = appendField(b, "connections", s.Connections)
	b = append(b, `,"packets":`...)
	b = appendSides(b, s.Packets[0], s.Packets[1])
	b = append(b, `,"bytes":`...)
	b = appendSides(b, s.Bytes[0], s.Bytes[1])
	b = appendCloses(b, s)
	b = append(b, `,"closers":{`...)
	for i := range s.Closers.FIN {
		b = appendSideKey(b, i)
		b = append(b, `{"fin":`...)
		b = appendUint(b, s.Closers.FIN[i])
		b = appendField(b, "rst", s.Closers.RST[i])
		b = append(b, '}')
	}
	b = appendField(b, "none", s.Closers.None)
	b = append(b, `},"census":{`...)
	for i := range s.Census {
		b = appendSideKey(b, i)
		b = appendCounts(b, reassembly.StateCount, func(k int) string { return reassembly.State(k).String() },
			func(k int) uint64 { return s.Census[i][k] })
	}
	b = append(b, `},"dwell":`...)
	b = appendDwell(b, &s.Durations)
	b = append(b, `,"rtt":`...)
	b = appendRTT(b, &s.Durations)
	b = append(b, `,"findings":[`...)
	for i, f := range s.Findings() {
		if i > 0 {
			b = append(b, ',')
		}
		folded, _ := s.folded(f)
		b = a.findingCount(b, f, folded)
	}
	for i, f := range s.CaptureFindings() {
		if i > 0 || len(s.findings) > 0 {
			b = append(b, ',')
		}
		b = a.captureFinding(b, &f)
	}
	b = append(b, `],"late":{"groups":`...)
	b = appendUint(b, s.LateGroups)
	b = appendField(b, "packets", s.LatePackets)
	b = appendField(b, "bytes", s.LateBytes)
	b = append(b, `},"limits":{"evicted":`...)
	b = appendUint(b, s.Limits.Evicted)
	b = appendField(b, "dropped_events", s.Limits.DroppedEvents)
	b = appendField(b, "cut_logs", s.Limits.CutLogs)
	if s.Limits.Forgotten > 0 {
		b = appendField(b, "forgotten", s.Limits.Forgotten)
	}
	if l := &s.Limits.Incidents; l.Hit() {
		b = append(b, `,"kept_one_of":`...)
		b = appendIncidentLimits(b, l)
	}
	return append(b, '}', '}')
}

func appendFragments(b []byte, f *wire.Fragments) []byte {
	b = append(b, `{"packets":`...)
	b = appendUint(b, f.Packets)
	b = appendField(b, "frames", f.Frames)
	b = appendField(b, "incomplete", f.Incomplete)
	b = appendField(b, "incomplete_frames", f.IncompleteFrames)
	b = appendField(b, "incomplete_tcp", f.IncompleteTCP)
	b = appendField(b, "evicted", f.Evicted)
	b = appendField(b, "overlapping", f.Overlapping)
	return append(b, '}')
}

// appendUnread appends the inputs that could not be opened, if there are any.
func appendUnread(b []byte, s *Summary) []byte {
	if len(s.Unread) == 0 {
		return b
	}
	b = append(b, `,"unread":[`...)
	for i, u := range s.Unread {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = appendString(b, u.Name)
		b = append(b, `,"error":`...)
		b = append(appendString(b, u.Err.Error()), '}')
	}
	return append(b, ']')
}

// totals appends what was read, of all inputs together.
func (a *appender) totals(b []byte, s *Summary) []byte {
	if first, last, ok := s.Span(); ok {
		b = append(b, `,"start":`...)
		b = a.time(b, first)
		b = append(b, `,"end":`...)
		b = a.time(b, last)
		b = append(b, `,"duration":`...)
		b = appendSeconds(b, last.Sub(first))
	}
	b = appendField(b, "frames", s.Frames())
	b = appendField(b, "segments", s.Segments())
	skipped := s.Skipped()
	b = append(b, `,"skipped":`...)
	b = appendSkipped(b, &skipped)
	b = append(b, `,"fragments":`...)
	b = appendFragments(b, &s.Fragments)
	b = append(b, `,"quality":`...)
	b = appendQuality(b, s)
	return b
}

// appendCloses appends how the connections opened and ended.
func appendCloses(b []byte, s *Summary) []byte {
	b = append(b, `,"outcomes":`...)
	b = appendCounts(b, outcomeCount, func(i int) string { return reassembly.Outcome(i).String() },
		func(i int) uint64 { return s.Outcomes[i] })
	b = append(b, `,"handshakes":`...)
	b = appendCounts(b, handshakeCount, func(i int) string { return reassembly.HandshakeOutcome(i).String() },
		func(i int) uint64 { return s.Handshakes[i] })
	b = append(b, `,"close_reasons":`...)
	b = appendCounts(b, closeCount, func(i int) string { return reassembly.CloseReason(i).String() },
		func(i int) uint64 { return s.Reasons[i] })
	return b
}

func appendQuality(b []byte, s *Summary) []byte {
	snapped, backwards, damaged, dropped := s.readQuality()
	b = append(b, `{"snapped":`...)
	b = appendUint(b, snapped)
	b = appendField(b, "backwards", backwards)
	b = appendField(b, "damaged_files", damaged)
	b = appendField(b, "dropped", dropped)
	b = appendField(b, "duplicates", s.Quality.Duplicates)
	b = appendField(b, "missing_bytes", s.Quality.MissingBytes)
	b = appendField(b, "missing_connections", s.Quality.MissingConnections)
	b = appendField(b, "mid_stream", s.Quality.MidStream)
	b = appendField(b, "one_sided", s.Quality.OneSided)
	if s.GapCount > 0 {
		b = appendField(b, "gaps", s.GapCount)
	}
	return append(b, '}')
}

func (a *appender) input(b []byte, number int, in *Input) []byte {
	b = append(b, `{"file":`...)
	b = strconv.AppendInt(b, int64(number), 10)
	b = append(b, `,"name":`...)
	b = appendString(b, in.Name)
	if in.Format != "" {
		b = append(b, `,"format":`...)
		b = appendString(b, in.Format)
	}
	for i, p := range in.Packing {
		if i == 0 {
			b = append(b, `,"packing":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, p)
	}
	if len(in.Packing) > 0 {
		b = append(b, ']')
	}
	b = appendField(b, "bytes", uint64(max(in.Bytes, 0)))
	b = appendField(b, "frames", in.Frames)
	b = appendField(b, "segments", in.Segments)
	if in.Frames > 0 {
		b = append(b, `,"start":`...)
		b = a.time(b, in.First)
		b = append(b, `,"end":`...)
		b = a.time(b, in.Last)
	}
	b = append(b, `,"skipped":`...)
	b = appendSkipped(b, &in.Skipped)
	b = appendField(b, "snapped", in.Snapped)
	b = appendField(b, "backwards", in.Backwards)
	if in.Stray > 0 {
		b = appendField(b, "stray_times", in.Stray)
	}
	b = append(b, `,"interfaces":[`...)
	for i := range in.Interfaces {
		f := &in.Interfaces[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"link_type":`...)
		b = appendUint(b, uint64(f.Link))
		if f.SnapLen > 0 {
			b = appendField(b, "snap_len", uint64(f.SnapLen))
		}
		if f.Name != "" {
			b = append(b, `,"name":`...)
			b = appendString(b, f.Name)
		}
		if f.Description != "" {
			b = append(b, `,"description":`...)
			b = appendString(b, f.Description)
		}
		if f.Resolution > 0 {
			b = appendField(b, "resolution", f.Resolution)
		}
		if f.Counted {
			b = appendField(b, "received", f.Received)
			b = appendField(b, "dropped", f.Dropped)
		}
		b = append(b, '}')
	}
	b = append(b, `],"passed_blocks":[`...)
	types := make([]uint32, 0, len(in.Passed))
	for t := range in.Passed {
		types = append(types, t)
	}
	slices.Sort(types)
	for i, t := range types {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"type":`...)
		b = appendUint(b, uint64(t))
		b = appendField(b, "count", in.Passed[t])
		b = append(b, '}')
	}
	b = append(b, `],"damage":[`...)
	for i, d := range in.Damage {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"frame":`...)
		b = appendUint(b, d.Frame)
		b = appendField(b, "offset", uint64(max(d.Offset, 0)))
		b = append(b, `,"what":`...)
		b = appendString(b, d.What)
		if d.Remedy != "" {
			b = append(b, `,"remedy":`...)
			b = appendString(b, d.Remedy)
		}
		b = append(b, '}')
	}
	return append(b, ']', '}')
}

func (a *appender) findingCount(b []byte, f *FindingCount, folded uint64) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, f.Rule.ID)
	b = append(b, `,"title":`...)
	b = appendString(b, f.Rule.Title)
	b = append(b, `,"severity":"`...)
	b = append(b, f.Worst.String()...)
	b = append(b, '"')
	b = appendField(b, "count", f.Count)
	b = appendField(b, "connections", f.Connections)
	if folded > 0 {
		b = appendField(b, "folded", folded)
	}
	b = append(b, `,"by_severity":`...)
	b = appendCounts(b, severityCount, func(i int) string { return finding.Severity(i).String() },
		func(i int) uint64 { return f.BySeverity[i] })
	b = append(b, `,"by_confidence":`...)
	b = appendCounts(b, confidenceCount, func(i int) string { return finding.Confidence(i).String() },
		func(i int) uint64 { return f.ByConfidence[i] })
	b = append(b, `,"advice":`...)
	b = appendString(b, f.Rule.Advice)
	b = append(b, `,"examples":[`...)
	for i := range f.Examples {
		e := &f.Examples[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"connection":`...)
		b = appendUint(b, e.ID)
		b = append(b, `,"uid":`...)
		b = appendString(b, e.UID)
		b = appendEnds(b, &e.Tuple)
		b = append(b, `,"severity":"`...)
		b = append(b, e.Severity.String()...)
		b = append(b, `","confidence":"`...)
		b = append(b, e.Confidence.String()...)
		b = append(b, `","endpoint":"`...)
		b = append(b, e.Endpoint.String()...)
		b = append(b, `","frames":`...)
		b = a.frames(b, e.Frames)
		b = append(b, `,"message":`...)
		b = appendString(b, e.Message)
		b = append(b, '}')
	}
	return append(b, ']', '}')
}

// captureFinding appends a finding about the capture itself. It has the fields of
// those that are counted by rule, and those of a single one.
func (a *appender) captureFinding(b []byte, f *finding.CaptureFinding) []byte {
	one := func(at, i int) uint64 {
		if at == i {
			return 1
		}
		return 0
	}
	b = append(b, `{"id":`...)
	b = appendString(b, f.Rule.ID)
	b = append(b, `,"catalogue":`...)
	b = appendString(b, f.Rule.Catalogue)
	b = append(b, `,"title":`...)
	b = appendString(b, f.Rule.Title)
	b = append(b, `,"severity":"`...)
	b = append(b, f.Severity.String()...)
	b = append(b, `","confidence":"`...)
	b = append(b, f.Confidence.String()...)
	b = append(b, `","endpoint":"both","count":1`...)
	b = appendField(b, "connections", f.Connections)
	b = append(b, `,"by_severity":`...)
	b = appendCounts(b, severityCount, func(i int) string { return finding.Severity(i).String() },
		func(i int) uint64 { return one(int(f.Severity), i) })
	b = append(b, `,"by_confidence":`...)
	b = appendCounts(b, confidenceCount, func(i int) string { return finding.Confidence(i).String() },
		func(i int) uint64 { return one(int(f.Confidence), i) })
	b = append(b, `,"frames":`...)
	b = a.frames(b, f.Frames)
	b = append(b, `,"message":`...)
	b = appendString(b, f.Message)
	b = append(b, `,"reason":`...)
	b = appendString(b, f.Reason)
	b = append(b, `,"advice":`...)
	b = appendString(b, f.Rule.Advice)
	return append(b, `,"examples":[]}`...)
}
