package report

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// How many values the closed lists have, for the summary's counters. A test
// compares them with the lists themselves.
const (
	outcomeCount    = int(reassembly.OutcomeFailure) + 1
	handshakeCount  = int(reassembly.HandshakeAbandoned) + 1
	closeCount      = int(reassembly.CloseOpenAtEnd) + 1
	severityCount   = int(finding.Error) + 1
	confidenceCount = int(finding.Certain) + 1
)

// Bounds of what the summary keeps of each kind of finding: enough to go and look,
// and nothing that grows with the capture.
const (
	MaxExamples      = 5
	maxExampleFrames = 16
)

// Summary is what a report says about all connections together. One goroutine
// feeds it, in the order in which connections settle; what it keeps is bounded by
// the number of rules and inputs.
type Summary struct {
	// Inputs are the inputs, in the order in which frames name them. Set them when
	// they are complete, before Format.End.
	Inputs []Input
	// Unread are the inputs that could not be opened: what they hold is missing.
	Unread []capture.Unread
	// Encaps are the encapsulation paths, those with the most segments first; for an
	// inventory only.
	Encaps []EncapCount
	// Interrupted: reading was stopped by the user; the report covers what had been
	// read by then.
	Interrupted bool
	// GapCount is how often a live source was blind, or lost frames, and LastGap the last
	// of these times; nil if there was none.
	GapCount uint64
	LastGap  *capture.Gap
	// Fragments says what became of IP fragments, over all inputs. Set it with
	// them.
	Fragments wire.Fragments

	// Selection says in words which connections were asked for; nil for all. Passed
	// counts the others: they are part of Quality, Limits and of what is found about the
	// capture, and of nothing else.
	Selection []string
	Passed    uint64

	// Connections counts connections; Packets and Bytes their frames and TCP
	// payload in octets, by side.
	Connections    uint64
	Packets, Bytes [2]uint64
	// Outcomes, Handshakes and Reasons count connections, indexed by
	// reassembly.Outcome, HandshakeOutcome and CloseReason.
	Outcomes   [outcomeCount]uint64
	Handshakes [handshakeCount]uint64
	Reasons    [closeCount]uint64
	// Closers counts connections by who began to close and how.
	Closers Closers
	// Census counts endpoints by side and last state. An endpoint without a
	// timeline is not counted.
	Census [2][reassembly.StateCount]uint64
	// Durations says how long endpoints stayed in each state, and handshakes took.
	// Add leaves it alone: the one who tracks the connections feeds it, since a
	// digest does not hold their states.
	Durations census.Durations
	// Incidents are what many connections show together, the gravest first. Set them
	// with Inputs; Add leaves them alone, for the same reason as Durations.
	Incidents []incident.Incident
	// Quality says what the connections show about the capture.
	Quality Quality
	// LateGroups, LatePackets and LateBytes count what came after its connection
	// had been written.
	LateGroups, LatePackets, LateBytes uint64
	// Limits says which bounds were hit.
	Limits Limits

	findings map[*finding.Rule]*FindingCount
	// shown is what connections show about the capture.
	shown finding.Capture
}

// Closers counts connections by the side that began to close.
type Closers struct {
	// FIN and RST are indexed by side.
	FIN, RST [2]uint64
	// None counts connections that nobody closed, or for which it cannot be told.
	None uint64
}

// Quality is what the connections show about the capture; what reading showed
// stands in each Input.
type Quality struct {
	// Duplicates counts frames that the capture holds twice.
	Duplicates uint64
	// MissingBytes counts octets that were acknowledged though the capture never
	// held them, MissingConnections the connections concerned.
	MissingBytes, MissingConnections uint64
	// MidStream counts connections whose opening was not captured.
	MidStream uint64
	// OneSided counts connections of which only one direction was captured though
	// the other must have been there.
	OneSided uint64
}

// Limits says which of the analyser's own bounds were hit.
type Limits struct {
	// Evicted counts connections that had to leave early, Forgotten those that had left
	// and were remembered for less long than what still comes for them may take.
	Evicted, Forgotten uint64
	// DroppedEvents counts events that a connection's log had no room for,
	// CutLogs the connections concerned.
	DroppedEvents, CutLogs uint64
	// Incidents are the bounds of what is looked at across connections; set them with
	// Summary.Incidents.
	Incidents incident.Limits
}

// FindingCount sums up all findings of one rule.
type FindingCount struct {
	Rule *finding.Rule
	// Worst is the highest severity among them.
	Worst finding.Severity
	// Count counts findings, Connections the connections that have at least one.
	Count, Connections uint64
	BySeverity         [severityCount]uint64
	ByConfidence       [confidenceCount]uint64
	// Examples are the gravest and surest, the earlier connection first among
	// equals.
	Examples []Example
}

// Example is one finding of many, with what it takes to go and look at it.
type Example struct {
	ID         uint64
	UID        string
	Tuple      wire.Tuple
	Severity   finding.Severity
	Confidence finding.Confidence
	Endpoint   finding.Endpoint
	// Frames are the first of the frames that show it.
	Frames  []wire.FrameID
	Message string
}

// Add counts one connection, and keeps its findings as examples if they are better
// ones. The goroutine that has all connections in order calls it, or Show alone where
// others count.
func (s *Summary) Add(id uint64, d *Digest) {
	s.Count(d)
	s.Show(id, d)
}

// Count is the part of Add that can be done in any order, and in parts that Merge
// joins.
func (s *Summary) Count(d *Digest) {
	s.connection(d.Outcome, d.Handshake, d.Reason)
	s.closer(d.Closer, d.HasCloser, d.By)
	for i := range d.Final {
		s.end(i, d.Packets[i], d.Bytes[i], d.Final[i], d.HasState[i])
	}
	s.whole(d)
	for i := range d.Findings {
		f := &d.Findings[i]
		n := s.counts(f.Rule)
		n.Count++
		n.BySeverity[f.Severity]++
		n.ByConfidence[f.Confidence]++
		n.Worst = max(n.Worst, f.Severity)
		if !slices.ContainsFunc(d.Findings[:i], func(g finding.Finding) bool { return g.Rule == f.Rule }) {
			n.Connections++
		}
	}
}

// CountPlain is Count for a connection without findings that shows nothing about its capture
// and met none of our bounds, as most are: it needs no digest. It reports whether c is one.
func (s *Summary) CountPlain(c *Connection) bool {
	if len(c.Findings) > 0 || c.Ended == reassembly.EndedEvicted || c.Dropped > 0 || !finding.Unremarkable(c.Conn) {
		return false
	}
	s.connection(c.Outcome, c.Handshake.Outcome, c.Close.Reason)
	s.closer(c.Close.Closer, c.Close.HasCloser, c.Close.By)
	for i := range c.Ends {
		e := &c.Ends[i]
		s.end(i, e.Packets, e.Bytes, e.Final(), len(e.Timeline) > 0)
		s.shown.Data += e.Bytes
	}
	s.shown.Connections++
	return true
}

func (s *Summary) connection(o reassembly.Outcome, h reassembly.HandshakeOutcome, r reassembly.CloseReason) {
	s.Connections++
	s.Outcomes[o]++
	s.Handshakes[h]++
	s.Reasons[r]++
}

func (s *Summary) closer(side reassembly.Side, known bool, by string) {
	switch {
	case !known:
		s.Closers.None++
	case by == "rst":
		s.Closers.RST[side]++
	default:
		s.Closers.FIN[side]++
	}
}

func (s *Summary) end(side int, packets, bytes uint64, final reassembly.State, known bool) {
	s.Packets[side] += packets
	s.Bytes[side] += bytes
	if known {
		s.Census[side][final]++
	}
}

// Pass counts a connection that was not asked for, in any order, too.
func (s *Summary) Pass(d *Digest) {
	s.Passed++
	s.whole(d)
}

// whole counts what is said of the capture as a whole, whatever was asked for.
func (s *Summary) whole(d *Digest) {
	missing := d.Missing[0] + d.Missing[1]
	s.Quality.Duplicates += d.Duplicates
	if missing > 0 {
		s.Quality.MissingBytes += missing
		s.Quality.MissingConnections++
	}
	if d.Handshake == reassembly.HandshakeUnseen {
		s.Quality.MidStream++
	}
	if d.Trace.OneWay {
		s.Quality.OneSided++
	}
	s.shown.Add(&d.Trace)
	if d.Ended == reassembly.EndedEvicted {
		s.Limits.Evicted++
	}
	if d.Dropped > 0 {
		s.Limits.DroppedEvents += uint64(d.Dropped)
		s.Limits.CutLogs++
	}
}

// counts returns what is counted of a rule's findings.
func (s *Summary) counts(r *finding.Rule) *FindingCount {
	n := s.findings[r]
	if n == nil {
		if s.findings == nil {
			s.findings = make(map[*finding.Rule]*FindingCount)
		}
		n = &FindingCount{Rule: r}
		s.findings[r] = n
	}
	return n
}

// Show keeps a connection's findings as examples where they are better ones than those
// before.
func (s *Summary) Show(id uint64, d *Digest) {
	for i := range d.Findings {
		s.example(id, d, &d.Findings[i])
	}
}

func (s *Summary) example(id uint64, d *Digest, f *finding.Finding) {
	n := s.counts(f.Rule)
	at := len(n.Examples)
	for at > 0 && graver(f, &n.Examples[at-1]) {
		at--
	}
	if at == MaxExamples {
		return
	}
	if len(n.Examples) == MaxExamples {
		n.Examples = n.Examples[:MaxExamples-1]
	}
	n.Examples = slices.Insert(n.Examples, at, Example{ID: id, UID: d.UID, Tuple: d.Tuple,
		Severity: f.Severity, Confidence: f.Confidence, Endpoint: f.Endpoint,
		Frames: slices.Clone(f.Frames[:min(len(f.Frames), maxExampleFrames)]), Message: f.Message})
}

func graver(f *finding.Finding, e *Example) bool {
	if f.Severity != e.Severity {
		return f.Severity > e.Severity
	}
	return f.Confidence > e.Confidence
}

// folded returns how many findings of a rule on single connections belong to
// incidents, and the number of the first of these, from 1. Of a selection nobody knows
// which do: incidents count all connections.
func (s *Summary) folded(f *FindingCount) (n uint64, number int) {
	if len(s.Selection) > 0 {
		return 0, 0
	}
	for i := range s.Incidents {
		for _, x := range s.Incidents[i].Folds {
			if x.ID == f.Rule.ID {
				if n += x.Count; number == 0 {
					number = i + 1
				}
			}
		}
	}
	// One finding may stand in the scopes of several incidents.
	return min(n, f.Count), number
}

// Merge adds what another summary has counted of connections. Its examples, and what
// is said of inputs, are left out.
func (s *Summary) Merge(o *Summary) {
	s.Connections += o.Connections
	s.Passed += o.Passed
	add(s.Packets[:], o.Packets[:])
	add(s.Bytes[:], o.Bytes[:])
	add(s.Outcomes[:], o.Outcomes[:])
	add(s.Handshakes[:], o.Handshakes[:])
	add(s.Reasons[:], o.Reasons[:])
	add(s.Closers.FIN[:], o.Closers.FIN[:])
	add(s.Closers.RST[:], o.Closers.RST[:])
	s.Closers.None += o.Closers.None
	for i := range s.Census {
		add(s.Census[i][:], o.Census[i][:])
	}
	s.Durations.Merge(&o.Durations)
	q := &s.Quality
	q.Duplicates, q.OneSided, q.MidStream = q.Duplicates+o.Quality.Duplicates, q.OneSided+o.Quality.OneSided, q.MidStream+o.Quality.MidStream
	q.MissingBytes, q.MissingConnections = q.MissingBytes+o.Quality.MissingBytes, q.MissingConnections+o.Quality.MissingConnections
	s.LateGroups, s.LatePackets, s.LateBytes = s.LateGroups+o.LateGroups, s.LatePackets+o.LatePackets, s.LateBytes+o.LateBytes
	l := &s.Limits
	l.Evicted, l.DroppedEvents, l.CutLogs = l.Evicted+o.Limits.Evicted, l.DroppedEvents+o.Limits.DroppedEvents, l.CutLogs+o.Limits.CutLogs
	for r, f := range o.findings {
		n := s.counts(r)
		n.Count, n.Connections, n.Worst = n.Count+f.Count, n.Connections+f.Connections, max(n.Worst, f.Worst)
		add(n.BySeverity[:], f.BySeverity[:])
		add(n.ByConfidence[:], f.ByConfidence[:])
	}
	s.shown.Merge(&o.shown)
}

// Clone returns a copy that what is counted later does not change.
func (s *Summary) Clone() *Summary {
	c := &Summary{Inputs: slices.Clone(s.Inputs), Unread: s.Unread, Encaps: s.Encaps, Interrupted: s.Interrupted, Fragments: s.Fragments,
		Selection: s.Selection, Incidents: s.Incidents, GapCount: s.GapCount, LastGap: s.LastGap}
	c.Merge(s)
	c.Limits.Incidents = s.Limits.Incidents
	for r, f := range s.findings {
		c.counts(r).Examples = slices.Clone(f.Examples)
	}
	return c
}

func add(to, from []uint64) {
	for i, n := range from {
		to[i] += n
	}
}

// AddLate counts one late group.
func (s *Summary) AddLate(l *Late) {
	s.LateGroups++
	s.LatePackets += l.Packets[0] + l.Packets[1]
	s.LateBytes += l.Bytes[0] + l.Bytes[1]
}

// Findings returns the counts by rule: gravest first, then by the number of
// connections, then by id.
func (s *Summary) Findings() []*FindingCount {
	out := make([]*FindingCount, 0, len(s.findings))
	for _, f := range s.findings {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *FindingCount) int {
		return cmp.Or(cmp.Compare(b.Worst, a.Worst), cmp.Compare(b.Connections, a.Connections), cmp.Compare(a.Rule.ID, b.Rule.ID))
	})
	return out
}

// CaptureFindings returns what is to be said about the capture as a whole: the
// gravest first, then by ID. They need Inputs.
func (s *Summary) CaptureFindings() []finding.CaptureFinding {
	c := s.shown
	c.Frames, c.Segments = s.Frames(), s.Segments()
	c.Snapped, c.Backwards, _, c.Dropped = s.readQuality()
	// Where nothing was cut, a frame that ends early was sent so, or is damaged.
	c.CutHeaders = min(s.Skipped()[wire.SkipTruncated], c.Snapped)
	// The first alone is shown, so that a capture cut into files says the same as whole.
	for i := range s.Inputs {
		in := &s.Inputs[i]
		if in.Snapped > 0 && c.SnappedAt == 0 {
			c.SnappedAt = in.SnappedAt
		}
		if in.Backwards > 0 && c.BackwardsAt == 0 {
			c.BackwardsAt = in.BackwardsAt
		}
		c.StepBack = max(c.StepBack, in.StepBack)
		if c.Stray += in.Stray; in.Stray > 0 && c.StrayAt == 0 {
			c.StrayAt = wire.NewFrameID(i, in.StrayAt.Number())
		}
	}
	return c.Check()
}

// All returns how many connections the capture has, those that were not asked for
// included.
func (s *Summary) All() uint64 { return s.Connections + s.Passed }

// Frames returns how many frames were read.
func (s *Summary) Frames() (n uint64) {
	for i := range s.Inputs {
		n += s.Inputs[i].Frames
	}
	return n
}

// Segments returns how many TCP segments they held.
func (s *Summary) Segments() (n uint64) {
	for i := range s.Inputs {
		n += s.Inputs[i].Segments
	}
	return n
}

// TCPFrames returns how many of them held a TCP segment.
func (s *Summary) TCPFrames() (n uint64) {
	for i := range s.Inputs {
		n += s.Inputs[i].Segments - s.Inputs[i].Further
	}
	return n
}

// Span returns the earliest and the latest frame's time; ok is false when there
// was no frame.
func (s *Summary) Span() (first, last wire.Time, ok bool) {
	for i := range s.Inputs {
		in := &s.Inputs[i]
		if in.Frames == 0 {
			continue
		}
		if !ok {
			first, last, ok = in.First, in.Last, true
		}
		first, last = min(first, in.First), max(last, in.Last)
	}
	return first, last, ok
}

// Skipped counts, by reason, the frames that held no TCP segment.
func (s *Summary) Skipped() (n [wire.SkipCount]uint64) {
	for i := range s.Inputs {
		for k, v := range s.Inputs[i].Skipped {
			n[k] += v
		}
	}
	return n
}

// readQuality counts frames captured shorter than they were, those with an
// earlier time than the one before, inputs that are damaged, and
// frames that capturing hosts say they lost.
func (s *Summary) readQuality() (snapped, backwards, damaged, dropped uint64) {
	for i := range s.Inputs {
		in := &s.Inputs[i]
		snapped += in.Snapped
		backwards += in.Backwards
		if len(in.Damage) > 0 {
			damaged++
		}
		for _, f := range in.Interfaces {
			if f.Counted {
				dropped += f.Dropped
			}
		}
	}
	return snapped, backwards, damaged, dropped
}
