package record

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

// A checksum that was right is right, one that was wrong is wrong: tshark judges both, of
// frames that keep their length.
func TestChecksumsStayWhatTheyWere(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("wants tshark, to check sums")
	}
	for _, name := range []string{"lost-final-ack.pcap", "abort.pcap", "icmp-refusal.pcap"} {
		frames := load(t, pcaps+name)
		for i := range frames {
			var l wire.Layout
			l.Read(&frames[i])
			for _, h := range l.Headers {
				switch b := frames[i].Data[h.At:]; {
				case h.Kind == wire.HeaderTCP && i%3 == 1:
					b[16] ^= 0x40
				case h.Kind == wire.HeaderIPv4 && i%4 == 1:
					b[10] ^= 0x40
				}
			}
		}
		status := func(frames []wire.Frame) [][]string {
			path := filepath.Join(t.TempDir(), "sums.pcap")
			var out bytes.Buffer
			w := NewPcap(&out)
			for i := range frames {
				if err := w.Write(&frames[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			text, err := exec.Command(tshark, "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields",
				"-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "icmp.checksum.status").Output()
			if err != nil {
				t.Fatal(err)
			}
			var rows [][]string
			for line := range strings.Lines(string(text)) {
				rows = append(rows, strings.Split(strings.TrimSpace(line), "\t"))
			}
			return rows
		}
		want := status(frames)
		a := NewAnonymizer(sampleKey)
		a.KeepLength = true
		for i := range frames {
			a.Frame(&frames[i])
			frames[i].Data = slices.Clone(frames[i].Data)
		}
		if d := cmp.Diff(want, status(frames)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if flat := strings.Join(slices.Concat(want...), " "); !strings.Contains(flat, "0") || !strings.Contains(flat, "1") {
			t.Errorf("%s: not both right and wrong sums: %s", name, flat)
		}
	}
}

func load(t *testing.T, name string) (frames []wire.Frame) {
	src := open(t, name)
	var f wire.Frame
	for next(src, &f) {
		g := f
		g.Data = slices.Clone(f.Data)
		frames = append(frames, g)
	}
	return frames
}

// The sum over what a payload held is not left in the checksum: of one octet, it would
// tell which one it was.
func TestChecksumsTellNothingOfPayload(t *testing.T) {
	segment := func(letter byte) []byte {
		b := []byte{0x45, 0, 0, 41, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
			0x10, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0, letter}
		src, dst := wire.AddrFrom4(b[12:]), wire.AddrFrom4(b[16:])
		binary.BigEndian.PutUint16(b[36:], ^fold(add(pseudo(src, dst, false, protoTCP, 21), b[20:])))
		return b
	}
	images := map[string]bool{}
	for letter := range 256 {
		a := NewAnonymizer(sampleKey)
		b := segment(byte(letter))
		f := wire.Frame{ID: 1, Link: wire.LinkRaw, Data: b, Length: uint32(len(b))}
		a.Frame(&f)
		images[string(f.Data)] = true
		if len(f.Data) != 40 || f.Length != 41 || a.Changed != 0 {
			t.Fatalf("%x of %d", f.Data, f.Length)
		}
	}
	if len(images) != 1 {
		t.Errorf("%d different frames of 256 payloads", len(images))
	}
}

// Options that say who somebody is are of the same length, and empty.
func TestOptionsWithoutIdentity(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"MSS, window scale, SACK permitted, time stamps", "020405b4 01 030307 0402 080a 00000001 00000002", "020405b4 01 030307 0402 080a 00000001 00000002"},
		{"SACK", "0101 050a 00000010 00000020", "0101 050a 00000010 00000020"},
		{"Fast Open cookie", "220a 0102030405060708", "220a 0000000000000000"},
		{"Fast Open, experimental", "fe0c f989 0102030405060708", "fe0c f989 0000000000000000"},
		{"another experiment", "fe06 1234 5678", "fe06 0000 0000"},
		{"MPTCP keys", "1e0c 01 81 0102030405060708", "1e0c 00 00 0000000000000000"},
		{"MPTCP join", "1e0c 12 03 aabbccdd 01020304", "1e0c 10 00 00000000 00000000"},
		{"MD5", "1312 000102030405060708090a0b0c0d0e0f", "1312 00000000000000000000000000000000"},
		{"AO", "1d10 0102 0102030405060708090a0b0c", "1d10 0000 000000000000000000000000"},
		{"unknown", "c806 01020304", "c806 00000000"},
		{"of a wrong length", "0206 01020304", "0206 00000000"},
		{"beyond the header", "0308 0102", "0308 0000"},
		{"behind the end", "00 01020304", "00 00000000"},
	} {
		in, want := unhex(t, c.in), unhex(t, c.want)
		out := make([]byte, len(in))
		tcpOptions(in, out)
		if !bytes.Equal(out, want) {
			t.Errorf("%s: %x, want %x", c.name, out, want)
		}
	}
}

// FuzzAnonymizer: any octets under any link type. No panic, no more octets than before,
// and what comes out says the same, or is counted.
func FuzzAnonymizer(f *testing.F) {
	for _, name := range []string{"lost-final-ack.pcap", "icmp-refusal.pcap", "option-lost.pcap"} {
		src := mustOpen(f, pcaps+name)
		var fr wire.Frame
		for range 6 {
			if !next(src, &fr) {
				break
			}
			f.Add(uint16(fr.Link), slices.Clone(fr.Data), fr.Length)
		}
		src.Close()
	}
	links := wire.LinkTypes()
	f.Fuzz(func(t *testing.T, link uint16, b []byte, length uint32) {
		if len(b) > 2048 {
			t.Skip("takes long, and shows no more")
		}
		for _, keep := range []bool{false, true} {
			fr := wire.Frame{ID: 1, Link: links[int(link)%len(links)], Data: b, Length: length}
			want := says(&wire.Decoder{}, nil, &fr)
			a := NewAnonymizer(sampleKey)
			a.KeepLength = keep
			before := slices.Clone(b)
			a.Frame(&fr)
			if !bytes.Equal(before, b) {
				t.Fatal("the original was changed")
			}
			if len(fr.Data) > len(b) || keep && len(fr.Data) != len(b) {
				t.Fatalf("%d octets of %d", len(fr.Data), len(b))
			}
			for i := range want {
				a.image(&want[i])
			}
			got := says(&wire.Decoder{}, nil, &fr)
			if a.Changed == 0 && !slices.EqualFunc(want, got, func(x, y said) bool { return x.skip == y.skip && x.segment == y.segment && x.icmp == y.icmp }) {
				t.Fatalf("%+v, want %+v", got, want)
			}
		}
	})
}
