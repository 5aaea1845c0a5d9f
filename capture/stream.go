package capture

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Bounds on what a hostile input can make a source hold.
const (
	// maxFrame is the longest frame believed in, libpcap's MAXIMUM_SNAPLEN and
	// Wireshark's WTAP_MAX_PACKET_SIZE_STANDARD: no program of theirs writes a
	// longer one or reads it, so a longer claim is a damaged length. It is four
	// times the largest IP packet.
	maxFrame = 256 << 10
	// maxHugeFrame is the same for the two link types whose frames are messages of
	// any size. They carry no TCP, but stand beside Ethernet in one pcapng file.
	maxHugeFrame = 128 << 20

	maxInterfaces   = 4096
	maxInterfaceTag = 1024 // octets of an interface's name or description
	maxPassedTypes  = 256
	maxDamage       = 100
)

const (
	linkDBus    wire.LinkType = 231
	linkUSBPcap wire.LinkType = 249
)

// frameBound returns the longest frame believed in for a link type, in octets.
func frameBound(link wire.LinkType) uint32 {
	if link == linkDBus || link == linkUSBPcap {
		return maxHugeFrame
	}
	return maxFrame
}

// stream is what the sources that read a container share: the input, what is
// known about it, and how it ends.
type stream struct {
	in   *input
	info Info
	// over is set when nothing more can be read.
	over bool
}

func newStream(in *input, format string) stream {
	return stream{in: in, info: Info{Name: in.name, Format: format, Packing: in.packing}}
}

// Info copies what may still change, so that the caller may keep it. Like Next it
// belongs to the goroutine that reads; only Close may come from another.
func (s *stream) Info() Info {
	i := s.info
	i.Bytes = s.in.offset()
	i.Interfaces = slices.Clone(i.Interfaces)
	i.Passed = maps.Clone(i.Passed)
	i.Damage = slices.Clone(i.Damage)
	return i
}

func (s *stream) Close() error { return s.in.Close() }

// limitBuffer says what the buffer may grow to, in octets, unless a frame needs
// more: for a source that is one of very many.
func (s *stream) limitBuffer(octets int) { s.in.limit = octets }

// ended returns the error of a Next that must not read: after Close, or behind
// the end.
func (s *stream) ended() error {
	if s.in.closed.Load() {
		return fmt.Errorf("read %s: %w", s.in.name, os.ErrClosed)
	}
	if s.over {
		return io.EOF
	}
	return nil
}

// damage records and returns a place of damage: the record or block at offset at.
func (s *stream) damage(at int64, what, remedy string, cause error) error {
	e := &DamageError{
		Name: s.in.name, Frame: s.info.Frames + 1, Offset: at, Packing: packedIn(s.in.packing),
		What: what, Remedy: remedy, Err: cause,
	}
	s.info.Damaged++
	if len(s.info.Damage) < maxDamage {
		s.info.Damage = append(s.info.Damage, e)
	}
	return e
}

// yetToCome reports whether a time has not come yet. Where only one frame has such a time,
// it was damaged; one that has passed may be its own, in a file put together from many.
func yetToCome(at wire.Time) bool {
	return at > wire.Time(time.Now().Add(neighbourhood*time.Second).UnixNano())
}

// countStray notes a frame whose time is none.
func (s *stream) countStray(id wire.FrameID) {
	if s.info.Stray++; s.info.Stray == 1 {
		s.info.StrayAt = id
	}
}

// fatal is damage that nothing can be read behind.
func (s *stream) fatal(at int64, what, remedy string) error {
	s.over = true
	return s.damage(at, what, remedy, nil)
}

const copyAgain = "if the original is longer, copy it again"

// short is called when the input yields fewer octets than the unit (a "record", a
// "block") at offset at has, want. It says why, and ends the source; between two
// units that is the regular end.
func (s *stream) short(at int64, unit string, want int64) error {
	if err := s.ended(); err != nil {
		return err
	}
	s.over = true
	have := s.in.end() - at
	s.in.r = s.in.w
	remedy := copyAgain
	before, now := s.in.file.sizes()
	if s.info.Grew = max(now-before, 0); s.info.Grew > 0 {
		remedy = fmt.Sprintf("somebody is writing the file, which grew from %d to %d octets meanwhile: read it when it is complete, or follow it with tail -c +1 -f FILE | tcplife analyze -", before, now)
	}
	if s.info.Frames > 0 {
		remedy = "the frames before it are whole; " + remedy
	}
	var packed *packError
	switch {
	case errors.As(s.in.err, &packed):
		return s.damage(at, packed.Error(), remedy, packed.err)
	case s.in.err != io.EOF:
		return s.damage(at, fmt.Sprintf("reading failed at byte %d: %v", at+have, s.in.err), "", s.in.err)
	case now < before && s.in.end() < before && len(s.in.packing) == 0:
		return s.damage(at, fmt.Sprintf("the file shrank from %d to %d octets while it was read", before, now), "", io.ErrUnexpectedEOF)
	case have == 0:
		return io.EOF
	}
	return s.damage(at, fmt.Sprintf("%s of %d octets cut off after %d", unit, want, have), remedy, io.ErrUnexpectedEOF)
}

// addInterface lists an interface and returns its place in the list, or -1 when
// the list is full.
func (s *stream) addInterface(i Interface) int {
	if len(s.info.Interfaces) == maxInterfaces {
		return -1
	}
	s.info.Interfaces = append(s.info.Interfaces, i)
	return len(s.info.Interfaces) - 1
}

// passed counts a block that is passed over. Types beyond the first 256 are
// counted as type 0, which the pcapng draft reserves (section 11.1).
func (s *stream) passed(typ uint32) {
	if s.info.Passed == nil {
		s.info.Passed = make(map[uint32]uint64)
	}
	if _, known := s.info.Passed[typ]; !known && len(s.info.Passed) >= maxPassedTypes {
		typ = 0
	}
	s.info.Passed[typ]++
}
