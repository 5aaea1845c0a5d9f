package capture

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

// variantFrames are what the files below hold.
var variantFrames = []kept{
	{now*1e9 + 5000, 1, 60, string(octets(60))},
	{now*1e9 + 6000, 1, 1500, string(octets(90))},
	{(now + 1) * 1e9, 1, 61, string(octets(61))},
	{(now + 2) * 1e9, 1, 62, string(octets(62))},
}

// pcapVariants are files of the variants, in both byte orders. extra is what stands
// between the usual header and the frame, swap exchanges the lengths.
func pcapVariants() map[string][]byte {
	files := map[string][]byte{}
	for name, o := range orders {
		build := func(variant string, magic uint32, major, minor uint16, link uint32, nano, swap bool, behind, extra []byte) {
			b := append(pcapHead(o, magic, major, minor, 262144, link), behind...)
			for i, f := range variantFrames {
				sub := uint32(f.At % 1e9)
				if !nano {
					sub /= 1000
				}
				caplen, length := uint32(len(f.Data)), f.Length
				// In files of version 2.3 each record may be either way.
				if swap && (minor != 3 || i%2 == 1) {
					caplen, length = length, caplen
				}
				b = append(b, pcapRec(o, uint32(f.At/1e9), sub, caplen, length, append(extra[:len(extra):len(extra)], f.Data...))...)
			}
			files[variant+" "+name] = b
		}
		// Interface 2, IPv4, to us, and padding of any value.
		fields := append(o.AppendUint16(o.AppendUint32(nil, 2), 0x0800), 0, 0xff)
		build("plain", pcapMagicMicro, 2, 4, 1, false, false, nil, nil)
		build("2.3", pcapMagicMicro, 2, 3, 1, false, true, nil, nil)
		build("2.2", pcapMagicMicro, 2, 2, 1, false, true, nil, nil)
		build("2.0", pcapMagicMicro, 2, 0, 1, false, true, nil, nil)
		build("DG-UX", pcapMagicMicro, 543, 0, 1, false, true, nil, nil)
		build("AIX", pcapMagicMicro, 2, 2, 6, true, true, nil, nil)
		build("Ixia hardware", pcapMagicIxiaHW, 2, 4, 1, true, false, octets(4), nil)
		build("Ixia software", pcapMagicIxiaSW, 2, 4, 1, false, false, octets(4), nil)
		build("ss990417", pcapMagicMicro, 2, 4, 1, false, false, nil, fields)
		build("Nokia", pcapMagicMicro, 2, 4, 1, false, false, nil, o.AppendUint32(nil, 0x9fbfb601))
		build("ss991029", pcapMagicModified, 2, 4, 1, false, false, nil, fields)
		build("ss990915", pcapMagicModified, 2, 4, 1, false, false, nil, append(fields[:8:8], 0xff, 0xfe, 0xfd, 0xfc))
		build("frame check sequence of 4", pcapMagicMicro, 2, 4, 2<<28|1<<26|1, false, false, nil, nil)
	}
	return files
}

func TestPcapVariantsOfOthers(t *testing.T) {
	for name, b := range pcapVariants() {
		for how, in := range map[string]*input{
			"whole": newInput(bytes.NewReader(b), nil, "mem"), "by octet": newInput(iotest.OneByteReader(bytes.NewReader(b)), nil, "mem"),
		} {
			frames, damage := drain(t, mustOpen(t)(newSource(in)))
			if d := cmp.Diff(variantFrames, frames); d != "" || damage != nil {
				t.Errorf("%s, %s: %v\n%s", name, how, damage, d)
			}
		}
		// On a pipe all but those that only the records tell apart.
		if strings.HasPrefix(name, "ss990417") || strings.HasPrefix(name, "Nokia") {
			continue
		}
		src := mustOpen(t)(NewReader(struct{ *bytes.Reader }{bytes.NewReader(b)}, "pipe"))
		if frames, damage := drain(t, src); !cmp.Equal(variantFrames, frames) || damage != nil {
			t.Errorf("%s from a pipe: %d frames, damage %v", name, len(frames), damage)
		}
	}
}

// What is read of these files and of the samples is what Wireshark's library reads.
func TestAsWireshark(t *testing.T) {
	if _, err := exec.LookPath("editcap"); err != nil {
		t.Skipf("wants editcap, to read the same files: %v", err)
	}
	files := pcapVariants()
	for name, c := range containerSamples() {
		files[name] = c.whole
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for name, b := range files {
		if strings.HasPrefix(name, "Ixia hardware") {
			continue // Wireshark 4.0 reads microseconds, later ones nanoseconds, as here
		}
		if err := os.WriteFile(from, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.Command("editcap", "-F", "nsecpcap", from, to).CombinedOutput(); err != nil {
			t.Errorf("editcap: %s: %v %s", name, err, text)
			continue
		}
		frames, damage, _ := read(t, b)
		want, _ := drain(t, mustOpen(t)(Open(to)))
		if d := cmp.Diff(want, frames); d != "" || damage != nil {
			t.Errorf("%s: damage %v %s", name, damage, d)
		}
	}
}

// editcap writes our captures in other formats: they read the same, or are refused
// by name.
func TestAsEditcap(t *testing.T) {
	if _, err := exec.LookPath("editcap"); err != nil {
		t.Skipf("wants editcap, to write other formats: %v", err)
	}
	pcaps, err := filepath.Glob(filepath.Join("..", "testdata", "pcaps", "*.pcap"))
	if err != nil || len(pcaps) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for i, from := range pcaps {
		if i%10 != 0 {
			continue // each process costs a tenth of a second
		}
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		want, _, info := read(t, b)
		for _, format := range []string{"pcap", "nsecpcap", "pcapng", "modpcap", "nokiapcap", "rh6_1pcap", "suse6_3pcap", "snoop"} {
			if text, err := exec.Command("editcap", "-F", format, from, out).CombinedOutput(); err != nil {
				// Not every format has every link type.
				if format != "snoop" || info.Interfaces[0].Link == wire.LinkEthernet {
					t.Errorf("editcap -F %s %s: %v %s", format, from, err, text)
				}
				continue
			}
			got, damage := drain(t, mustOpen(t)(Open(out)))
			for i := range got {
				// Microseconds are what most of them have.
				if format != "nsecpcap" && format != "pcapng" && i < len(want) && want[i].At/1000 == got[i].At/1000 {
					got[i].At = want[i].At
				}
			}
			if d := cmp.Diff(want, got); d != "" || damage != nil {
				t.Errorf("%s as %s: %v %s", from, format, damage, d)
			}
		}
	}
	for format, name := range map[string]string{
		"netmon1": "a Microsoft Network Monitor 1 capture", "netmon2": "a Microsoft Network Monitor 2 capture",
		"ngsniffer": "a DOS Sniffer capture", "ngwsniffer_2_0": "a NetXRay or Windows Sniffer capture", "nettl": "a nettl trace of HP-UX",
		"observer": "an Observer capture", "visual": "a Visual Networks capture", "5views": "a 5View capture",
	} {
		if text, err := exec.Command("editcap", "-F", format, pcaps[0], out).CombinedOutput(); err != nil {
			t.Logf("editcap -F %s: %v %s", format, err, text)
			continue
		}
		_, err := Open(out)
		if want := "open " + out + ": not a capture that tcplife reads, but " + name + " (convert it first: editcap -F pcapng FILE FILE.pcapng)"; err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", format, err, want)
		}
	}
}

func TestSnoop(t *testing.T) {
	head := func(version, datalink uint32) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte(snoopMagic), version), datalink)
	}
	for _, c := range []struct {
		datalink uint32
		link     wire.LinkType
	}{{0, 1}, {4, 1}, {2, 6}, {8, 10}, {9, 0}, {0x80000005, 226}} {
		frames, damage, info := read(t, append(head(2, c.datalink), snoopRec(now, 5, 60, 60, octets(60))...))
		if want := []kept{{now*1e9 + 5000, c.link, 60, string(octets(60))}}; !cmp.Equal(want, frames) || damage != nil || info.Interfaces[0].Link != c.link {
			t.Errorf("data link type %d: %v, damage %v", c.datalink, frames, damage)
		}
	}
	// Surveyor's Fast Ethernet, known by what stands behind the frame; without it the
	// number is another's.
	rec := snoopRec(now, 5, 60, 60, append(octets(60), make([]byte, 16)...))
	if frames, damage, _ := read(t, append(head(3, 10), rec...)); len(frames) != 1 || frames[0].Data != string(octets(60)) || damage != nil {
		t.Errorf("Surveyor: %v, damage %v", frames, damage)
	}
	for want, b := range map[string][]byte{
		"open f: snoop of data link type 10, which tcplife does not know (if Wireshark opens it, convert it first: editcap": append(head(2, 10), snoopRec(now, 5, 60, 60, octets(60))...),
		"open f: snoop of version 1, and only 2 to 5 can be read":                                                           head(1, 4),
	} {
		if _, err := NewReader(bytes.NewReader(b), "f"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	// A count of what was lost stands in each record.
	b := append(head(2, 4), snoopRec(now, 5, 60, 60, octets(60))...)
	b = append(b, snoopRec(now, 6, 60, 60, octets(60))...)
	binary.BigEndian.PutUint32(b[len(b)-60-12:], 7)
	_, _, info := read(t, b)
	if i := info.Interfaces[0]; !i.Counted || i.Dropped != 7 || i.Received != 9 {
		t.Errorf("%+v", i)
	}
	// Lengths that contradict each other.
	for want, rec := range map[string]uint32{"record of 83 octets, of which the frame has 60": 83, "record of 149 octets, of which": 149, "record of 524288 octets": 1<<32 - 1} {
		bad := snoopRec(now, 6, 60, 60, octets(60))
		binary.BigEndian.PutUint32(bad[8:], rec)
		b := bytes.Join([][]byte{head(2, 4), snoopRec(now, 5, 60, 60, octets(60)), bad, snoopRec(now, 7, 61, 61, octets(61))}, nil)
		frames, damage, _ := read(t, b)
		if len(frames) != 2 || len(damage) != 1 || !strings.HasPrefix(damage[0].What, want) || !strings.HasSuffix(damage[0].What, "goes on with the record at byte "+strconv.Itoa(16+2*84)) {
			t.Errorf("%d frames, damage %v, want %s", len(frames), damage, want)
		}
	}
}
