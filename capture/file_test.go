package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

// A file that somebody writes to while it is read: what is there at the end of the
// reading counts, and that the file was longer than before is said; if it was shorter
// something was lost.
func TestFileChanges(t *testing.T) {
	whole := containerSamples()["pcap-little"]
	for name, c := range map[string]struct {
		first, then []byte
		frames      int
		grew        int64
		damage      string
	}{
		"grew by a record":      {whole.whole[:whole.last], whole.whole, 3, int64(len(whole.whole) - whole.last), ""},
		"grew by half a record": {whole.whole[:whole.last], whole.whole[:whole.last+30], 2, 30, "cut off after 30 (the frames before it are whole; somebody is writing the file, which grew from 177 to 207 octets meanwhile"},
		"grew, packed":          {pack(t, "gzip", whole.whole), append(pack(t, "gzip", whole.whole), 0, 0), 3, 2, ""},
		"shrank":                {whole.whole, whole.whole[:whole.last], 2, 0, "the file shrank from 255 to 177 octets while it was read"},
	} {
		path := filepath.Join(t.TempDir(), "a.pcap")
		if err := os.WriteFile(path, c.first, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		// Nothing but the header is read at first.
		in := newInput(&firstFew{f, 30}, f, path)
		in.file = opened(f)
		src := mustOpen(t)(newSource(in))
		if err := os.WriteFile(path, c.then, 0o600); err != nil {
			t.Fatal(err)
		}
		frames, damage := drain(t, src)
		if d := cmp.Diff(sampleFrames()[:c.frames], frames); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if info := src.Info(); info.Grew != c.grew {
			t.Errorf("%s: grew by %d octets, want %d", name, info.Grew, c.grew)
		}
		if c.damage == "" && damage != nil || c.damage != "" && (len(damage) != 1 || !strings.Contains(damage[0].Error(), c.damage)) {
			t.Errorf("%s: damage %v, want %q", name, damage, c.damage)
		}
	}
}

// firstFew yields only so many octets with its first Read.
type firstFew struct {
	r io.Reader
	n int
}

func (f *firstFew) Read(b []byte) (int, error) {
	if f.n > 0 {
		b = b[:min(len(b), f.n)]
		f.n = 0
	}
	return f.r.Read(b)
}

// Both ways to open a file know its size.
func TestFileSizeIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(path, containerSamples()["snoop"].whole, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, src := range []Source{mustOpen(t)(Open(path)), mustOpen(t)(NewReader(f, "f"))} {
		if in := src.(*snoopReader).in; in.file == nil || in.file.size == 0 || in.waits {
			t.Error("a regular file is not known for one")
		}
		var frame wire.Frame
		for src.Next(&frame) == nil {
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
		if err := src.Next(&frame); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if opened(nil) != nil || mustOpen(t)(NewReader(bytes.NewReader(containerSamples()["snoop"].whole), "mem")).(*snoopReader).in.file != nil {
		t.Error("what is no file has a size")
	}
}
