package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/wire"
)

// Script is one parsed file. Every line of the file is an entry of one of the
// lists, so that printing keeps line numbers and comments.
type Script struct {
	// File is the name used in messages.
	File string
	// Prose is the text before the first section.
	Prose []string
	// Packets is the packets section.
	Packets []Line
	// States, Findings, Close and Conns are the expectations. Close and Conns are
	// nil when the section is absent.
	States   []StateLine
	Findings []FindingLine
	Close    []CloseLine
	Conns    []ConnLine
	// HasClose and HasConns say whether the optional sections are there.
	HasClose, HasConns bool

	plan *plan
}

// Title returns the first sentence of the prose in one line.
func (s *Script) Title() string {
	var words []string
	for _, line := range s.Prose {
		if strings.TrimSpace(line) == "" && len(words) > 0 {
			break
		}
		words = append(words, strings.Fields(line)...)
	}
	for i, w := range words {
		if strings.HasSuffix(w, ".") && (i+1 == len(words) || isUpper(words[i+1])) {
			return strings.Join(words[:i+1], " ")
		}
	}
	return strings.Join(words, " ")
}

func isUpper(w string) bool { return w[0] >= 'A' && w[0] <= 'Z' }

// Note is what every line may have: its number in the file and a comment.
type Note struct {
	Number  int
	Comment string
}

// Line is one line of the packets section; at most one of the three is set.
type Line struct {
	Note
	Packet *Packet
	New    *New
	Host   *HostDecl
}

// Endpoint is a host's name and which of its ports is meant, counted from 1.
type Endpoint struct {
	Host string
	Port int
}

// String returns "a" for the first port, "a:2" for the second.
func (e Endpoint) String() string {
	if e.Port == 1 {
		return e.Host
	}
	return e.Host + ":" + strconv.Itoa(e.Port)
}

// New begins a new life of a pair. ISNs count from those of the pair's first life.
type New struct {
	Ends [2]Endpoint
	ISN  [2]int64
}

// HostDecl sets a host's port and TTL; 0 leaves the default.
type HostDecl struct {
	Name      string
	Port, TTL int
}

// Packet is one segment. Numbers are relative to the ISNs of its life.
type Packet struct {
	// Time is in nanoseconds: since the previous line if Delta, otherwise since
	// the start.
	Time     int64
	Delta    bool
	Src, Dst Endpoint
	Flags    wire.Flags
	// Start, End and Len are the sequence range without SYN and FIN.
	Start, End, Len int64
	// Ack is present if HasAck, Win if HasWin, Urg if HasUrg.
	Ack                    int64
	Win, Urg               int64
	HasAck, HasWin, HasUrg bool
	Options                []Option
	Tap                    Tap
	// Quote is set where the line is an ICMP error and no segment.
	Quote *Quote
}

// span is how many sequence numbers the packet takes.
func (p *Packet) span() int64 {
	n := p.Len
	if p.Flags.Has(wire.SYN) {
		n++
	}
	if p.Flags.Has(wire.FIN) {
		n++
	}
	return n
}

// captured reports whether the capture holds the packet.
func (p *Packet) captured() bool { return !p.Tap.Unseen && !p.Tap.LostBefore }

// Tap is what happened to a packet on its way: the words in braces.
type Tap struct {
	Unseen, LostBefore, LostAfter bool
	Dup, Forged, Bogus, Abs       bool
	// Snap is how many octets of the TCP segment, header and payload, the capture
	// holds behind the IP header, 0 all of them; TTL
	// and IPID 0 are the defaults; Life 0 is the present life of the pair.
	Snap, TTL, IPID, Life int64
	// Late is how much later than sent the frame was captured, in nanoseconds.
	Late int64
}

// StateLine expects the timeline of one endpoint.
type StateLine struct {
	Note
	// Conn numbers the connection from 1; Numbered says whether it was written.
	Conn     int
	Numbered bool
	// Host is the endpoint's name; empty for a line that is only a comment.
	Host string
	// Steps is empty for an endpoint without states, written "-".
	Steps []Step
}

// Step is one state of a timeline. An empty Evidence or a Frame of -1 is not
// compared.
type Step struct {
	State    string
	Evidence string
	Frame    int
}

// String returns the step as scripts write it: "FIN_WAIT_2/acked@5".
func (s Step) String() string {
	t := s.State
	if s.Evidence != "" {
		t += "/" + s.Evidence
	}
	if s.Frame >= 0 {
		t += "@" + strconv.Itoa(s.Frame)
	}
	return t
}

// FindingKind says what a line of the findings section demands.
type FindingKind uint8

// The kinds of lines.
const (
	FindingBlank       FindingKind = iota // a comment or an empty line
	FindingNone                           // "none": no finding at all
	FindingNoneWarning                    // "none warning": none of severity warning or error
	FindingNot                            // "no ID": none of this rule, whatever its severity
	FindingWant                           // a finding that must be there
)

// FindingLine is one line of the findings section.
type FindingLine struct {
	Note
	Kind     FindingKind
	Conn     int
	Numbered bool
	ID       string
	// Endpoint is a host's name, "both", or "any" for one that is not compared.
	Endpoint string
	// Frames must be among the finding's. Confidence and Catalogue are compared
	// unless empty.
	Frames     []int
	Confidence string
	Catalogue  string
}

// CloseLine expects one fact about a connection's beginning or end.
type CloseLine struct {
	Note
	Conn     int
	Numbered bool
	// Key is empty for a comment.
	Key   string
	Value []string
}

// ConnLine expects one connection, or a group of late segments.
type ConnLine struct {
	Note
	// Conn is 0 for a comment and for a late group.
	Conn           int
	Late           bool
	Client, Server Endpoint
	First, Last    int
	// RoleBy is compared unless empty.
	RoleBy string
}

// Error says what is wrong with a script, and where.
type Error struct {
	File string
	Line int
	What string
}

// Error returns "file:line: what".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.What) }
