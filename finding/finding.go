// Package finding holds the rules that read a tracked connection and say what
// went wrong with it.
package finding

import (
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Severity is what a finding costs the user.
type Severity uint8

// The severities, mildest first.
const (
	Info Severity = iota
	Warning
	Error
)

var severityNames = [...]string{"info", "warning", "error"}

// String returns the word used in reports.
func (s Severity) String() string { return severityNames[s] }

// Confidence is how sure a finding is.
type Confidence uint8

// The degrees, weakest first.
const (
	Possible Confidence = iota
	Likely
	Certain
)

var confidenceNames = [...]string{"possible", "likely", "certain"}

// String returns the word used in reports.
func (c Confidence) String() string { return confidenceNames[c] }

// Endpoint says whom a finding is about.
type Endpoint uint8

// The endpoints; Client and Server have the values of reassembly.Side.
const (
	Client Endpoint = iota
	Server
	Both
)

var endpointNames = [...]string{"client", "server", "both"}

// String returns the word used in reports.
func (e Endpoint) String() string { return endpointNames[e] }

// Finding is one thing that a rule found on one connection.
type Finding struct {
	Rule *Rule
	// Catalogue is the field guide's number of the variant found; one of
	// Rule.Catalogue.
	Catalogue  string
	Severity   Severity
	Confidence Confidence
	Endpoint   Endpoint
	// Frames show it, in capture order; never empty.
	Frames []wire.FrameID
	// Message says in one sentence who did what, when. Falsify says what, if it
	// were seen, would take the finding back. Reason says why the confidence is what
	// it is.
	Message, Falsify, Reason string

	// nth is its place among those of its rule on the connection, and wordless that it has
	// no words yet; see Set.Tell.
	nth      uint16
	wordless bool
}

// Rule is one kind of finding, as a value: what it means, how it is known, what
// to do, and the function that looks for it. docs/findings.md, `tcplife explain`
// and the man page print from it.
type Rule struct {
	// ID is stable: lower case words with hyphens.
	ID string
	// Catalogue are the field guide's numbers that the rule covers.
	Catalogue []string
	Title     string
	// Severity is the highest that the rule gives.
	Severity Severity
	// RFC names the sections that define the behaviour.
	RFC string
	// Meaning, Signature, Alternatives and Advice are paragraphs for people:
	// what it is, what on the wire shows it, what else could look like it, what to
	// do. Settings names the host's knobs with their defaults.
	Meaning, Signature, Alternatives, Advice, Settings string
	// Example is a capture of testdata/pcaps that shows it; see Shown.
	Example string
	// Triggers selects the rule: it runs on connections with any of these bits.
	Triggers reassembly.Seen
	// resets, if it names any, narrows SeenRST among them: that runs the rule only where the
	// RSTs have one of these traits.
	resets resetTraits
	// Check reports what it finds. It is pure: it reads only c, and what it reports hangs on
	// c.Words in nothing but its words.
	Check func(c *Case, report func(Finding))
}

// NoExample stands in Rule.Example where no capture of the repository shows it.
const NoExample = "-"

// Shown returns the capture of the repository that shows the finding, by its name there:
// the one that Example names, or that has the rule's ID; empty if there is none.
func (r *Rule) Shown() string {
	switch r.Example {
	case NoExample:
		return ""
	case "":
		return "testdata/pcaps/" + r.ID + ".pcap"
	}
	return "testdata/pcaps/" + r.Example
}
