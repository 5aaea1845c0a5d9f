// Package capture is where frames come from: capture files, standard input and
// network interfaces. It reads containers (pcap, pcapng), compressed or not; what is
// inside a frame is the business of package wire.
package capture

import (
	"fmt"
	"io"
	"os"

	"github.com/tcplife/tcplife/wire"
)

// Source yields captured frames in capture order. Files, pipes and interfaces are
// equal behind it.
type Source interface {
	// Next fills f with the next frame. f.Data is valid until the following call
	// of Next. At the end it returns io.EOF, again and again. Damage is returned
	// as *DamageError, once; where the source can go on behind the damage the next
	// call does, otherwise it returns io.EOF.
	Next(f *wire.Frame) error
	// Info describes what has been read so far; complete after io.EOF.
	Info() Info
	// Close releases the source. It may be called twice, and from another
	// goroutine than Next, which then returns an error.
	Close() error
}

// Info describes a source: what it is, and what reading it has shown so far.
type Info struct {
	// Name is what the user called the source: a path, or "-" for standard input.
	Name string
	// Format is "pcap" or "pcapng"; empty before the first octets were read.
	Format string
	// Packing names the compressions around the container, the outermost first:
	// "gzip", "zstd", "lz4", "xz", "bzip2". Usually there is none.
	Packing []string
	// Frames and Bytes count the frames handed out and the octets read, headers
	// and other blocks included; of a compressed input, those that it unpacks to.
	Frames uint64
	Bytes  int64
	// Interfaces lists the capture's interfaces in the order of their appearance;
	// a pcap file has one.
	Interfaces []Interface
	// Passed counts pcapng blocks that were passed over, by type.
	Passed map[uint32]uint64
	// Untimed counts the frames whose record bears no time (pcapng simple packet
	// blocks); they carry the time of the frame before them.
	Untimed uint64
	// Stray counts the frames whose time has not come yet and lies more than a day from
	// that of the frame before and that of the frame after, which agree; they carry the
	// time of the frame before them. StrayAt is the first of them.
	Stray   uint64
	StrayAt wire.FrameID
	// Grew is by how many octets the file was longer at the end of the reading than
	// when it was opened: somebody is still writing it. Valid after io.EOF.
	Grew int64
	// Damage is what was wrong with the input; nil when it was whole. A hostile
	// input is damaged in every record, so only the first 100 places are kept.
	Damage []*DamageError
	// Damaged counts all places of damage, those not kept in Damage included.
	Damaged uint64
}

// Interface is one interface of a capture.
type Interface struct {
	Link wire.LinkType
	// SnapLen is the limit in octets, 0 when unknown or unlimited.
	SnapLen uint32
	// Name and Description are pcapng options; often empty.
	Name, Description string
	// Resolution is how many units of the time stamps make a second.
	Resolution uint64
	// Received and Dropped are counted by the capturing host; valid with Counted.
	Received, Dropped uint64
	Counted           bool
}

// DamageError says that an input is damaged, and where. What came before the
// damage was handed out and is worth a report.
type DamageError struct {
	// Name is the input.
	Name string
	// Frame is the number of the frame that is damaged or missing (from 1: the
	// frames handed out before, plus one).
	Frame uint64
	// Offset is where the damaged record or block begins, in octets from the start
	// of the input; of a compressed one, from the start of what it unpacks to.
	Offset int64
	// Packing names the compressions of the input, in words; empty for none.
	Packing string
	// What describes the damage: "record of 96 octets cut off after 40".
	What string
	// Remedy says what can be done, or is empty.
	Remedy string
	// Err is the cause, such as io.ErrUnexpectedEOF; may be nil.
	Err error
}

// Error returns "a.pcap: frame 812 at byte 90211: ...", for a compressed input
// "a.pcap.gz: frame 812 at byte 90211 unpacked from gzip: ...".
func (e *DamageError) Error() string {
	s := fmt.Sprintf("%s: frame %d at byte %d", e.Name, e.Frame, e.Offset)
	if e.Packing != "" {
		s += " unpacked from " + e.Packing
	}
	s += ": " + e.What
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }

// Open opens a capture file, or standard input for "-". The format, and whether it
// is compressed, is known by content, not by name. An error says what was tried, on what, why it failed and
// what to do; it is never a *DamageError unless the file header itself is damaged:
// an input that is empty or ends inside its header is damaged (frame 1 at byte 0),
// anything else, such as a file that is missing, unreadable or of another format,
// cannot be opened. errors.As tells the two apart.
//
// The frames' identifiers name input 0; a caller that reads several inputs adds
// wire.NewFrameID(input, 0) to each.
func Open(name string) (Source, error) {
	for _, o := range openers {
		if o.match(name) {
			return o.open(name)
		}
	}
	return openFile(name)
}

// NewReader reads a capture from r; name is used in messages. The reader hands out
// each frame as soon as it is complete: it never waits for more input than the
// frame needs, so that a pipe can be followed while it is open; only behind damage
// does it wait for what shows that a record was found. NewReader itself waits for
// the container's header. Its errors are those of Open.
//
// Close does not close r, which belongs to the caller. A Next that waits for r is
// set free all the same; the abandoned Read ends when r yields something.
func NewReader(r io.Reader, name string) (Source, error) {
	if neverWaits(r) {
		in := newInput(r, nil, name)
		if f, ok := r.(*os.File); ok {
			in.file = opened(f)
		}
		return newSource(in)
	}
	p := newPatient(r)
	in := newInput(p, p, name)
	in.waits = true
	return newSource(in)
}

// opener is a kind of source that Open knows by its argument. A new kind is one
// file that registers an opener; a path is what no opener claims.
type opener struct {
	match func(arg string) bool
	open  func(arg string) (Source, error)
}

var openers []opener

// registerOpener is called from package variables, so that a kind of source needs
// no list elsewhere. The claims must not overlap: files initialise in any order.
func registerOpener(o opener) struct{} {
	openers = append(openers, o)
	return struct{}{}
}
