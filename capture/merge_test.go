package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// stamped returns a pcap with nanoseconds whose frames have the given times, in
// nanoseconds after now; the first octet of each is its input's number.
func stamped(input byte, times ...int) []byte {
	b := pcapHead(orders["little"], pcapMagicNano, 2, 4, 0, 1)
	for _, at := range times {
		b = append(b, pcapRec(orders["little"], now, uint32(at), 60, 60, append([]byte{input}, octets(59)...))...)
	}
	return b
}

// write puts files into a folder and returns candidates for them.
func write(t testing.TB, dir string, files map[string][]byte) (names []Candidate) {
	t.Helper()
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, Candidate{Name: path})
	}
	return names
}

func gather(t testing.TB, names []Candidate) *Set {
	t.Helper()
	s, err := Gather(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readAll returns "FILE:FRAME@TIME" of each frame, and the damage met.
func readAll(t testing.TB, src Source) (frames []string, damage []error) {
	t.Helper()
	for {
		var f wire.Frame
		err := src.Next(&f)
		var d *DamageError
		switch {
		case err == io.EOF:
			return frames, damage
		case errors.As(err, &d):
			damage = append(damage, err)
		case err != nil:
			t.Fatal(err)
		default:
			frames = append(frames, fmt.Sprintf("%d:%d@%d", f.ID.Input()+1, f.ID.Number(), f.At-now*1e9))
		}
	}
}

func TestMergeTakesTheSmallestHead(t *testing.T) {
	for _, x := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"one after the other", map[string][]byte{"b": stamped(1, 10, 11), "a": stamped(2, 20, 21)}, "b a: 1:1@10 1:2@11 2:1@20 2:2@21"},
		{"overlapping", map[string][]byte{"a": stamped(1, 10, 30), "b": stamped(2, 20, 40)}, "a b: 1:1@10 2:1@20 1:2@30 2:2@40"},
		{"one inside the other", map[string][]byte{"a": stamped(1, 10, 50), "b": stamped(2, 20, 40), "c": stamped(3, 30)},
			"a b c: 1:1@10 2:1@20 3:1@30 2:2@40 1:2@50"},
		{"ties go by the order", map[string][]byte{"b": stamped(1, 10, 20), "a": stamped(2, 10, 20), "c": stamped(3, 10, 10)},
			"a b c: 1:1@10 2:1@10 3:1@10 3:2@10 1:2@20 2:2@20"},
		{"time goes back inside one", map[string][]byte{"a": stamped(1, 10, 50, 20, 60), "b": stamped(2, 30, 40)},
			"a b: 1:1@10 2:1@30 2:2@40 1:2@50 1:3@20 1:4@60"},
		{"numbers in names", map[string][]byte{"x10": stamped(1, 5), "x9": stamped(2, 5), "x": stamped(3, 5)}, "x x9 x10: 1:1@5 2:1@5 3:1@5"},
		{"no frames", map[string][]byte{"a": stamped(1), "z": stamped(2, 10)}, "z a: 1:1@10"},
		{"nothing", nil, ": "},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := gather(t, write(t, t.TempDir(), x.files))
			var names []string
			for _, n := range s.Names() {
				names = append(names, filepath.Base(n))
			}
			for range 2 { // files can be read again
				src := s.Open()
				frames, damage := readAll(t, src)
				if got := strings.Join(names, " ") + ": " + strings.Join(frames, " "); got != x.want || damage != nil {
					t.Errorf("%s, %v\nwant %s", got, damage, x.want)
				}
				var f wire.Frame
				if err := src.Next(&f); err != io.EOF {
					t.Errorf("after the end: %v", err)
				}
				for i, info := range Infos(src) {
					if info.Name != s.Names()[i] || info.Format != "pcap" || len(info.Interfaces) != 1 {
						t.Errorf("input %d: %+v", i, info)
					}
				}
				if n := src.Info().Frames; n != uint64(len(frames)) {
					t.Errorf("Info counts %d frames of %d", n, len(frames))
				}
				src.Close()
			}
		})
	}
}

// A frame stays valid until the following call, although its input may have ended or
// others are read meanwhile.
func TestMergeHandsOutTheRightOctets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		files := map[string][]byte{}
		type place struct{ at, number int }
		var want []place
		for i := range rapid.IntRange(1, 8).Draw(rt, "files") {
			times := rapid.SliceOfN(rapid.IntRange(0, 50), 1, 20).Draw(rt, "times")
			slices.Sort(times)
			files[fmt.Sprintf("%c", 'a'+i)] = stamped(byte(i), times...)
			for range times {
				want = append(want, place{number: i})
			}
		}
		s := gather(t, write(t, dir, files))
		src := s.Open()
		defer src.Close()
		if rapid.Bool().Draw(rt, "runs") {
			src = &inRuns{Source: src}
		}
		last := place{-1, -1}
		counts := map[int]uint64{}
		for range want {
			var f wire.Frame
			if err := src.Next(&f); err != nil {
				rt.Fatal(err)
			}
			in := f.ID.Input()
			if counts[in]++; f.ID.Number() != counts[in] {
				rt.Fatalf("frame %d of input %d comes as number %d", f.ID.Number(), in, counts[in])
			}
			if name := filepath.Base(s.Names()[in]); name[0] != 'a'+f.Data[0] || len(f.Data) != 60 {
				rt.Fatalf("frame %v has the octets of input %d", f.ID, f.Data[0])
			}
			here := place{int(f.At - now*1e9), in}
			if here.at < last.at {
				rt.Fatalf("%v after %v", here, last)
			}
			last = here
		}
		if err := src.Next(&wire.Frame{}); err != io.EOF {
			rt.Fatal(err)
		}
	})
}

// TestMergeOfRuns: inputs that hand out several frames at once are merged as those that
// hand out one by one, and the merge hands out the same by runs.
func TestMergeOfRuns(t *testing.T) {
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		files := map[string][]byte{}
		for i := range rapid.IntRange(1, 5).Draw(rt, "files") {
			far := rapid.SampledFrom([]int{5, 100, 1000}).Draw(rt, "far")
			times := rapid.SliceOfN(rapid.IntRange(0, far), 1, 100).Draw(rt, "times")
			if rapid.Bool().Draw(rt, "in order") {
				slices.Sort(times)
			}
			b := stamped(byte(i), times...)
			if at := rapid.IntRange(0, 4*len(b)).Draw(rt, "damage"); at >= pcapHeaderLen && at < len(b) {
				b[at] ^= 0xff
			}
			files[fmt.Sprintf("%c", 'a'+i)] = b[:len(b)-rapid.SampledFrom([]int{0, 0, 0, 5}).Draw(rt, "cut")]
		}
		names := write(t, t.TempDir(), files)
		oneByOne, err := Gather(names, func(name string) (Source, error) {
			src, err := Open(name)
			if err != nil {
				return nil, err
			}
			return struct{ Source }{src}, nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		want, wantDamage := readAll(t, oneByOne.Open())
		r := &inRuns{Source: gather(t, names).Open()}
		for how, src := range map[string]Source{"one by one": gather(t, names).Open(), "by runs": r} {
			got, damage := readAll(t, src)
			if d := cmp.Diff(want, got) + cmp.Diff(fmt.Sprint(wantDamage), fmt.Sprint(damage)); d != "" {
				rt.Fatalf("%s:\n%s", how, d)
			}
			src.Close()
		}
		runs += r.several
	})
	if runs < 100 {
		t.Errorf("only %d runs", runs)
	}
}

func TestMergeGoesOnBehindDamage(t *testing.T) {
	a, b := stamped(1, 10, 20), stamped(2, 15, 25, 35)
	dir := t.TempDir()
	s := gather(t, append(write(t, dir, map[string][]byte{"a": a[:len(a)-7], "b": b, "header": a[:9], "first": stamped(3, 1)[:50]}),
		Candidate{Name: filepath.Join(dir, "missing")}))
	frames, damage := readAll(t, s.Open())
	if got := strings.Join(frames, " "); got != "1:1@10 2:1@15 2:2@25 2:3@35" || len(damage) != 1 {
		t.Errorf("%s, %v", got, damage)
	}
	src := s.Open()
	readAll(t, src)
	var damaged []string
	for _, i := range Infos(src) {
		if i.Damaged > 0 {
			damaged = append(damaged, filepath.Base(i.Name))
		}
	}
	if diff := cmp.Diff([]string{"a", "first", "header"}, damaged); diff != "" {
		t.Error(diff)
	}
	if u := s.Unread(); len(u) != 1 || !errors.Is(u[0].Err, fs.ErrNotExist) {
		t.Errorf("unread: %v", u)
	}
}

// What a capturing program removes between the two looks is damage; the rest is read.
func TestMergeOfFileThatWent(t *testing.T) {
	dir := t.TempDir()
	s := gather(t, write(t, dir, map[string][]byte{"a": stamped(1, 10), "b": stamped(2, 20), "c": stamped(3, 30)}))
	if err := os.Remove(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	frames, damage := readAll(t, s.Open())
	if got := strings.Join(frames, " "); got != "1:1@10 3:1@30" || len(damage) != 1 || !errors.Is(damage[0], fs.ErrNotExist) {
		t.Errorf("%s, %v", got, damage)
	}
}

func TestGatherTellsFoundFromGiven(t *testing.T) {
	names := write(t, t.TempDir(), map[string][]byte{"text": []byte("not a capture at all")})
	if s := gather(t, names); len(s.Unread()) != 1 || len(s.Passed()) != 0 {
		t.Errorf("given: unread %v, passed %v", s.Unread(), s.Passed())
	}
	names[0].Found = true
	if s := gather(t, names); len(s.Unread()) != 0 || len(s.Passed()) != 1 {
		t.Errorf("found: unread %v, passed %v", s.Unread(), s.Passed())
	}
	if _, err := Gather(make([]Candidate, maxInputs+1), nil); err == nil {
		t.Error("no error for too many")
	}
}

func TestCompareNames(t *testing.T) {
	ordered := []string{"", "a", "a.pcap", "a.pcap1", "a.pcap2", "a.pcap10", "a01", "a1", "a1b", "a2", "a10", "b", "b00", "b0"}
	for i, a := range ordered {
		for j, b := range ordered {
			if x, y := compareNames(a, b), compareNames(b, a); x != -y || (x == 0) != (i == j) {
				t.Errorf("%q and %q: %d and %d", a, b, x, y)
			}
		}
	}
	if !slices.IsSortedFunc([]string{"x", "x2", "x10"}, compareNames) || !slices.IsSortedFunc([]string{"x02", "x2", "x10"}, compareNames) {
		t.Error("numbers do not count as numbers")
	}
}

// An input that cannot be opened again stays open from the first look on.
func TestMergeWithPipe(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		w.Write(stamped(2, 15, 35))
		w.Close()
	}()
	names := append(write(t, t.TempDir(), map[string][]byte{"a": stamped(1, 10, 20, 30)}), Candidate{Name: "-"})
	s, err := Gather(names, func(name string) (Source, error) {
		if name == "-" {
			return NewReader(r, name)
		}
		return Open(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	frames, _ := readAll(t, s.Open())
	if got := strings.Join(frames, " "); got != "1:1@10 2:1@15 1:2@20 1:3@30 2:2@35" {
		t.Error(got)
	}
}

// Close from another goroutine sets a merge free that waits for a pipe.
func TestMergeCloseWhileWaiting(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go w.Write(stamped(2, 15))
	names := append(write(t, t.TempDir(), map[string][]byte{"a": stamped(1, 10)}), Candidate{Name: "-"})
	s, err := Gather(names, func(name string) (Source, error) {
		if name == "-" {
			return NewReader(r, name)
		}
		return Open(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	src := s.Open()
	time.AfterFunc(20*time.Millisecond, func() { src.Close(); src.Close() })
	var f wire.Frame
	for err == nil {
		err = src.Next(&f)
	}
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v, want an error of a closed source", err)
	}
	if err = src.Next(&f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after that: %v", err)
	}
	if i := Infos(src); i[0].Frames != 1 || i[1].Frames != 1 {
		t.Errorf("handed out %d and %d frames", i[0].Frames, i[1].Frames)
	}
}

// openFiles counts this process's open files.
func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("wants /proc/self/fd to count open files: %v", err)
	}
	return len(fds)
}

// Of a rotation only the files whose time it is are open, and their buffers held.
func TestMergeOfThousandFilesIsBounded(t *testing.T) {
	const files, each = 1000, 3
	dir := t.TempDir()
	rotation, parallel := map[string][]byte{}, map[string][]byte{}
	for i := range files {
		rotation[fmt.Sprintf("rot%d", i)] = stamped(1, 10*i, 10*i+5, 10*i+10)
	}
	// Large enough for a full buffer each.
	var long []int
	for i := range 1000 {
		long = append(long, i)
	}
	for i := range 200 {
		parallel[fmt.Sprintf("par%d", i)] = stamped(1, long...)
	}
	before := openFiles(t)
	src := gather(t, write(t, dir, rotation)).Open()
	defer src.Close()
	var f wire.Frame
	for n := 0; ; n++ {
		err := src.Next(&f)
		if err == io.EOF {
			if n != files*each {
				t.Errorf("%d frames", n)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n%100 == 0 {
			if open := openFiles(t) - before; open > 4 {
				t.Fatalf("%d files are open", open)
			}
		}
	}

	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	names := write(t, dir, parallel)
	base := heap()
	all := gather(t, names).Open()
	defer all.Close()
	for range 100 * len(parallel) {
		if err := all.Next(&f); err != nil {
			t.Fatal(err)
		}
	}
	// fewOpen full buffers, and the smallest for the others.
	if grown, most := heap()-base, uint64((fewOpen+2)*bufferSize+len(parallel)*(bufferStart+8<<10)); grown > most {
		t.Errorf("%d open inputs hold %d KiB, more than %d", len(parallel), grown>>10, most>>10)
	}
}

func TestMergeAllocatesNothingPerFrame(t *testing.T) {
	var times []int
	for i := range 3000 {
		times = append(times, i)
	}
	src := gather(t, write(t, t.TempDir(), map[string][]byte{"a": stamped(1, times...), "b": stamped(2, times...)})).Open()
	defer src.Close()
	var f wire.Frame
	for range 1000 {
		src.Next(&f)
	}
	if n := testing.AllocsPerRun(3000, func() { src.Next(&f) }); n != 0 {
		t.Errorf("%v allocations for each frame", n)
	}
}

func BenchmarkMerge(b *testing.B) {
	var times []int
	for i := range 20000 {
		times = append(times, i)
	}
	for _, n := range []int{1, 2, 50} {
		files := map[string][]byte{}
		for i := range n {
			files[fmt.Sprint(i)] = stamped(1, times...)
		}
		set := gather(b, write(b, b.TempDir(), files))
		b.Run(fmt.Sprintf("inputs=%d", n), func(b *testing.B) {
			frames := 0
			for b.Loop() {
				src := set.Open()
				var f wire.Frame
				for src.Next(&f) == nil {
					frames++
				}
				src.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
		})
	}
}

// Wireshark's mergecap takes the smallest head too; of equal ones that of the file
// named last, so it gets the names in the opposite order.
func TestMergeAsMergecap(t *testing.T) {
	mergecap, err := exec.LookPath("mergecap")
	if err != nil {
		t.Skip("wants Wireshark's mergecap, to compare the order of frames with")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	files := map[string][]byte{}
	for i := range 7 {
		var times []int
		at := rng.IntN(100)
		for range 200 {
			at += rng.IntN(20)
			if rng.IntN(20) == 0 {
				at -= rng.IntN(min(50, at+1)) // back
			}
			times = append(times, at)
		}
		files[fmt.Sprint(i)] = stamped(byte(i), times...)
	}
	set := gather(t, write(t, dir, files))
	merged := filepath.Join(dir, "merged.pcapng")
	names := set.Names()
	slices.Reverse(names)
	if out, err := exec.Command(mergecap, append([]string{"-w", merged}, names...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ours, theirs := set.Open(), mustOpen(t)(Open(merged))
	defer ours.Close()
	defer theirs.Close()
	for n := 1; ; n++ {
		var f, g wire.Frame
		e1, e2 := ours.Next(&f), theirs.Next(&g)
		if e1 != e2 {
			t.Fatalf("frame %d: %v, and %v by mergecap", n, e1, e2)
		}
		if e1 == io.EOF {
			break
		}
		if f.At != g.At || f.Data[0] != g.Data[0] {
			t.Fatalf("frame %d: of file %d at %d, and of file %d at %d by mergecap", n, f.Data[0], f.At-now*1e9, g.Data[0], g.At-now*1e9)
		}
	}
}
