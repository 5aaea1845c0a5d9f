package record

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcplife/tcplife/wire"
)

// This file is where gopacket/gopacket comes in: its pcapgo writes the files.

// Writer writes frames to a capture file. It is not safe for concurrent use.
type Writer interface {
	// Write writes one frame with the comments that belong to it; a format that has no
	// place for comments leaves them out. An error is one of the io.Writer, or says
	// that the format cannot hold the frame.
	Write(f *wire.Frame, comments ...string) error
	// Flush writes what is held back to the io.Writer.
	Flush() error
}

// Interface is what a file says of where frames came from.
type Interface struct {
	Link wire.LinkType
	// Name and Description may be empty.
	Name, Description string
	// SnapLen is in octets, 0 for unlimited.
	SnapLen uint32
	// Received and Dropped are what the capturing host counted, if Counted.
	Received, Dropped uint64
	Counted           bool
}

// Formats returns the names of the formats that can be written, the usual one first.
func Formats() []string { return []string{"pcapng", "pcap"} }

// application is what files say of who wrote them.
const application = "tcplife"

// PcapngOptions are what a file says of itself.
type PcapngOptions struct {
	Comment string
	// Interface returns the description of the interface that a frame came by, and a
	// number that is the same for all frames of it; nil for a description by link type
	// alone.
	Interface func(f *wire.Frame) (int, Interface)
}

// Pcapng writes pcapng (draft-ietf-opsawg-pcapng), with times in nanoseconds.
type Pcapng struct {
	w       io.Writer
	opts    PcapngOptions
	ng      *pcapgo.NgWriter
	numbers map[int]int // of interfaces, in the file
	counted []Interface
	last    wire.Time
	// wrote and missed count the frames of each interface that are in the file, and that
	// Skip was told of.
	wrote, missed []uint64
}

// NewPcapng returns a Writer of pcapng. It writes nothing before the first frame or End.
func NewPcapng(w io.Writer, opts PcapngOptions) *Pcapng {
	return &Pcapng{w: w, opts: opts, numbers: map[int]int{}}
}

// interfaceOf returns the number in the file of the interface that a frame came by.
func (p *Pcapng) interfaceOf(f *wire.Frame) (n int, err error) {
	of, is := int(f.Link), Interface{Link: f.Link}
	if p.opts.Interface != nil {
		of, is = p.opts.Interface(f)
		is.Link = f.Link
	}
	n, ok := p.numbers[of]
	if !ok {
		if n, err = p.describe(is); err != nil {
			return 0, err
		}
		p.numbers[of] = n
	}
	return n, nil
}

// Skip counts frames that are not written, by the interface that f came by: the file says
// that they were dropped.
func (p *Pcapng) Skip(f *wire.Frame, count uint64) error {
	n, err := p.interfaceOf(f)
	if err != nil {
		return err
	}
	p.missed[n] += count
	p.last = max(p.last, f.At)
	return nil
}

// Write writes a frame.
func (p *Pcapng) Write(f *wire.Frame, comments ...string) error {
	n, err := p.interfaceOf(f)
	if err != nil {
		return err
	}
	p.wrote[n]++
	for i := range comments {
		comments[i] = cutText(comments[i], maxComment)
	}
	p.last = max(p.last, f.At)
	return p.ng.WritePacketWithOptions(captured(f, n), f.Data, pcapgo.NgPacketOptions{Comments: comments})
}

// describe adds an interface; the file begins with the first.
func (p *Pcapng) describe(is Interface) (n int, err error) {
	ng := pcapgo.NgInterface{
		Name: cutText(is.Name, maxComment), Description: cutText(is.Description, maxComment),
		LinkType: layers.LinkType(is.Link), SnapLength: is.SnapLen, TimestampResolution: 9,
	}
	if p.ng == nil {
		opts := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: application, Comment: cutText(p.opts.Comment, maxComment)}}
		p.ng, err = pcapgo.NewNgWriterInterface(p.w, ng, opts)
	} else {
		n, err = p.ng.AddInterface(ng)
	}
	p.counted, p.wrote, p.missed = append(p.counted, is), append(p.wrote, 0), append(p.missed, 0)
	return n, err
}

// maxComment bounds one comment, in octets. An option's length has 16 bits, and nobody
// reads more.
const maxComment = 8 << 10

// cutText cuts a text, between letters.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most -= len("..."); most > 0 && s[most]&0xc0 == 0x80; most-- {
	}
	return s[:most] + "..."
}

// captured says of a frame what pcapgo wants to know. No writer can say that more was
// captured than there was.
func captured(f *wire.Frame, n int) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: f.At.Std(), CaptureLength: len(f.Data), Length: max(len(f.Data), int(f.Length)), InterfaceIndex: n}
}

// Flush writes what is held back.
func (p *Pcapng) Flush() error {
	if p.ng == nil {
		return nil
	}
	return p.ng.Flush()
}

// End writes what the interfaces counted. A file without frames has one interface, of
// Ethernet, since readers want one.
func (p *Pcapng) End() error {
	if p.ng == nil {
		if _, err := p.describe(Interface{Link: wire.LinkEthernet}); err != nil {
			return err
		}
	}
	for n, is := range p.counted {
		if p.missed[n] > 0 {
			if !is.Counted {
				is.Received = p.wrote[n] + p.missed[n]
			}
			is.Counted, is.Dropped = true, is.Dropped+p.missed[n]
		}
		if !is.Counted {
			continue
		}
		err := p.ng.WriteInterfaceStats(n, pcapgo.NgInterfaceStatistics{LastUpdate: p.last.Std(), PacketsReceived: is.Received, PacketsDropped: is.Dropped})
		if err != nil {
			return err
		}
	}
	return p.Flush()
}

// Pcap writes classic pcap, with times in nanoseconds. All frames must be of one link
// type, and there are no comments.
type Pcap struct {
	w    *pcapgo.Writer
	to   io.Writer
	link wire.LinkType
	has  bool
}

// ErrLinkTypes says that a pcap file cannot hold frames of several link types.
var ErrLinkTypes = errors.New("a pcap file has one link type, and these frames have several (write pcapng)")

// NewPcap returns a Writer of pcap. It writes nothing before the first frame or End.
func NewPcap(w io.Writer) *Pcap { return &Pcap{to: w} }

// Write writes a frame.
func (p *Pcap) Write(f *wire.Frame, _ ...string) error {
	if err := p.begin(f.Link); err != nil {
		return err
	}
	if f.Link != p.link {
		return ErrLinkTypes
	}
	if s := f.At.Std().Unix(); s < 0 || s > math.MaxUint32 {
		return fmt.Errorf("frame %d is of %s, and pcap has times from 1970 to 2106 (write pcapng)", f.ID.Number(), f.At.Std().Format(time.DateOnly))
	}
	return p.w.WritePacket(captured(f, 0), f.Data)
}

func (p *Pcap) begin(link wire.LinkType) error {
	if p.has {
		return nil
	}
	p.has, p.link = true, link
	p.w = pcapgo.NewWriterNanos(p.to)
	const snapLen = 262144 // libpcap's MAXIMUM_SNAPLEN
	return p.w.WriteFileHeader(snapLen, layers.LinkType(link))
}

// Flush does nothing: frames are written at once.
func (p *Pcap) Flush() error { return nil }

// End writes the header if there was no frame.
func (p *Pcap) End() error { return p.begin(wire.LinkEthernet) }
