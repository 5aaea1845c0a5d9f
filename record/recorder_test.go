package record

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// taped is a source whose frames go into a ring on their way.
type taped struct {
	capture.Source
	ring *Ring
}

func (s *taped) Next(f *wire.Frame) error {
	err := s.Source.Next(f)
	if err == nil {
		s.ring.Add(f)
	}
	return err
}

// recordRun runs over a capture with a Recorder beside it, and returns what was written.
func recordRun(t *testing.T, name string, ring int, r *Recorder) (files []string) {
	t.Helper()
	dir := t.TempDir()
	folder, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	r.Ring, r.Folder = NewRing(ring), folder
	r.Failed = func(err error) { t.Error(err) }
	r.Begin()
	cfg := &pipeline.Config{Source: &taped{open(t, name), r.Ring}, Format: pipeline.Discard{}, Output: io.Discard,
		Each: func(_ uint64, d *report.Digest) { r.Settled(d) }}
	if _, err := pipeline.Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, missed, _ := r.End(); missed > 0 && ring > 1 {
		t.Errorf("%d connections were missed", missed)
	}
	files, err = filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var connectionNumber = regexp.MustCompile(`connection [0-9]+`)

// What is recorded of a connection opens in tshark with the comments at the packets that
// an extract of the whole capture has them at.
func TestRecordedCommentsStandAtTheirPackets(t *testing.T) {
	name := pcaps + "lost-final-ack.pcap"
	whole := map[string]string{} // comments by time
	for _, r := range tsharkFields(t, annotated(t, name), "frame.time_epoch", "frame.comment") {
		whole[r[0]] = connectionNumber.ReplaceAllString(r[1], "connection")
	}
	files := recordRun(t, name, 1<<20, &Recorder{Wanted: WantedBy([]string{"warning"})})
	if len(files) != 3 {
		t.Fatalf("%d captures: %v", len(files), files)
	}
	frames, commented := 0, 0
	for _, path := range files {
		if !strings.Contains(path, "lost-final-ack") || !strings.HasPrefix(filepath.Base(path), "20261120T2325") {
			t.Errorf("it is called %s", filepath.Base(path))
		}
		for _, r := range tsharkFields(t, path, "frame.time_epoch", "frame.comment") {
			frames++
			want, ok := whole[r[0]]
			if got := connectionNumber.ReplaceAllString(r[1], "connection"); !ok || got != want {
				t.Errorf("%s: at %s %q, want %q", filepath.Base(path), r[0], got, want)
			}
			if want != "" {
				commented++
			}
		}
	}
	if frames != 44 || commented < 20 {
		t.Errorf("%d packets of 44, %d with comments", frames, commented)
	}
}

// The life before belongs to a record: here it is why the finding came up.
func TestRecordHoldsTheLifeBefore(t *testing.T) {
	for _, c := range []struct {
		name   string
		wanted []string
		frames int
	}{
		{"port-reuse.pcap", []string{"port-reuse"}, 16},
		{"icmp-refusal.pcap", []string{"icmp-refusal"}, 2},
		{"lost-final-ack.pcap", []string{"abort"}, 0},
		{"lost-final-ack.pcap", []string{"error"}, 0},
	} {
		files := recordRun(t, pcaps+c.name, 1<<20, &Recorder{Wanted: WantedBy(c.wanted)})
		n := 0
		for _, path := range files {
			n += len(load(t, path))
		}
		if n != c.frames && !(c.frames == 2 && n > 1) {
			t.Errorf("%s, %v: %d frames in %d captures, want %d", c.name, c.wanted, n, len(files), c.frames)
		}
	}
}

// A ring that is too small for a connection has its end; the finding is said all the same.
func TestRecordFromASmallRing(t *testing.T) {
	files := recordRun(t, pcaps+"lost-final-ack.pcap", 1, &Recorder{Wanted: WantedBy([]string{"lost-final-ack"})})
	if len(files) == 0 {
		t.Fatal("nothing was recorded")
	}
	path := files[len(files)-1]
	rows := tsharkFields(t, path, "frame.comment")
	said := strings.Join(slices.Concat(rows...), "\n")
	if len(rows) >= 13 || !strings.Contains(said, "lost-final-ack") {
		t.Errorf("%d packets: %s", len(rows), said)
	}
}

// There are no more captures than allowed; what is beyond is counted.
func TestRecordsAreBounded(t *testing.T) {
	r := &Recorder{Wanted: WantedBy([]string{"info"}), Max: 2}
	if files := recordRun(t, pcaps+"lost-final-ack.pcap", 1<<20, r); len(files) != 2 || r.beyond != 1 {
		t.Errorf("%d captures, %d beyond", len(files), r.beyond)
	}
}

// While a connection is open its finding is recorded with what there is, and again when
// it has settled; but not if the ring has lost its beginning by then.
func TestRecordedAnew(t *testing.T) {
	dir := t.TempDir()
	folder, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	f := &finding.Finding{Rule: finding.Lookup("abort"), Severity: finding.Warning, Frames: []wire.FrameID{wire.NewFrameID(0, 2)}, Message: "so it was"}
	r := &Recorder{Ring: NewRing(1 << 12), Folder: folder, Wanted: WantedBy([]string{"abort"}), Failed: func(err error) { t.Error(err) }}
	r.Begin()
	n := uint64(0)
	add := func(count int) {
		for range count {
			n++
			fr := rawFrame(n, 7, 60)
			r.Ring.Add(&fr)
		}
	}
	counts := func(t *testing.T, want int) {
		t.Helper()
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(files) != 1 {
			t.Fatalf("%d captures", len(files))
		}
		for range 100 { // it is written on another goroutine
			if n := len(load(t, files[0])); n == want {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%d frames, want %d", len(load(t, files[0])), want)
	}
	add(5)
	r.Found("UID", endsOf(7), 0, f)
	r.wait(1)
	counts(t, 5)
	add(5)
	r.Settled(&report.Digest{UID: "UID", Tuple: endsOf(7), Findings: []finding.Finding{*f}})
	r.wait(2)
	counts(t, 10)
	add(500)
	r.Settled(&report.Digest{UID: "UID", Tuple: endsOf(7), Findings: []finding.Finding{*f}})
	written, missed, beyond := r.End()
	counts(t, 10)
	if written != 2 || missed != 0 || beyond != 0 {
		t.Errorf("%d written, %d missed, %d beyond", written, missed, beyond)
	}
	rows := tsharkFields(t, must(filepath.Glob(filepath.Join(dir, "*")))[0], "frame.comment")
	if !strings.Contains(rows[1][0], "while it was captured: abort (warning, possible): so it was") {
		t.Errorf("the second packet has %q", rows[1][0])
	}
}

// wait returns when so many captures have been written.
func (r *Recorder) wait(captures uint64) {
	for {
		r.mu.Lock()
		n := r.written
		r.mu.Unlock()
		if n >= captures {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// What cannot be written leaves nothing behind, and is told.
func TestRecorderLeavesNoPieces(t *testing.T) {
	dir := t.TempDir()
	folder := must(os.OpenRoot(dir))
	defer folder.Close()
	f := &finding.Finding{Rule: finding.Lookup("abort"), Severity: finding.Warning}
	name := "19700101T000000.000Z-abort-UID.pcapng"
	if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	failed := 0
	r := &Recorder{Ring: NewRing(1 << 20), Folder: folder, Wanted: WantedBy([]string{"warning"}), Failed: func(err error) {
		if failed++; !strings.Contains(err.Error(), "recording "+name+": ") {
			t.Error(err)
		}
	}}
	r.Begin()
	x := rawFrame(1, 7, 100)
	r.Ring.Add(&x)
	r.Settled(&report.Digest{UID: "UID", Tuple: endsOf(7), Findings: []finding.Finding{*f}})
	if written, _, _ := r.End(); written != 0 || failed != 1 {
		t.Errorf("%d written, %d failed", written, failed)
	}
	if all := must(os.ReadDir(dir)); len(all) != 1 {
		t.Errorf("there are %v", all)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Files are no larger than wanted and no longer than wanted, no more are kept than
// wanted, and together they hold every frame.
func TestRotation(t *testing.T) {
	write := func(r *Rotation, frames int) map[string]int {
		dir := t.TempDir()
		folder, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		r.Folder = folder
		if err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		for i := range frames {
			f := rawFrame(uint64(i+1), 7, 100)
			f.At = wire.Time(time.Duration(i) * 300 * time.Millisecond)
			if err := r.Write(&f); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, path := range must(filepath.Glob(filepath.Join(dir, "*"))) {
			got[filepath.Base(path)] = len(load(t, path))
			if st := must(os.Stat(path)); r.Size > 0 && st.Size() > r.Size {
				t.Errorf("%s has %d octets, of %d allowed", filepath.Base(path), st.Size(), r.Size)
			}
		}
		return got
	}
	for _, c := range []struct {
		r      Rotation
		frames int
		want   map[string]int
	}{
		{Rotation{Name: "a.pcapng"}, 50, map[string]int{"a.pcapng": 50}},
		{Rotation{Name: "a.pcap", Format: "pcap"}, 50, map[string]int{"a.pcap": 50}},
		{Rotation{Name: "a.pcapng", Every: time.Second}, 8, map[string]int{"a_00001.pcapng": 4, "a_00002.pcapng": 3, "a_00003.pcapng": 1}},
		{Rotation{Name: "a", Every: time.Second, Keep: 2}, 12, map[string]int{"a_00003": 3, "a_00004": 2}},
		{Rotation{Name: "a.pcapng", Size: headSize + 10*(100+blockSize)}, 25, map[string]int{"a_00001.pcapng": 10, "a_00002.pcapng": 10, "a_00003.pcapng": 5}},
	} {
		if d := cmp.Diff(c.want, write(&c.r, c.frames)); d != "" {
			t.Errorf("%+v: %s", c.r, d)
		}
	}
}

// WantedBy knows severities and IDs.
func TestWantedBy(t *testing.T) {
	of := func(id string, s finding.Severity) *finding.Finding {
		return &finding.Finding{Rule: finding.Lookup(id), Severity: s}
	}
	for _, c := range []struct {
		words string
		f     *finding.Finding
		want  bool
	}{
		{"warning", of("abort", finding.Warning), true},
		{"warning", of("abort", finding.Error), true},
		{"warning", of("abort", finding.Info), false},
		{"info", of("abort", finding.Info), true},
		{"error", of("abort", finding.Warning), false},
		{"error,abort", of("abort", finding.Info), true},
		{"half-close", of("abort", finding.Error), false},
	} {
		if got := WantedBy(strings.Split(c.words, ","))(c.f); got != c.want {
			t.Errorf("%s: %s of %s: %v", c.words, c.f.Severity, c.f.Rule.ID, got)
		}
	}
}
