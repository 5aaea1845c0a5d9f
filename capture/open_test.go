package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

// What cannot be opened is said with its name, the reason and a remedy, and is not
// damage.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, nil, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		cause      error
	}{
		{filepath.Join(dir, "none"), "no such file or directory (check the path)", fs.ErrNotExist},
		{dir, "is a directory (name the capture files in it)", nil},
		{secret, "permission denied (run as a user", fs.ErrPermission},
	} {
		src, err := Open(c.name)
		if c.name == secret && os.Geteuid() == 0 {
			continue // root may read everything
		}
		if src != nil || err == nil || !strings.HasPrefix(err.Error(), "open "+c.name+": "+c.want) {
			t.Errorf("Open(%s) = %v, want %s", c.name, err, c.want)
		}
		if c.cause != nil && !errors.Is(err, c.cause) {
			t.Errorf("%v: cause lost", err)
		}
		if errors.As(err, new(*DamageError)) {
			t.Errorf("%v: is damage", err)
		}
	}
	if err := openError("x", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}); err.Error() != "open x: permission denied (run as a user who may read it, or change its mode)" || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

func TestForeignFormats(t *testing.T) {
	for head, want := range map[string]string{
		"GMBU\x00\x00":              "a Microsoft Network Monitor 2 capture",
		"12:00:00.1 IP a > b: é":    "text (write packets rather than print them",
		"12:00:00.1 IP a > b: \xc3": "text",
		"\n\r\n\x00":                "pcapng that a text-mode transfer has changed",
		"\x00\x01\x02\x03\x04":      "something that begins with octets 0001020304 (",
		strings.Repeat("x\n", 99):   "text",
	} {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(head), "by octet": iotest.OneByteReader(strings.NewReader(head)),
		} {
			_, err := NewReader(r, "f")
			if err == nil || !strings.HasPrefix(err.Error(), "open f: not a capture that tcplife reads, but "+want) || errors.As(err, new(*DamageError)) {
				t.Errorf("%s: %v\nwant %s", name, err, want)
			}
		}
	}
}

func TestUnreadableVersions(t *testing.T) {
	o := binary.LittleEndian
	w := &ng{order: o}
	for want, b := range map[string][]byte{
		"open f: pcap of version 2.5, and only up to 2.4 can be read (the header may": pcapHead(o, pcapMagicMicro, 2, 5, 0, 1),
		"open f: pcap of version 1.0, and only up to 2.4 can be read (the header may": pcapHead(o, pcapMagicMicro, 1, 0, 0, 1),
		"open f: pcapng of version 1.1, and only 1.0 can be read (convert it first: ": w.shb(1, 1).Bytes(),
	} {
		_, err := NewReader(bytes.NewReader(b), "f")
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.As(err, new(*DamageError)) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// A header that is not whole is damage of frame 1 at byte 0, whatever the length.
func TestDamagedHeader(t *testing.T) {
	o := binary.BigEndian
	var inputs [][]byte
	for n := range pcapHeaderLen {
		inputs = append(inputs, pcapHead(o, pcapMagicNano, 2, 4, 0, 1)[:n])
	}
	for n := range sectionMin {
		inputs = append(inputs, newNG(o).Bytes()[:n])
	}
	for _, b := range inputs {
		src, err := NewReader(bytes.NewReader(b), "f")
		var d *DamageError
		if src != nil || !errors.As(err, &d) || d.Frame != 1 || d.Offset != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d octets: %v", len(b), err)
		}
	}
}

// An input that cannot be read at all is not damaged.
func TestUnreadableInput(t *testing.T) {
	broken := errors.New("stale file handle")
	_, err := NewReader(iotest.ErrReader(broken), "f")
	if !errors.Is(err, broken) || errors.As(err, new(*DamageError)) || err.Error() != "read f: stale file handle" {
		t.Error(err)
	}
}

// One that fails later is: what came before is worth a report.
func TestReadingFails(t *testing.T) {
	broken := errors.New("stale file handle")
	o := binary.LittleEndian
	b := append(pcapHead(o, pcapMagicMicro, 2, 4, 0, 1), pcapRec(o, 1, 0, 60, 60, octets(60))...)
	for _, tail := range []int{0, 10} {
		src, err := NewReader(io.MultiReader(bytes.NewReader(b), bytes.NewReader(b[24:24+tail]), iotest.ErrReader(broken)), "f")
		if err != nil {
			t.Fatal(err)
		}
		frames, damage := drain(t, src)
		if len(frames) != 1 || len(damage) != 1 || !errors.Is(damage[0], broken) || damage[0].Offset != 100 {
			t.Errorf("%d frames, damage %v", len(frames), damage)
		}
	}
}

// A reader that yields neither octets nor an error must not be asked for ever.
func TestNoProgress(t *testing.T) {
	if _, err := NewReader(idle{}, "f"); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// Files register in any order, so what they claim must not overlap.
func TestClaimsAreDisjoint(t *testing.T) {
	for name, c := range containerSamples() {
		n := 0
		for _, k := range containers {
			if k.match(c.whole[:headLen]) {
				n++
			}
			for i := range shortest {
				if k.match(c.whole[:i]) {
					t.Errorf("%s claims %x", k.name, c.whole[:i])
				}
			}
		}
		if n != 1 {
			t.Errorf("%s is claimed by %d containers", name, n)
		}
	}
	for _, arg := range []string{"-", "a.pcap", "./-", ""} {
		n := 0
		for _, o := range openers {
			if o.match(arg) {
				n++
			}
		}
		if want := map[bool]int{true: 1}[arg == "-"]; n != want {
			t.Errorf("%q is claimed by %d openers", arg, n)
		}
	}
}
