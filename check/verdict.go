package check

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

// Position is a place in a file of expectations, counted from 1; Line is 0 where there
// is none, and Column where only the line is known.
type Position struct {
	File         string
	Line, Column int
}

// String returns the place as editors and compilers write it.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Verdict is what became of one expectation.
type Verdict struct {
	// What names the expectation in a few words, the same in every run.
	What string
	// At is where it was written.
	At Position
	// Kind is the section of the file that it belongs to, or "baseline".
	Kind   string
	Failed bool
	// Expected and Found are what was written and what the capture has.
	Expected, Found string
	// Evidence shows a failure: some connections, or the frames of what concerns
	// several. More is how many connections there are beside them.
	Evidence []Evidence
	More     uint64
	// Changes stand side by side; of baselines.
	Changes []Change
}

// Evidence is a connection, or something about many, that shows why an expectation
// fails.
type Evidence struct {
	// Connection is its number in the report, 0 where many are concerned.
	Connection uint64
	UID        string
	// Client and Server are its ends; not valid where many are concerned.
	Client, Server netip.AddrPort
	// Scope says what many connections have in common, where they do.
	Scope string
	// Frames show it.
	Frames []wire.FrameID
	// Text says what they show.
	Text string
	// Rule is the finding's ID, if it is one, and Severity how grave it is.
	Rule     string
	Severity finding.Severity
}

// Change is something that was otherwise before.
type Change struct{ What, Old, New string }

// Result is everything that was checked on one capture.
type Result struct {
	// Capture is its name, Inputs those of its files.
	Capture string
	Inputs  []string
	// Start is the time of the first frame, 0 if there is none; Connections how many
	// there are.
	Start       wire.Time
	Connections uint64
	Verdicts    []Verdict
	// Remarks say how far the capture can be trusted.
	Remarks []string
	// Unread says why the capture could not be checked; empty if it was.
	Unread string
}

// Failed returns how many expectations are not met.
func (r *Result) Failed() (n int) {
	for i := range r.Verdicts {
		if r.Verdicts[i].Failed {
			n++
		}
	}
	return n
}

// maxEvidence is how many connections are shown for a failure: enough to go and look.
const maxEvidence = 5

// maxFrames is how many frames are shown of each.
const maxFrames = 8

// samples keeps the first of what may show a failure, and counts the rest.
type samples struct {
	first []Evidence
	count uint64
}

func (s *samples) add(e func() Evidence) {
	if s.count++; len(s.first) < maxEvidence {
		s.first = append(s.first, e())
	}
}

// into puts them into a verdict.
func (s *samples) into(v *Verdict) {
	v.Evidence, v.More = s.first, s.count-uint64(len(s.first))
}

// title names the connection, or nothing where many are concerned.
func (e *Evidence) title() string {
	if e.Connection != 0 {
		return fmt.Sprintf("connection %d, %s", e.Connection, e.place())
	}
	return e.Scope
}

// place is the connection's ends, or what many have in common.
func (e *Evidence) place() string {
	if e.Connection != 0 {
		return fmt.Sprintf("%s > %s", e.Client, e.Server)
	}
	return e.Scope
}

// frames returns the numbers of frames, with their files where there are several.
func frames(list []wire.FrameID, inputs []string) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("frame ")
	if len(list) > 1 {
		b.Reset()
		b.WriteString("frames ")
	}
	for i, f := range list {
		if i == maxFrames {
			fmt.Fprintf(&b, " and %d more", len(list)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if len(inputs) > 1 {
			fmt.Fprintf(&b, "%d:", f.Input()+1)
		}
		fmt.Fprintf(&b, "%d", f.Number())
	}
	return b.String()
}

// line is the evidence in one line of text.
func (e *Evidence) line(inputs []string) string {
	var parts []string
	for _, s := range []string{e.title(), frames(e.Frames, inputs)} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	head := strings.Join(parts, ", ")
	switch {
	case head == "":
		return e.Text
	case e.Text == "":
		return head
	}
	return head + ": " + e.Text
}

// plural returns a number and the word for it.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
