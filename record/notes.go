package record

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Notes collects what is to be said of single frames: which connection begins or ends
// there, which states its endpoints come to, which findings show. It is a report.Format,
// for a run over the connections that are wanted; afterwards For gives the comments.
type Notes struct {
	// Anonymous leaves out whatever may name an address: the findings' sentences, and
	// the uid, which is a hash that can be searched for.
	Anonymous bool
	// Limit bounds the memory that the texts take, in octets; 0 is DefaultNotes.
	Limit int
	// Left counts the connections of which nothing is said for want of room.
	Left uint64

	entries []note
	texts   []byte
	scratch []byte
	sorted  bool
}

// DefaultNotes is enough for some 300,000 connections; nobody reads the comments of more.
const DefaultNotes = 256 << 20

type note struct {
	frame    wire.FrameID
	from, to uint32 // in texts
}

// noteCost is what an entry takes beside its text, in octets.
const noteCost = 16

// Needs says that other tools' views are not asked for.
func (n *Notes) Needs() report.Needs { return report.Needs{Names: true} }

// Begin does nothing: there is no output.
func (n *Notes) Begin(io.Writer, *report.Options) error { return nil }

// Encode appends what is said of one connection: for each note the frame in eight
// octets, and a line of text.
func (n *Notes) Encode(b *report.Buffer, c *report.Connection) {
	for _, x := range notesOf(c, n.Anonymous) {
		b.B = binary.BigEndian.AppendUint64(b.B, uint64(x.frame))
		b.B = append(b.B, "connection "...)
		b.ID()
		b.B = append(b.B, strings.ReplaceAll(x.text, "\n", " ")...)
		b.B = append(b.B, '\n')
	}
}

// Add keeps what Encode said of a connection.
func (n *Notes) Add(id uint64, _ *report.Digest, b *report.Buffer) error {
	limit := cmp.Or(n.Limit, DefaultNotes)
	n.scratch = b.AppendTo(n.scratch[:0], id)
	if len(n.texts)+len(n.entries)*noteCost+len(n.scratch) > limit {
		n.Left++
		return nil
	}
	for rest := n.scratch; len(rest) > 8; {
		frame := wire.FrameID(binary.BigEndian.Uint64(rest))
		end := 8 + bytes.IndexByte(rest[8:], '\n')
		from := len(n.texts)
		n.texts = append(n.texts, rest[8:end]...)
		n.entries = append(n.entries, note{frame, uint32(from), uint32(len(n.texts))})
		rest = rest[end+1:]
	}
	n.sorted = false
	return nil
}

// Late does nothing: what came after a connection's end is in its packets.
func (n *Notes) Late(*report.Late) error { return nil }

// End does nothing.
func (n *Notes) End(*report.Summary) error { return nil }

// For appends the comments on a frame to to.
func (n *Notes) For(frame wire.FrameID, to []string) []string {
	if !n.sorted {
		slices.SortStableFunc(n.entries, func(a, b note) int { return cmp.Compare(a.frame, b.frame) })
		n.sorted = true
	}
	i, _ := slices.BinarySearchFunc(n.entries, frame, func(e note, f wire.FrameID) int { return cmp.Compare(e.frame, f) })
	for ; i < len(n.entries) && n.entries[i].frame == frame; i++ {
		to = append(to, string(n.texts[n.entries[i].from:n.entries[i].to]))
	}
	return to
}

// remark is a text about a frame, without the connection's number before it.
type remark struct {
	frame wire.FrameID
	text  string
}

// notesOf returns what is to be said of a connection, in the order of its frames.
func notesOf(c *report.Connection, anonymous bool) []remark {
	out := []remark{{c.First, begins(c, anonymous)}}
	out = append(out, states(c)...)
	for i := range c.Findings {
		out = append(out, shows(&c.Findings[i], anonymous)...)
	}
	slices.SortStableFunc(out, func(a, b remark) int { return cmp.Compare(a.frame, b.frame) })
	return append(out, remark{c.Last, ends(c)})
}

func begins(c *report.Connection, anonymous bool) string {
	how := "begins"
	if c.Seen&(reassembly.SeenSYN|reassembly.SeenSYNACK) == 0 {
		how = "is under way when the capture begins"
	}
	if anonymous {
		return " " + how
	}
	return fmt.Sprintf(" %s: client %s, server %s, uid %s", how, c.Tuple.Source(), c.Tuple.Destination(), c.UID)
}

// states has one remark for each frame that changes a state.
func states(c *report.Connection) (out []remark) {
	for side := range c.Ends {
		for _, t := range c.Ends[side].Timeline {
			if t.Frame == 0 {
				continue // a timer: see ends
			}
			text := fmt.Sprintf("%s %s (%s", reassembly.Side(side), t.State, t.Evidence)
			if t.Rewritten {
				text += ", earlier than this it had not arrived"
			}
			text += ")"
			if i := slices.IndexFunc(out, func(r remark) bool { return r.frame == t.Frame }); i >= 0 {
				out[i].text += "; " + text
				continue
			}
			out = append(out, remark{t.Frame, ": " + text})
		}
	}
	return out
}

// findingFrames bounds how many frames a finding is noted at: some name hundreds.
const findingFrames = 16

// shows notes a finding in full where it first shows, and by name at its other frames.
func shows(f *finding.Finding, anonymous bool) (out []remark) {
	name := fmt.Sprintf(": %s (%s, %s)", f.Rule.ID, f.Severity, f.Confidence)
	for i, frame := range f.Frames[:min(len(f.Frames), findingFrames)] {
		text := name
		switch {
		case i > 0:
			text = fmt.Sprintf(": %s, shown by this frame too", f.Rule.ID)
		case anonymous:
			text += ": " + f.Rule.Title
		default:
			text += ": " + f.Message
		}
		out = append(out, remark{frame, text})
	}
	return out
}

// ends says how it ended, and what timers did after the last frame.
func ends(c *report.Connection) string {
	text := fmt.Sprintf(": its last frame; close: %s", c.Close.Reason)
	if c.Close.HasCloser {
		text += fmt.Sprintf(", by the %s's %s", c.Close.Closer, strings.ToUpper(c.Close.By))
	}
	for side := range c.Ends {
		e := &c.Ends[side]
		if len(e.Timeline) == 0 {
			continue
		}
		text += fmt.Sprintf("; %s %s", reassembly.Side(side), e.Final())
		if t := e.Timeline[len(e.Timeline)-1]; t.Evidence == reassembly.Timer {
			text += fmt.Sprintf(" by a timer after %s", t.At.Sub(c.End))
		}
	}
	return text
}
