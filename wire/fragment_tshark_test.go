package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tsharkFields writes IPv4 and IPv6 packets as a pcap file and returns tshark's
// values of the fields, a line for each frame.
func tsharkFields(t *testing.T, packets [][]byte, fields ...string) []string {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("wants tshark, to compare with what it makes of fragments and source routes")
	}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, byte(LinkRaw), 0, 0, 0)
	for i, p := range packets {
		b = le.AppendUint32(b, uint32(i))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(len(p)))
		b = le.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	name := filepath.Join(t.TempDir(), "packets.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", name, "-o", "tcp.relative_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
		"-o", `gui.column.format:"Source","%s","Destination","%d"`, "-T", "fields", "-E", "separator=|", "-E", "occurrence=l"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(tshark, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("wants tshark, and one that reads the packets (%v): %s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != len(packets) {
		t.Fatalf("tshark gives %d lines for %d frames", len(lines), len(packets))
	}
	return lines
}

// tcpLines decodes the packets, and prints them as tshark prints the fields.
func tcpLines(packets [][]byte, line func(*Segment) string) []string {
	var d Decoder
	var s Segment
	var lines []string
	for i, p := range packets {
		f := Frame{ID: NewFrameID(0, uint64(i+1)), At: Time(i) * 1e9, Link: LinkRaw, Data: p, Length: uint32(len(p))}
		if skip := d.Decode(&f, &s); skip != SkipNone {
			lines = append(lines, "")
			continue
		}
		lines = append(lines, line(&s))
	}
	return lines
}

// Fragments that overlap at random, in random order: the packets become whole with
// the same frame as in tshark, with the same octets.
func TestOverlapsAsInTshark(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var packets [][]byte
	for id := range 300 {
		// Pieces of a packet of 80 octets; every one has octets of its own.
		type place struct{ from, to int }
		var places []place
		seen := map[place]bool{}
		for at := 0; at < 80; {
			p := place{at, min(80, at+8*(1+rng.IntN(4)))}
			at = p.to
			places, seen[p] = append(places, p), true
		}
		for range rng.IntN(4) {
			from := 8 * rng.IntN(8)
			p := place{from, min(72, from+8*(1+rng.IntN(5)))}
			if !seen[p] {
				places, seen[p] = append(places, p), true
			}
		}
		rng.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
		v6 := id%2 == 1
		for _, p := range places {
			octets := make([]byte, p.to-p.from)
			for i := range octets {
				octets[i] = byte(rng.Uint32())
				if p.from+i == 12 {
					octets[i] = 5 << 4 // the data offset is not the question
				}
			}
			more := uint16(0)
			if p.to < 80 {
				more = 1
			}
			var b []byte
			if v6 {
				b = fixture("ip6 60000000 0000 2c 40 20010db8 00000000 00000000 00000001 20010db8 00000000 00000000 00000002")
				binary.BigEndian.PutUint16(b[4:], uint16(8+len(octets)))
				b = append(b, ipTCP, 0)
				b = binary.BigEndian.AppendUint16(b, uint16(p.from)|more)
				b = binary.BigEndian.AppendUint32(b, uint32(id))
			} else {
				b = fixture("ip4 45 00 0000 0000 0000 40 06 0000 0a000001 0a000002")
				binary.BigEndian.PutUint16(b[2:], uint16(20+len(octets)))
				binary.BigEndian.PutUint16(b[4:], uint16(id))
				binary.BigEndian.PutUint16(b[6:], uint16(p.from/8)|more<<13)
			}
			packets = append(packets, append(b, octets...))
		}
	}
	want := tsharkFields(t, packets, "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.window_size_value", "tcp.urgent_pointer", "tcp.len")
	got := tcpLines(packets, func(s *Segment) string {
		return fmt.Sprintf("%d|%d|%d|%d|%d|%d|%d", s.Tuple.SrcPort, s.Tuple.DstPort, uint32(s.Seq), uint32(s.Ack), s.Window, s.Urgent, s.Len)
	})
	whole := 0
	for i := range want {
		if want[i] = strings.Trim(want[i], "|"); want[i] != got[i] {
			t.Errorf("frame %d:\ngot    %s\ntshark %s", i+1, got[i], want[i])
		} else if got[i] != "" {
			whole++
		}
	}
	if whole < 250 {
		t.Errorf("only %d packets became whole", whole)
	}
}

// The ends of source-routed packets are those that tshark's columns show.
func TestRoutesAsInTshark(t *testing.T) {
	const tcp = "\ntcp 9c40 01bb 00000001 00000000 50 02 faf0 0000 0000"
	const six = " 20010db8 00000000 00000000 00000001 20010db8 00000000 00000000 000000aa\n"
	var packets [][]byte
	for _, text := range []string{
		"ip4 45 00 0028 0001 4000 40 06 0000 0a000001 0a000002",
		"ip4 48 00 0034 0001 4000 40 06 0000 0a000001 0a000009\nlsrr 83 0b 04 0a000003 0a000002 00",
		"ip4 48 00 0034 0001 4000 40 06 0000 0a000001 0a000009\nlsrr 83 0b 08 0a000003 0a000002 00",
		"ip4 48 00 0034 0001 4000 40 06 0000 0a000001 0a000009\nused 83 0b 0c 0a000003 0a000002 00",
		"ip4 48 00 0034 0001 4000 40 06 0000 0a000001 0a000009\nssrr 01 89 0b 04 0a000003 0a000002",
		"ip4 47 00 0030 0001 4000 40 06 0000 0a000001 0a000009\nrr 07 07 04 0a000003 00",
		"ip6 60000000 003c 2b 40" + six + "rh0 06 04 00 02 00000000 20010db8 00000000 00000000 00000003 20010db8 00000000 00000000 00000002",
		"ip6 60000000 003c 2b 40" + six + "rh0 06 04 00 00 00000000 20010db8 00000000 00000000 00000003 20010db8 00000000 00000000 00000002",
		"ip6 60000000 002c 2b 40" + six + "rh2 06 02 02 01 00000000 20010db8 00000000 00000000 00000002",
		"ip6 60000000 003c 2b 40" + six + "srh 06 04 04 01 01 00 0000 20010db8 00000000 00000000 00000002 20010db8 00000000 00000000 000000aa",
		"ip6 60000000 002c 3c 40" + six + "hoa 06 02 0102 0000 c910 20010db8 00000000 00000000 00000007",
	} {
		packets = append(packets, fixture(text+tcp))
	}
	want := tsharkFields(t, packets, "_ws.col.Source", "_ws.col.Destination")
	got := tcpLines(packets, func(s *Segment) string {
		return s.Tuple.Src.Netip(s.Tuple.V6).String() + "|" + s.Tuple.Dst.Netip(s.Tuple.V6).String()
	})
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("frame %d: got %s, tshark %s", i+1, got[i], want[i])
		}
	}
}
