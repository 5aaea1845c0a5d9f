package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// packings are the ways in which a file of the property below may be written: a
// container, and what may be around it.
var packings = func() (all []filePacking) {
	for _, c := range []filePacking{{"pcap", pcapBytes, nil}, {"pcapng", pcapngBytes, nil}} {
		all = append(all, c)
		for _, z := range compressions {
			all = append(all, filePacking{c.name + " in " + z.name, c.write, z.pack})
		}
	}
	return all
}()

type filePacking struct {
	name  string
	write func(frames []wire.Frame) []byte
	pack  func(b []byte) []byte
}

// bytes returns a file that holds frames.
func (p filePacking) bytes(frames []wire.Frame) []byte {
	b := p.write(frames)
	if p.pack != nil {
		b = p.pack(b)
	}
	return b
}

// compressions are those that capture reads and that can be written in Go: nobody
// writes bzip2. A new one adds itself here.
var compressions = []struct {
	name string
	pack func(b []byte) []byte
}{
	{"gzip", func(b []byte) []byte {
		return packed(b, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 1) })
	}},
	{"zstd", func() func(b []byte) []byte {
		// One encoder, and a small window: a new one for each of fifty small files
		// would be most of the test's time.
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(64<<10), zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err)
		}
		return func(b []byte) []byte { return z.EncodeAll(b, nil) }
	}()},
	{"lz4", func(b []byte) []byte {
		return packed(b, func(w io.Writer) (io.WriteCloser, error) { return lz4.NewWriter(w), nil })
	}},
	{"xz", func(b []byte) []byte {
		return packed(b, func(w io.Writer) (io.WriteCloser, error) { return xz.WriterConfig{DictCap: 64 << 10}.NewWriter(w) })
	}},
}

func packed(b []byte, open func(w io.Writer) (io.WriteCloser, error)) []byte {
	var out bytes.Buffer
	w, err := open(&out)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // memory does not fail
	}
	return out.Bytes()
}

// pcapngBytes writes Ethernet frames as a pcapng file with nanoseconds.
func pcapngBytes(frames []wire.Frame) []byte {
	le := binary.LittleEndian
	block := func(b []byte, typ uint32, body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		size := uint32(len(body) + 12)
		b = le.AppendUint32(le.AppendUint32(b, typ), size)
		return le.AppendUint32(append(b, body...), size)
	}
	b := block(nil, 0x0a0d0d0a, []byte{0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255})
	b = block(b, 1, []byte{byte(wire.LinkEthernet), 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0}) // if_tsresol 9
	for _, f := range frames {
		body := le.AppendUint32(nil, 0)
		body = le.AppendUint32(body, uint32(uint64(f.At)>>32))
		body = le.AppendUint32(body, uint32(f.At))
		body = le.AppendUint32(body, uint32(len(f.Data)))
		body = append(le.AppendUint32(body, f.Length), f.Data...)
		b = block(b, 6, body)
	}
	return b
}

// cuts returns the places between frames at which a capture may be cut so that the
// order of the frames' times still tells how the parts go together: where no frame
// behind is earlier than one before.
func cuts(frames []wire.Frame) (places []int) {
	least := make([]wire.Time, len(frames)+1)
	least[len(frames)] = 1<<63 - 1
	for i := len(frames) - 1; i >= 0; i-- {
		least[i] = min(least[i+1], frames[i].At)
	}
	most := wire.Time(-1 << 63)
	for i := range len(frames) {
		if most <= least[i] {
			places = append(places, i)
		}
		most = max(most, frames[i].At)
	}
	return append(places, len(frames))
}

// scatter cuts frames into n files, written into dir under names in their order, and
// returns them in a random order, with how many frames stand before each file.
func scatter(t tester, rng *rand.Rand, dir string, frames []wire.Frame, n int) (names []capture.Candidate, before map[string]int) {
	t.Helper()
	allowed := cuts(frames)
	places := []int{0, len(frames)}
	for range n - 1 {
		places = append(places, allowed[rng.IntN(len(allowed))])
	}
	slices.Sort(places)
	before = map[string]int{}
	for i := range n {
		b := packings[rng.IntN(len(packings))].bytes(frames[places[i]:places[i+1]])
		// Without leading zeros: 9 comes before 10.
		name := filepath.Join(dir, fmt.Sprintf("part%d", i))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, capture.Candidate{Name: name})
		before[name] = places[i]
	}
	rng.Shuffle(n, func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names, before
}

// reportOfFiles runs the pipeline on files that are one capture.
func reportOfFiles(t tester, names []capture.Candidate, format_ string, jobs int, seed uint64) (string, *capture.Set, *report.Summary) {
	t.Helper()
	set, err := capture.Gather(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	src := set.Open()
	defer src.Close()
	var out bytes.Buffer
	cfg := config(t, src, format_, &out)
	cfg.Jobs, cfg.Report.Inputs = jobs, set.Names()
	s, err := run(context.Background(), cfg, reassembly.Seed{A: seed, B: seed * 0x9e3779b97f4a7c15})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), set, s
}

var (
	jsonFrame  = regexp.MustCompile(`\{"file":([0-9]+),"frame":([0-9]+)\}`)
	textFrames = regexp.MustCompile(`frames? [0-9]+:[0-9]+(, [0-9]+:[0-9]+)*`)
	textFrame  = regexp.MustCompile(`([0-9]+):([0-9]+)`)
)

// joined gives frames of files the numbers that they have in the whole.
func joined(s string, frame *regexp.Regexp, set *capture.Set, before map[string]int) string {
	names := set.Names()
	return frame.ReplaceAllStringFunc(s, func(m string) string {
		parts := frame.FindStringSubmatch(m)
		file, _ := strconv.Atoi(parts[1])
		number, _ := strconv.Atoi(parts[2])
		return strconv.Itoa(before[names[file-1]] + number)
	})
}

// withoutFiles takes out of an NDJSON report what speaks of files and no
// connections: the summary's list. What else the summary says stays.
func withoutFiles(t tester, out string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var summary map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &summary); err != nil {
		t.Fatal(err)
	}
	delete(summary, "files")
	b, err := json.Marshal(summary)
	if err != nil {
		t.Fatal(err)
	}
	lines[len(lines)-1] = string(b)
	return strings.Join(lines, "\n")
}

// withoutHead takes out of a text report the name and the list of files, and the section
// that may hold nothing but that list.
func withoutHead(out string) string {
	_, out, _ = strings.Cut(out, ": ")
	var kept []string
	for l := range strings.SplitSeq(out, "\n") {
		if !regexp.MustCompile(`^ +[0-9]+  .*part[0-9]+ +[0-9,]+ frames?|^  \.\.\. and [0-9]+ more files?$|^The capture$|^Capture quality: good\.$`).MatchString(l) {
			kept = append(kept, l)
		}
	}
	return strings.Join(strings.Fields(strings.Join(kept, " ")), " ")
}

// A capture cut between frames into fifty files, given in any order, has the report
// of the whole: each octet of it, but for the list of files and for the frames, which
// are named with their files. The order of the files' first times puts them together
// again, so a clock that steps back across a cut cannot be undone: such places are
// not cut. Nor is a record: that would be two damaged files.
func TestCutIntoFilesGivesTheSameReport(t *testing.T) {
	top := t.TempDir()
	check := 0
	rapid.Check(t, func(t *rapid.T) {
		frames := generate(rapid.Uint64().Draw(t, "seed"), taste{
			Frames:        rapid.IntRange(1, 2500).Draw(t, "frames"),
			Active:        rapid.SampledFrom([]int{1, 5, 30, 300}).Draw(t, "active"),
			Hosts:         rapid.SampledFrom([]int{1, 3, 6, 100}).Draw(t, "hosts"),
			Lost:          rapid.IntRange(0, 100).Draw(t, "lost"),
			Doubled:       rapid.IntRange(0, 100).Draw(t, "doubled"),
			Repeated:      rapid.IntRange(0, 100).Draw(t, "repeated"),
			Noise:         rapid.IntRange(0, 100).Draw(t, "noise"),
			Backwards:     rapid.SampledFrom([]int{0, 0, 10}).Draw(t, "backwards"),
			BackwardsSpan: rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second}).Draw(t, "span"),
			Pause:         rapid.SampledFrom([]int{0, 5, 50}).Draw(t, "pause"),
			Leap:          rapid.SampledFrom([]int{0, 2}).Draw(t, "leap"),
			VLANs:         rapid.SampledFrom([]int{0, 3, 20}).Draw(t, "vlans"),
		})
		if tick := rapid.SampledFrom([]wire.Time{1, 1e6, 1e9}).Draw(t, "tick"); tick > 1 {
			// A coarse clock: many frames, and whole files, bear one time.
			for i := range frames {
				frames[i].At -= frames[i].At % tick
			}
		}
		n := rapid.SampledFrom([]int{2, 7, 50}).Draw(t, "files")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "cuts"), 1))
		check++
		dir := filepath.Join(top, strconv.Itoa(check))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		names, before := scatter(t, rng, dir, frames, n)

		want, _ := reportOf(t, frames, "ndjson", 1, 1)
		got, set, sum := reportOfFiles(t, names, "ndjson", rapid.SampledFrom(allJobs).Draw(t, "jobs"), 7)
		if w, g := withoutFiles(t, want), joined(withoutFiles(t, got), jsonFrame, set, before); w != g {
			t.Fatalf("%d files differ from the whole:\n%s", n, firstDifference(w, g))
		}
		if len(sum.Inputs) != n || sum.Frames() != uint64(len(frames)) {
			t.Fatalf("%d inputs with %d frames, want %d with %d", len(sum.Inputs), sum.Frames(), n, len(frames))
		}
		want, _ = reportOf(t, frames, "csv", 1, 1)
		if got, _, _ = reportOfFiles(t, names, "csv", 2, 7); got != want {
			t.Fatalf("csv: %s", firstDifference(want, got))
		}
		want, _ = reportOf(t, frames, "text", 1, 1)
		got, set, _ = reportOfFiles(t, names, "text", 2, 7)
		got = textFrames.ReplaceAllStringFunc(got, func(s string) string { return joined(s, textFrame, set, before) })
		if w, g := withoutHead(want), withoutHead(got); w != g {
			t.Fatalf("text:\n- %s\n+ %s", w, g)
		}
	})
}

// Neither the container nor what it is packed in may be seen in a report: a whole
// capture in one file has the report of its frames, but for what the summary says of
// the file itself.
func TestSameReportOfEachPacking(t *testing.T) {
	frames := generate(5, taste{Frames: 3000, Active: 30, Hosts: 6, Lost: 20, Doubled: 20, Repeated: 30, Noise: 30, Backwards: 10, BackwardsSpan: time.Second, Pause: 4, VLANs: 3})
	want := map[string]string{}
	for _, format := range []string{"ndjson", "text", "csv"} {
		want[format], _ = reportOf(t, frames, format, 1, 1)
	}
	want["ndjson"], want["text"] = withoutFiles(t, want["ndjson"]), withoutHead(want["text"])
	dir := t.TempDir()
	for i, p := range packings {
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, p.bytes(frames), 0o600); err != nil {
			t.Fatal(err)
		}
		for format, want := range want {
			got, _, sum := reportOfFiles(t, []capture.Candidate{{Name: name}}, format, 2, 7)
			switch format {
			case "ndjson":
				got = withoutFiles(t, got)
			case "text":
				got = withoutHead(got)
			}
			if got != want {
				t.Errorf("%s, %s: %s", p.name, format, firstDifference(want, got))
			}
			in := sum.Inputs[0]
			if at := strings.Join(append([]string{in.Format}, in.Packing...), " in "); at != p.name || in.Damage != nil {
				t.Errorf("%s is read as %s, damage %v", p.name, at, in.Damage)
			}
		}
	}
}

// The number of workers may not be seen in a report over files that overlap.
func TestSameReportOfOverlappingFiles(t *testing.T) {
	frames := generate(11, taste{Frames: 6000, Active: 30, Hosts: 6, Lost: 20, Doubled: 20, Repeated: 30, Backwards: 20, BackwardsSpan: time.Second, Pause: 4})
	dir := t.TempDir()
	var names []capture.Candidate
	for i := range 5 {
		var own []wire.Frame
		for k := i; k < len(frames); k += 5 {
			own = append(own, frames[k])
		}
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, pcapBytes(own), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, capture.Candidate{Name: name})
	}
	for _, format := range []string{"ndjson", "text"} {
		first, _, _ := reportOfFiles(t, names, format, 1, 1)
		slices.Reverse(names)
		for _, jobs := range allJobs {
			if got, _, _ := reportOfFiles(t, names, format, jobs, uint64(jobs)); got != first {
				t.Fatalf("%s with %d jobs differs:\n%s", format, jobs, firstDifference(first, got))
			}
		}
	}
}

// Memory follows the connections that are open, not the number of files.
func TestMemoryOfThousandFiles(t *testing.T) {
	if raced {
		t.Skip("the race detector's own memory is counted too: run without -race")
	}
	const files = 1000
	dir := t.TempDir()
	var names []capture.Candidate
	frames := generate(3, taste{Frames: 20 * files, Active: 50, Hosts: 50})
	for i := range files {
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, pcapBytes(frames[20*i:20*(i+1)]), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, capture.Candidate{Name: name})
	}
	set, err := capture.Gather(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	peak := func(src capture.Source) (most uint64) {
		watched := &watch{Source: src, every: 4000, look: func() {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}}
		cfg := &Config{Source: watched, Name: "x", Jobs: 2, Format: format(t, "ndjson"), Output: io.Discard, Report: report.Options{Inputs: set.Names()}}
		if _, err := Run(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
		return most
	}
	whole := peak(play(frames))
	merged := peak(set.Open())
	t.Logf("at most %d MiB in use for the whole, %d MiB for %d files", whole>>20, merged>>20, files)
	if merged > whole+16<<20 {
		t.Errorf("%d MiB in use for the whole, %d MiB for %d files", whole>>20, merged>>20, files)
	}
}

// watch looks around every so many frames.
type watch struct {
	capture.Source
	frames, every int
	look          func()
}

func (w *watch) Next(f *wire.Frame) error {
	if w.frames++; w.frames%w.every == 0 {
		w.look()
	}
	return w.Source.Next(f)
}

func (w *watch) Infos() []capture.Info { return capture.Infos(w.Source) }
