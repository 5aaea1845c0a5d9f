// Package report is what the user sees: the formats and the summary.
//
// A connection is encoded where it settled, possibly on one of several
// goroutines, and written by one that puts all of them in order. So a Format has
// a side without state, Encode, and a side that is called in order, Add.
package report

import (
	"io"
	"slices"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/rosetta"
	"github.com/tcplife/tcplife/wire"
)

// Schema is the version of the JSON contract.
const Schema = 1

// Connection is what a format sees of one connection. It is valid during the
// call that hands it over.
type Connection struct {
	*reassembly.Conn
	// Capture is the input's name, or the value of --name.
	Capture string
	// UID names the connection in every report; CommunityID is the hash that other
	// tools print (community-id-spec version 1, seed 0).
	UID, CommunityID string
	// Encap is the encapsulation path, outermost first; nil for none.
	Encap []string
	// PreviousUID and NextUID name the neighbouring incarnations of the tuple;
	// empty when there was none.
	PreviousUID, NextUID string
	// Near are the numbers of those two, and how they ended, for a drawing; zero where
	// nobody looked.
	Near [2]Neighbour
	// Provisional: written before the connection settled (--max-hold); a final
	// object with the same uid follows.
	Provisional bool
	Findings    []finding.Finding
	// Peers is what other tools would say; nil when nobody asked them.
	Peers *rosetta.Views
}

// Neighbour is another life of a connection's tuple.
type Neighbour struct {
	// ID is its number in the report.
	ID     uint64
	Reason string
}

// Picker says which connections are reported. One belongs to one goroutine.
type Picker interface {
	// Pick reports whether c is. If that depends on numbers that c has no sooner than
	// all connections are in order, it returns what decides then; c is not valid any
	// more at that time.
	Pick(c *Connection) (yes bool, later func(id, stream uint64) bool)
}

// Late is a group of segments that came after their connection had been written.
type Late struct {
	Capture string
	// UID is that of the connection they belong to.
	UID         string
	Tuple       wire.Tuple // from the client to the server
	Encap       []string
	Start, End  wire.Time
	First, Last wire.FrameID
	// Packets and Bytes by side.
	Packets, Bytes [2]uint64
	// FINs, RSTs and SYNs count the flags in them.
	SYNs, FINs, RSTs uint64
}

// Buffer collects what Encode writes. The connection's numbers are not known yet at
// that time: ID and StreamID mark where they go.
type Buffer struct {
	B []byte
	// few are the first of the places, count of them; more those beyond.
	few   [2]place
	count int
	more  []place
	// Stream is the number of Wireshark's stream, to be set before AppendTo.
	Stream uint64
	// Key is what the connection is put in order by, if it is.
	Key Value
}

// place is where a number goes.
type place struct {
	at     int
	stream bool
}

// ID marks the place of the connection's number.
func (b *Buffer) ID() { b.mark(place{at: len(b.B)}) }

// StreamID marks the place of the number of Wireshark's stream.
func (b *Buffer) StreamID() { b.mark(place{len(b.B), true}) }

func (b *Buffer) mark(p place) {
	if b.count == len(b.few) {
		b.more = append(b.more, p)
		return
	}
	b.few[b.count] = p
	b.count++
}

// clone returns a copy with memory of its own.
func (b *Buffer) clone() Buffer {
	c := *b
	c.B, c.more = slices.Clone(b.B), slices.Clone(b.more)
	return c
}

// Reset empties the buffer and keeps its memory.
func (b *Buffer) Reset() { b.B, b.count, b.more = b.B[:0], 0, b.more[:0] }

// AppendTo appends what was encoded to dst, with the numbers put in.
func (b *Buffer) AppendTo(dst []byte, id uint64) []byte {
	from := 0
	put := func(p place) {
		dst = append(dst, b.B[from:p.at]...)
		n := id
		if p.stream {
			n = b.Stream
		}
		dst = appendUint(dst, n)
		from = p.at
	}
	for _, p := range b.few[:b.count] {
		put(p)
	}
	for _, p := range b.more {
		put(p)
	}
	return append(dst, b.B[from:]...)
}

// Format is one way to print a report.
type Format interface {
	// Begin is called once, before everything else.
	Begin(w io.Writer, o *Options) error
	// Encode appends one connection to b. It is called from several goroutines at
	// once and must not change the format's state.
	Encode(b *Buffer, c *Connection)
	// Add is called once for each connection, in the order of their settling, with
	// its number, its digest and what Encode wrote.
	Add(id uint64, d *Digest, b *Buffer) error
	// Late is called for each late group, in order.
	Late(l *Late) error
	// End is called once, after everything else.
	End(s *Summary) error
}

// Options are the user's wishes that formats heed.
type Options struct {
	// Inputs are the names of what is read, in the order in which frames name them.
	// When there are several, a frame is printed with its input's number.
	Inputs []string
	// Peers are the names of other tools whose view of each connection is wanted; see
	// Peers for what there is.
	Peers []string
	// Columns are those of a table, in order; nil for the usual ones.
	Columns []Column
	// Name is what several inputs are together; empty when nobody said it.
	Name string
	// Further: another report stands before this one in the same output.
	Further bool
	// All: the text report lists every connection; otherwise Limit of them, if it is not
	// 0. Order, if it is not empty, says by what they come in order.
	All   bool
	Limit int
	Order string
	// Dwell and RTT: the text report has the time spent in each state, and the
	// histogram of the handshakes' round trips.
	Dwell, RTT bool
	// Color: ANSI colours may be used.
	Color bool
	// Colors are the reader's own, in place of the usual ones.
	Colors Colors
	// ASCII: the terminal shows nothing beyond it.
	ASCII bool
	// Width is the terminal's width in columns; 0 for unlimited.
	Width int
	// Times says how instants are printed in lists and drawings.
	Times Times
	// Zone is that of the clock in what people read; nil for UTC.
	Zone *time.Location
}

// Times is a way to print instants.
type Times uint8

// The ways. TimesUsual is what suits the place: in a list from the first frame, in a
// drawing from the first frame and from the line before.
const (
	TimesUsual    Times = iota
	TimesRelative       // from the first frame
	TimesAbsolute       // of the clock
	TimesDelta          // from the line before
)

// TimesNames are the names of the ways that a user may ask for.
func TimesNames() []string { return []string{"relative", "absolute", "delta"} }

// ParseTimes returns the way with a name.
func ParseTimes(name string) (Times, bool) {
	i := slices.Index(TimesNames(), name)
	return Times(i + 1), i >= 0
}

// Digest is what the summary needs of one connection.
type Digest struct {
	Outcome   reassembly.Outcome
	Handshake reassembly.HandshakeOutcome
	Reason    reassembly.CloseReason
	Closer    reassembly.Side
	HasCloser bool
	By        string
	Ended     reassembly.Ended
	Seen      reassembly.Seen
	RoleBy    reassembly.RoleBy
	Dropped   uint32
	// Final are both endpoints' last states; HasState says whether the endpoint had
	// a timeline at all.
	Final    [2]reassembly.State
	HasState [2]bool
	Tuple    wire.Tuple
	Encap    []string
	First    wire.FrameID
	Last     wire.FrameID
	Start    wire.Time
	End      wire.Time
	Packets  [2]uint64
	Bytes    [2]uint64
	// Missing are the octets acknowledged though never captured, by their sender;
	// Duplicates the doubled frames of both sides.
	Missing    [2]uint64
	Duplicates uint64
	// Trace is what the connection shows about the capture.
	Trace    finding.Trace
	Findings []finding.Finding
	UID      string
	// Stream is the number of Wireshark's stream, from 0.
	Stream uint64
}

// NewDigest takes from c what the summary needs. Findings are shared, not copied.
func NewDigest(c *Connection) (d Digest) {
	d.Take(c)
	return d
}

// Take is NewDigest where the digest is to be.
func (d *Digest) Take(c *Connection) {
	d.Outcome, d.Handshake, d.Reason, d.Closer, d.HasCloser, d.By = c.Outcome, c.Handshake.Outcome, c.Close.Reason, c.Close.Closer, c.Close.HasCloser, c.Close.By
	d.Ended, d.Seen, d.RoleBy, d.Dropped = c.Ended, c.Seen, c.RoleBy, c.Dropped
	d.Tuple, d.Encap, d.First, d.Last, d.Start, d.End = c.Tuple, c.Encap, c.First, c.Last, c.Start, c.End
	d.Trace.Take(c.Conn)
	d.Findings, d.UID, d.Stream, d.Duplicates = c.Findings, c.UID, 0, d.Trace.Doubled
	for i := range c.Ends {
		e := &c.Ends[i]
		d.Final[i], d.HasState[i] = e.Final(), len(e.Timeline) > 0
		d.Packets[i], d.Bytes[i], d.Missing[i] = e.Packets, e.Bytes, e.MissingBytes
	}
}

// Input is one input and what reading it showed.
type Input struct {
	capture.Info
	// Segments is the number of TCP segments; Further those of them that were not the
	// first of their frame (sFlow, A-MSDU).
	Segments, Further uint64
	// Skipped counts the other frames by reason.
	Skipped [wire.SkipCount]uint64
	// First and Last are the earliest and the latest frame's time; valid when
	// Frames is not 0. Backwards counts frames earlier than the one before.
	First, Last wire.Time
	// BackwardsAt is the first of them, StepBack by how much they are at most.
	Backwards   uint64
	BackwardsAt wire.FrameID
	StepBack    time.Duration
	// Previous is the last frame's time, whatever came before.
	Previous wire.Time
	// Snapped counts frames captured shorter than they were on the wire; SnappedAt is
	// the first of them.
	Snapped   uint64
	SnappedAt wire.FrameID

	// What follows is counted for an inventory only (pipeline.Config.Contents).
	// Octets are those of all frames on the wire, headers included, TCPOctets those
	// of the frames that held a TCP segment.
	Octets, TCPOctets uint64
	// Links counts frames by link type, in the order of their appearance.
	Links []LinkCount
}

// LinkCount counts the frames of one link type.
type LinkCount struct {
	Link   wire.LinkType
	Frames uint64
}

// EncapCount counts the TCP segments of one encapsulation path, outermost layer
// first.
type EncapCount struct {
	Path     []string
	Segments uint64
}
