package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// notTshark says of link types why tshark 4.0 finds no TCP behind the octets in
// linkHeaders.
var notTshark = map[LinkType]string{
	LinkSLIP:               "no dissector; tcpdump reads it",
	LinkCiscoHDLCDir:       "the number is unknown",
	LinkFrameRelayDir:      "the number is unknown",
	LinkDSABroadcom:        "the number is unknown; tcpdump reads it",
	LinkDSABroadcomPrepend: "the number is unknown; tcpdump reads it",
	LinkDSAMarvell:         "the number is unknown; tcpdump reads it",
	LinkDSAMarvellEther:    "the number is unknown; tcpdump reads it",
	LinkMPacket:            "wants a check sequence at the frame's end",
	LinkDOCSIS:             "wants the length and a check sequence in the header",
	LinkATMCLIP:            "takes what follows for IP, never for LLC",
}

// linkFrame is a frame and the link type that it is captured with.
type linkFrame struct {
	link  LinkType
	frame []byte
}

// tsharkSays returns, for each frame, tshark's ports, number and payload length of
// the innermost TCP header, and its names of the headers.
func tsharkSays(t *testing.T, frames ...linkFrame) []string {
	t.Helper()
	return tsharkValues(t, "l", []string{"tcp.srcport", "tcp.dstport", "tcp.seq", "tcp.len", "frame.protocols"}, frames...)
}

// tsharkValues returns a line for each frame with the values of fields: of the last
// header that has it ("l"), or of all ("a").
func tsharkValues(t *testing.T, which string, fields []string, frames ...linkFrame) []string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skipf("wants tshark, to read the same frames: %v", err)
	}
	cmd := exec.Command(path, "-n", "-r", "-", "-o", "tcp.relative_sequence_numbers:false", "-d", "udp.port==8472,vxlan",
		"-T", "fields", "-E", "occurrence="+which)
	for _, f := range fields {
		cmd.Args = append(cmd.Args, "-e", f)
	}
	cmd.Stdin = bytes.NewReader(pcapng(frames))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("tshark: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != len(frames) {
		t.Fatalf("tshark says %d lines of %d frames", len(lines), len(frames))
	}
	return lines
}

// pcapng writes a capture in which each frame has an interface of its own.
func pcapng(frames []linkFrame) []byte {
	order := binary.LittleEndian
	b := fixture("section 0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000")
	for _, f := range frames {
		b = append(b, fixture("interface 01000000 14000000 0000 0000 00000400 14000000")...)
		order.PutUint16(b[len(b)-12:], uint16(f.link))
	}
	for i, f := range frames {
		size := uint32(32 + (len(f.frame)+3)&^3)
		for _, n := range []uint32{6, size, uint32(i), 0, uint32(i), uint32(len(f.frame)), uint32(len(f.frame))} {
			b = order.AppendUint32(b, n)
		}
		b = append(b, f.frame...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		b = order.AppendUint32(b, size)
	}
	return b
}

func sameAsTshark(t *testing.T, what, line string, s Segment) {
	t.Helper()
	want := fmt.Sprintf("%d\t%d\t%d\t%d\t", s.Tuple.SrcPort, s.Tuple.DstPort, uint32(s.Seq), s.Len)
	if s.Traits.has(TraitSampled) { // tshark gives those no length
		want = fmt.Sprintf("%d\t%d\t%d\t\t", s.Tuple.SrcPort, s.Tuple.DstPort, uint32(s.Seq))
	}
	if !strings.HasPrefix(line, want) {
		t.Errorf("%s: tshark says %q, want %q", what, line, want)
	}
}

// tshark reads the table's headers as this package does: what the numbers mean is
// not left to one reading of a document.
func TestTunnelsTshark(t *testing.T) {
	inner := fixture(dataFixture)[:43]
	var frames []linkFrame
	for _, c := range tunnels {
		frames = append(frames, linkFrame{LinkEthernet, wrapped(inner, c.wrap...)})
	}
	for i, line := range tsharkSays(t, frames...) {
		if c := tunnels[i]; !c.unread {
			s := dataSegment()
			if c.sampled {
				s.Traits |= TraitSampled
			}
			sameAsTshark(t, c.name, line, s)
		}
	}
}

func TestLinkTypesTshark(t *testing.T) {
	var frames []linkFrame
	var want []Segment
	for _, l := range LinkTypes() {
		if _, ok := notTshark[l]; ok {
			continue
		}
		h := linkHeaders[l]
		if h.v4 != "-" {
			b := fixture(h.v4 + "\n" + dataFixture)
			frames = append(frames, linkFrame{l, b[:len(b)-3]}) // without padding
			want = append(want, dataSegment())
		}
		if h.v6 != "-" {
			frames = append(frames, linkFrame{l, fixture(h.v6 + "\n" + data6Fixture)})
			want = append(want, data6Segment())
		}
	}
	for i := range frames {
		if frames[i].link == LinkNetAnalyzer { // always with a check sequence
			frames[i].frame = append(frames[i].frame, 0, 0, 0, 0)
		}
	}
	for i, line := range tsharkSays(t, frames...) {
		sameAsTshark(t, frames[i].link.String(), line, want[i])
	}
}
