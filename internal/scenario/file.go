package scenario

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcplife/tcplife/wire"
)

// This file is the border to gopacket/gopacket, which writes and reads captures.

// File returns the capture as the octets of a file in the variant's format. The
// same script gives the same octets on every machine.
func (c *Capture) File() ([]byte, error) {
	var b bytes.Buffer
	write, finish, err := c.writer(&b)
	if err != nil {
		return nil, err
	}
	for i := range c.Frames {
		f := &c.Frames[i]
		ci := gopacket.CaptureInfo{Timestamp: f.At.Std(), CaptureLength: len(f.Data), Length: int(f.Length)}
		if err := write(ci, f.Data); err != nil {
			return nil, fmt.Errorf("writing frame %d: %w", i+1, err)
		}
	}
	if err := finish(); err != nil {
		return nil, fmt.Errorf("writing a capture: %w", err)
	}
	return b.Bytes(), nil
}

type packetWriter func(gopacket.CaptureInfo, []byte) error

// writer begins a file.
func (c *Capture) writer(b *bytes.Buffer) (write packetWriter, finish func() error, err error) {
	link := layers.LinkType(c.Link)
	if c.format == PcapNG {
		// No host or program name: the octets must not depend on the machine.
		intf := pcapgo.NgInterface{LinkType: link, SnapLength: uint32(c.Snap), TimestampResolution: 9}
		w, err := pcapgo.NewNgWriterInterface(b, intf, pcapgo.NgWriterOptions{})
		if err != nil {
			return nil, nil, fmt.Errorf("beginning a pcapng file: %w", err)
		}
		return w.WritePacket, w.Flush, nil
	}
	w := pcapgo.NewWriterNanos(b)
	if c.format == PcapMicros {
		w = pcapgo.NewWriter(b)
	}
	if err := w.WriteFileHeader(uint32(c.Snap), link); err != nil {
		return nil, nil, fmt.Errorf("beginning a pcap file: %w", err)
	}
	return w.WritePacket, func() error { return nil }, nil
}

// read gives back the frames of a file that File wrote. It is the peer's reader,
// not package capture's, so that a scenario does not fail for two reasons.
func read(file []byte, format Format) ([]wire.Frame, error) {
	var (
		next func() ([]byte, gopacket.CaptureInfo, error)
		link layers.LinkType
	)
	if format == PcapNG {
		r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			return nil, fmt.Errorf("opening a pcapng file: %w", err)
		}
		next, link = r.ReadPacketData, r.LinkType()
	} else {
		r, err := pcapgo.NewReader(bytes.NewReader(file))
		if err != nil {
			return nil, fmt.Errorf("opening a pcap file: %w", err)
		}
		next, link = r.ReadPacketData, r.LinkType()
	}
	var frames []wire.Frame
	for {
		data, ci, err := next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading frame %d: %w", len(frames)+1, err)
		}
		frames = append(frames, wire.Frame{
			ID: wire.NewFrameID(0, uint64(len(frames)+1)), At: wire.Time(ci.Timestamp.Sub(time.Unix(0, 0))),
			Link: wire.LinkType(link), Data: data, Length: uint32(ci.Length),
		})
	}
}
