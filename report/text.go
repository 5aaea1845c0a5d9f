package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register("text", func() Format { return new(text) })

// Bounds of the text report: what fits into the head of somebody in a hurry.
const (
	maxRows         = 20
	maxAlike        = 5 // rows with the same close and findings
	maxExamplesText = 3
	maxFramesText   = 6
	maxUnreadShown  = 10
)

// text is the report for people. The first lines answer (what was read, how far it
// can be trusted, what went wrong), the rest says where to look. Its first lines
// need all connections, so it writes at the end; until then it keeps only the
// connections that it will list.
type text struct {
	w io.Writer
	o Options
	// rows are the connections to list; few are all connections, as long as they
	// are no more than maxRows.
	rows, few []row
	peers     []*peer
	// columns are what stands in a row beside the usual: all of it, if the user said
	// what the columns are, otherwise what the rows are in order of.
	columns []Column
	// live are the lines of a live run that are not written yet.
	live canvas
}

func (f *text) Begin(w io.Writer, o *Options) error {
	f.w, f.o = w, *o
	if f.columns = o.Columns; f.columns == nil {
		f.peers = chosen(o.Peers)
		if name := strings.TrimPrefix(o.Order, "-"); name != "" && !slices.Contains(usualFields, name) {
			f.columns = []Column{{Head: name, field: fieldOrDerived(name)}}
		}
	}
	return nil
}

// Encode writes the columns that were asked for, or what other tools would say, a line
// for each: the rest of a connection's line is made from the digest, if it will be
// listed.
func (f *text) Encode(b *Buffer, c *Connection) {
	for _, p := range f.peers {
		for _, x := range p.cells(p.line, 1, c) {
			b.B = append(b.B, x.text...)
			if x.stream {
				b.StreamID()
			}
		}
		b.B = append(b.B, '\n')
	}
	for i := range f.columns {
		f.columns[i].cell(b, c, &f.o, true)
		b.B = append(b.B, '\n')
	}
}

// usualFields are those that every row shows.
var usualFields = []string{"id", "client", "server", "start", "duration", "outcome", "close.reason", "findings"}

func (f *text) Late(*Late) error { return nil }

func (f *text) End(s *Summary) error {
	p := printer{canvas: f.o.canvas(), s: s, o: &f.o, multi: len(f.o.Inputs) > 1, peers: f.peers, columns: f.columns}
	if f.o.Further {
		p.WriteByte('\n')
	}
	all := p.s.Matters()
	if len(all) == 0 {
		p.read(true)
		p.quality()
	} else {
		// What is the matter comes first; what the capture lacks is told in a word before
		// it, and in full behind the counts.
		p.head()
		p.happened(all)
	}
	if s.Connections == 0 {
		p.nothing()
	} else {
		p.connections()
		if len(all) > 0 {
			p.capture()
		}
		p.findings()
		if f.o.Dwell {
			p.dwell()
		}
		if f.o.RTT {
			p.rtt()
		}
		if f.o.Limit > 0 && f.o.Order == "" && !f.o.All {
			f.cut()
		}
		if !f.o.All && f.o.Order == "" && f.o.Limit == 0 && s.Connections <= maxRows {
			p.table(f.few, false)
		} else {
			p.table(f.rows, f.o.All)
		}
	}
	_, err := io.WriteString(f.w, p.finish())
	return err
}

// printer writes the sections of one text report.
type printer struct {
	canvas
	s     *Summary
	o     *Options
	multi bool
	peers []*peer
	// columns are those of text, of the same name.
	columns []Column
}

func (p *printer) heading(s string) {
	p.WriteByte('\n')
	if p.width > 0 && columns(s) > p.width {
		p.prose("", "  ", s)
		return
	}
	p.linef("%s", p.paint(bold, strings.ReplaceAll(s, hard, " ")))
}

// read says what was read; files lists several files.
func (p *printer) read(files bool) {
	p.input()
	if len(p.s.Inputs) > 1 && files {
		p.files()
	}
	p.trouble()
}

// input says in two lines what was read.
func (p *printer) input() {
	s := p.s
	name := p.inputName()
	first, last, ok := s.Span()
	line := fmt.Sprintf("%s, %s, %s", plural(s.Frames(), "frame", "frames"), plural(s.Segments(), "TCP segment", "TCP segments"),
		plural(s.All(), "connection", "connections"))
	if ok {
		line += " in " + span(last.Sub(first))
	}
	p.prose("", "  ", p.paint(bold, name)+": "+line)
	if ok {
		p.prose("", "  ", p.o.clock(first)+" to "+p.o.clock(last)+" "+p.o.zone(last))
	}
	p.selected()
}

// head says what was read, and in a word how far it can be trusted.
func (p *printer) head() {
	p.input()
	if bad, _ := p.s.Remarks(); len(bad) > 0 {
		p.prose("", "  ", p.paint(yellow, "Capture quality: limited")+" ("+plural(uint64(len(bad)), "remark", "remarks")+", below).")
	} else {
		p.prose("", "  ", p.paint(blue, "Capture quality: good."))
	}
}

// capture says in full what head said in a word, if there is more to say.
func (p *printer) capture() {
	damaged := slices.ContainsFunc(p.s.Inputs, func(in Input) bool { return len(in.Damage) > 0 })
	if bad, notes := p.s.Remarks(); len(bad)+len(notes)+len(p.s.Unread) == 0 && len(p.s.Inputs) < 2 && !damaged && !p.s.Interrupted {
		return
	}
	p.heading("The capture")
	if len(p.s.Inputs) > 1 {
		p.files()
	}
	p.trouble()
	p.quality()
}

// trouble says what could not be read.
func (p *printer) trouble() {
	s := p.s
	for i := range s.Inputs {
		for _, d := range s.Inputs[i].Damage {
			at := number(uint64(max(d.Offset, 0)))
			if d.Packing != "" {
				at += " unpacked from " + d.Packing
			}
			line := fmt.Sprintf("%s at frame %d (octet %s): %s. The report covers what could be read.", d.Name, d.Frame, at, d.What)
			if d.Remedy != "" {
				line += " " + capital(d.Remedy) + "."
			}
			p.prose(p.paint(red, "Damaged:")+" ", "  ", printable(line))
		}
	}
	for i, u := range s.Unread {
		if i == maxUnreadShown {
			p.prose(p.paint(red, "Not read:")+" ", "  ", plural(uint64(len(s.Unread)-i), "more file", "more files")+".")
			break
		}
		p.prose(p.paint(red, "Not read:")+" ", "  ", printable(u.Err.Error())+". What it holds is missing here.")
	}
	if s.Interrupted {
		p.prose("", "  ", p.paint(yellow, "Interrupted:")+" this is what had been read by then.")
	}
}

// skipMeanings say what a skipped frame may cost the reader. Reasons that are not
// here are expected: the frame was simply not TCP.
var skipMeanings = map[wire.Skip]string{
	wire.SkipLinkType:  "their link type is not known, so TCP in them was not seen",
	wire.SkipTruncated: "the capture's snap length cut them inside the headers",
	wire.SkipMalformed: "their headers contradict themselves",
	wire.SkipEncrypted: "they are encrypted (IPsec), so TCP in them cannot be seen",
}

// quality says how far the report can be trusted: one quiet line when there is
// nothing to say, otherwise what is wrong and what that means for the findings.
func (p *printer) quality() {
	if p.s.Frames() == 0 {
		return
	}
	bad, notes := p.s.Remarks()
	tail := ""
	if len(notes) > 0 {
		tail = " " + capital(strings.Join(notes, "; ")) + "."
	}
	if len(bad) == 0 {
		p.prose("", "  ", p.paint(blue, "Capture quality: good.")+tail)
		return
	}
	p.prose("", "  ", p.paint(yellow, "Capture quality: limited.")+tail)
	for _, b := range bad {
		p.prose("  - ", "    ", b+".")
	}
}

// Remarks returns what is wrong with the capture and what that means for the findings,
// and what is only to be known: sentences without their full stop.
func (s *Summary) Remarks() (bad, notes []string) {
	snapped, backwards, damaged, dropped := s.readQuality()
	skipped := s.Skipped()
	note := func(to *[]string, n uint64, one, many, rest string) {
		if n > 0 {
			*to = append(*to, plural(n, one, many)+" "+rest)
		}
	}
	note(&bad, damaged, "file", "files", "could not be read whole, as said above")
	note(&bad, uint64(len(s.Unread)), "file", "files", "could not be opened")
	// named is the ID under which explain tells more, where the finding is given.
	about := s.CaptureFindings()
	named := func(id string) string {
		if slices.ContainsFunc(about, func(f finding.CaptureFinding) bool { return f.Rule.ID == id }) {
			return " (" + id + ")"
		}
		return ""
	}
	note(&bad, dropped, "frame", "frames", "never reached the capture: the capturing host counted them as dropped"+named("capture-loss"))
	if n := s.GapCount; n > 0 && s.LastGap != nil {
		last := ""
		if n > 1 {
			last = ", the last time"
		}
		bad = append(bad, fmt.Sprintf("the source was blind %s%s (%s): what passed meanwhile is in no count", times(n), last, Printable(s.LastGap.Error())))
	}
	if q := s.Quality; q.MissingBytes > 0 {
		bad = append(bad, fmt.Sprintf("%s in %s %s acknowledged but not in the capture: frames are missing, so there, what was not seen may still have been sent%s",
			octets(q.MissingBytes), plural(q.MissingConnections, "connection", "connections"), verb(q.MissingBytes, "was", "were"),
			cmp.Or(named("control-only-capture"), named("capture-loss"))))
	}
	note(&bad, s.Quality.OneSided, "connection shows", "connections show",
		"one direction only: the other one takes a path that was not captured"+named("one-way-capture"))
	for i, n := range skipped {
		if why, serious := skipMeanings[wire.Skip(i)]; serious && n > 0 {
			if wire.Skip(i) == wire.SkipTruncated {
				why += named("cut-frames")
			}
			bad = append(bad, fmt.Sprintf("%s could not be used (%s): %s", plural(n, "frame", "frames"), wire.Skip(i), why))
		}
	}
	if f := s.Fragments; f.Incomplete > 0 {
		rest := fmt.Sprintf("came in fragments and never became whole (%s)", plural(f.IncompleteFrames, "frame", "frames"))
		if f.IncompleteTCP > 0 {
			rest += fmt.Sprintf(": %s began a TCP segment, which no connection shows", number(f.IncompleteTCP))
		}
		if f.Evicted > 0 {
			rest += fmt.Sprintf("; %s had to go early, for want of room", number(f.Evicted))
		}
		note(&bad, f.Incomplete, "IP packet", "IP packets", rest)
	}
	note(&bad, s.Fragments.Overlapping, "IP packet has", "IP packets have",
		"fragments that overlap: a host may have thrown it away, or read it otherwise")
	note(&bad, backwards, "frame has", "frames have", "an earlier time than the one before: intervals around them are not exact"+named("time-disorder"))
	note(&bad, s.Limits.Evicted, "connection", "connections", "had to be reported before the end because a limit on connections or memory was reached")
	note(&bad, s.Limits.Forgotten, "connection", "connections", "that had left had to be forgotten for the same reason: what came late for them counts as other connections")
	if l := s.Limits.Incidents; l.Hit() {
		bad = append(bad, fmt.Sprintf("there were more hosts, listeners and pairs of them than are kept apart: across connections, one of %s clients, %s listeners, %s pairs and %s attempts was counted",
			number(l.Clients), number(max(l.Listeners, l.Targets)), number(l.Pairs), number(l.Attempts)))
	}
	note(&bad, s.Limits.CutLogs, "connection", "connections",
		"had more events than are kept ("+number(s.Limits.DroppedEvents)+" left out): their counts are right, their event lists are not complete")

	if n := skipped[wire.SkipNotIP] + skipped[wire.SkipNotTCP] + skipped[wire.SkipICMP]; n > 0 {
		notes = append(notes, plural(n, "frame is", "frames are")+" not TCP")
	}
	if f := s.Fragments; f.Packets > 0 {
		notes = append(notes, fmt.Sprintf("%s %s put together from %s", plural(f.Packets, "IP packet", "IP packets"),
			verb(f.Packets, "was", "were"), plural(f.Frames, "fragment", "fragments")))
	}
	note(&notes, s.Quality.MidStream, "connection", "connections", "began before the capture"+named("capture-began-later"))
	note(&notes, s.Quality.Duplicates, "frame is", "frames are", "in the capture twice and counted once"+named("doubled-frames"))
	note(&notes, snapped, "frame was", "frames were", "cut by the snap length, which costs payload only"+named("cut-frames"))
	for _, f := range about {
		if f.Rule.ID == "segment-offload" {
			note(&notes, f.Connections, "connection holds", "connections hold", "segments longer than the wire's, before the card cut them or behind its merging them"+named(f.Rule.ID))
		}
	}
	note(&notes, s.LatePackets, "segment", "segments", "came after the connection had been reported")
	return bad, notes
}

// nothing says why there is nothing to say.
func (p *printer) nothing() {
	switch {
	case len(p.s.Inputs) == 0 || p.s.Frames() == 0:
		p.linef("Nothing was read: there is no frame in the input.")
	case p.s.Segments() == 0:
		p.prose("", "  ", "No TCP was found. Is the capture's filter, or its interface, the right one?")
	case p.s.Passed > 0:
		p.linef("None of the connections was asked for.")
	default:
		p.linef("No connection was found.")
	}
}

// connections counts them by outcome, close, closer and final state.
func (p *printer) connections() {
	s := p.s
	var parts, outcomes []string
	for _, x := range []struct {
		o     reassembly.Outcome
		color string
		what  string
	}{
		{reassembly.OutcomeSuccess, blue, "ended well"},
		{reassembly.OutcomeFailure, red, "failed"},
		{reassembly.OutcomeUnknown, "", "still open or not seen to the end"},
	} {
		if n := s.Outcomes[x.o]; n > 0 {
			parts = append(parts, p.paint(x.color, number(n)+" "+x.what))
			outcomes = append(outcomes, x.o.String())
		}
	}
	p.heading(plural(s.Connections, "connection", "connections") + ": " + list(parts) + p.by("outcome: "+strings.Join(outcomes, ", ")))

	p.found()
	p.counts("opened", "handshake.outcome", len(s.Handshakes), func(i int) (string, uint64) {
		return reassembly.HandshakeOutcome(i).String(), s.Handshakes[i]
	})
	p.counts("ended", "close.reason", len(s.Reasons), func(i int) (string, uint64) {
		return reassembly.CloseReason(i).String(), s.Reasons[i]
	})
	closers := make([]string, 0, 3)
	for i := range s.Closers.FIN {
		fin, rst := s.Closers.FIN[i], s.Closers.RST[i]
		if fin+rst == 0 {
			continue
		}
		var by []string
		if fin > 0 {
			by = append(by, number(fin)+" by FIN")
		}
		if rst > 0 {
			by = append(by, number(rst)+" by RST")
		}
		closers = append(closers, fmt.Sprintf("%s %s (%s)", reassembly.Side(i), number(fin+rst), strings.Join(by, ", ")))
	}
	if s.Closers.None > 0 {
		closers = append(closers, "nobody "+number(s.Closers.None))
	}
	p.field("closed first", strings.Join(closers, ", ")+p.by("close.closer, close.by"))
	for i := range s.Census {
		p.counts(reassembly.Side(i).String()+" at end", "final."+reassembly.Side(i).String(), len(s.Census[i]), func(k int) (string, uint64) {
			return reassembly.State(k).String(), s.Census[i][k]
		})
	}
	p.census()
	p.follow()
}

// by names the fields that a line of numbers counts, so that every number can be
// followed to its connections.
func (p *printer) by(fields string) string {
	if fields == "" {
		return ""
	}
	return " " + p.paint(dim, "["+strings.ReplaceAll(fields, " ", hard)+"]")
}

// follow says what to do with the fields, by the number that one is most likely to
// follow.
func (p *printer) follow() {
	s := p.s
	field, word := "outcome", ""
	for _, o := range []reassembly.Outcome{reassembly.OutcomeFailure, reassembly.OutcomeUnknown, reassembly.OutcomeSuccess} {
		if s.Outcomes[o] > 0 {
			word = o.String()
			break
		}
	}
	most := uint64(0)
	for i, n := range s.Reasons {
		if r := reassembly.CloseReason(i); n > most && r != reassembly.CloseOrderly && r != reassembly.CloseUnknown && r != reassembly.CloseOpenAtEnd {
			field, word, most = "close.reason", r.String(), n
		}
	}
	filter := fmt.Sprintf("'%s == \"%s\"'", field, word)
	p.prose("  ", "  ", "The connections of a number: "+strings.ReplaceAll("--filter "+filter, " ", hard)+", with the field in brackets behind it; those of a finding: "+
		"--finding"+hard+"ID.")
}

// found names the findings, gravest first, so that the report's first lines say
// what went wrong.
func (p *printer) found() {
	const most = 6
	all := p.s.Findings()
	var words []string
	for i, f := range all {
		if i == most {
			words = append(words, plural(uint64(len(all)-i), "more kind", "more kinds"))
			break
		}
		words = append(words, p.paint(severityColors[f.Worst], f.Rule.ID)+hard+number(f.Connections)+hard+"("+f.Worst.String()+")")
	}
	if len(words) == 0 {
		words = []string{"nothing"}
	}
	p.field("found", strings.Join(words, ", ")+p.by("findings"))
}

func (p *printer) field(name, value string) {
	const column = 17
	p.prose("  "+left(name, column-2), blanks(column), value)
}

// counts writes the names whose count is not 0, the highest first, as
// `netstat | awk` has taught everybody to read it.
func (p *printer) counts(label, field string, n int, at func(int) (string, uint64)) {
	type pair struct {
		name string
		n    uint64
	}
	var all []pair
	for i := range n {
		if name, v := at(i); v > 0 {
			k := len(all)
			all = append(all, pair{})
			for ; k > 0 && all[k-1].n < v; k-- {
				all[k] = all[k-1]
			}
			all[k] = pair{name, v}
		}
	}
	words := make([]string, len(all))
	for i, x := range all {
		words[i] = x.name + hard + number(x.n)
	}
	if len(words) > 0 {
		p.field(label, strings.Join(words, ", ")+p.by(field))
	}
}

// census says in words what the states mean that people look for.
func (p *printer) census() {
	both := func(st reassembly.State) uint64 { return p.s.Census[0][st] + p.s.Census[1][st] }
	for _, x := range []struct {
		state     reassembly.State
		one, many string
		rest      string
	}{
		{reassembly.SynSent, "endpoint was", "endpoints were", "in SYN_SENT: the SYN had not been answered"},
		{reassembly.SynReceived, "endpoint was", "endpoints were", "in SYN_RECEIVED: the handshake was not complete"},
		{reassembly.CloseWait, "endpoint was", "endpoints were", "in CLOSE_WAIT: the peer had closed, its own application had not"},
		{reassembly.FinWait2, "endpoint was", "endpoints were", "in FIN_WAIT_2: it had closed and was waiting for the peer to do the same"},
		{reassembly.FinWait1, "endpoint was", "endpoints were", "in FIN_WAIT_1: its FIN had not been acknowledged"},
		{reassembly.LastAck, "endpoint was", "endpoints were", "in LAST_ACK: its FIN, the second one, had not been acknowledged"},
		{reassembly.Closing, "endpoint was", "endpoints were", "in CLOSING: both had closed at once and its FIN had not been acknowledged"},
	} {
		if n := both(x.state); n > 0 {
			p.prose("  ", "  ", "When last seen, "+plural(n, x.one, x.many)+" "+x.rest+".")
		}
	}
}

var severityColors = [...]string{finding.Info: cyan, finding.Warning: yellow, finding.Error: red}

// findings lists them by rule, gravest first, each with the connections to look at
// and what to do.
func (p *printer) findings() {
	all := p.s.Findings()
	if len(all) == 0 && len(p.s.Incidents) == 0 {
		return
	}
	p.heading("Findings")
	p.incidents()
	for _, f := range all {
		count := plural(f.Connections, "connection", "connections")
		if f.Count != f.Connections {
			count = number(f.Count) + " times on " + count
		}
		folded, in := p.s.folded(f)
		if folded == f.Count {
			// The incident says what to do.
			p.prose("  "+p.paint(severityColors[f.Worst], left(f.Worst.String(), 7))+"  "+p.paint(bold, f.Rule.ID)+"  ",
				blanks(11), fmt.Sprintf("%s: %s (belongs to %s)", count, f.Rule.Title, p.s.Incidents[in-1].Rule.ID))
			continue
		}
		if folded > 0 {
			count += fmt.Sprintf(" (%s belong to incidents)", number(folded))
		}
		p.prose("  "+p.paint(severityColors[f.Worst], left(f.Worst.String(), 7))+"  "+p.paint(bold, f.Rule.ID)+"  ",
			blanks(11), count+": "+f.Rule.Title)
		for i := range f.Examples {
			if i == maxExamplesText {
				break
			}
			e := &f.Examples[i]
			p.item(blanks(11), blanks(13), fmt.Sprintf("%s  %s > %s  %s (%s)", p.paint(cyan, "#"+number(e.ID)), e.Tuple.Source(), e.Tuple.Destination(),
				frameList(e.Frames, p.multi, maxFramesText), e.Confidence))
			p.prose(blanks(13), blanks(13), printable(e.Message))
		}
		if more := f.Count - min(f.Count, uint64(min(len(f.Examples), maxExamplesText))); more > 0 {
			p.item(blanks(11), blanks(13), "... and "+number(more)+" more: --finding "+f.Rule.ID)
		}
		if f.Rule.Advice != "" {
			p.prose(blanks(11)+"What to do: ", blanks(13), opening(f.Rule.Advice)+" More: tcplife explain "+f.Rule.ID)
		}
	}
}

// adviceLength is the most of a rule's advice that the report prints: what fits on
// three or four lines. The rest is a command away.
const adviceLength = 320

// opening returns the first sentences of a text, at least one.
func opening(text string) string {
	end := 0
	for i := 0; i < len(text); {
		j := strings.IndexAny(text[i:], ".;")
		if j < 0 {
			return text
		}
		i += j + 1
		if i < len(text) && text[i] != ' ' && text[i] != '\n' {
			continue // inside a number or a name
		}
		if text[i-1] == ';' && end > 0 {
			continue
		}
		if end > 0 && i > adviceLength {
			break
		}
		end = i
	}
	return strings.TrimSuffix(text[:end], ";")
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func verb(n uint64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
