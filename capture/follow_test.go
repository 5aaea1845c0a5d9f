package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// heard is what a live source handed out.
type heard struct {
	numbers []uint32 // what stands in the frames
	ids     []uint64
	gaps    []*Gap
	damage  []*DamageError
	err     error
}

// listen reads a live source until it has said nothing for a while, or ended.
func listen(t *testing.T, src Live, quiet time.Duration) (h heard) {
	t.Helper()
	var f wire.Frame
	for {
		err := src.NextWithin(&f, quiet)
		var gap *Gap
		var damage *DamageError
		switch {
		case err == nil:
			h.numbers = append(h.numbers, binary.BigEndian.Uint32(f.Data))
			h.ids = append(h.ids, f.ID.Number())
		case err == ErrNoFrame:
			return h
		case errors.As(err, &gap):
			h.gaps = append(h.gaps, gap)
		case errors.As(err, &damage):
			h.damage = append(h.damage, damage)
		default:
			h.err = err
			return h
		}
	}
}

// numbered is a record that holds its number, so many seconds after the first.
func numbered(n uint32) []byte {
	o := binary.LittleEndian
	data := binary.BigEndian.AppendUint32(nil, n)
	return pcapRec(o, 1_700_000_000+n, 5, uint32(len(data)), uint32(len(data)), data)
}

func pcapOf(from, to uint32) []byte {
	b := pcapHead(binary.LittleEndian, pcapMagicMicro, 2, 4, 65535, 1)
	for n := from; n < to; n++ {
		b = append(b, numbered(n)...)
	}
	return b
}

func upTo(n uint32) (all []uint32) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func appendTo(t *testing.T, name string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

const quiet = 200 * time.Millisecond

// TestFollow: a file that does not exist yet, and then grows by a few octets at a time,
// gives its frames as they become whole, and damage is nothing but damage.
func TestFollow(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "growing.pcap")
	src, err := Follow(name)
	if err != nil {
		t.Fatal(err)
	}
	var all heard
	take := func(want int) {
		t.Helper()
		h := listen(t, src, quiet)
		all.numbers, all.ids = append(all.numbers, h.numbers...), append(all.ids, h.ids...)
		if len(all.numbers) != want || h.err != nil || len(h.gaps)+len(h.damage) > 0 {
			t.Fatalf("%d frames, want %d; %v %v %v", len(all.numbers), want, h.err, h.gaps, h.damage)
		}
	}
	take(0)
	whole := pcapOf(0, 5)
	appendTo(t, name, whole[:3]) // not even the magic number
	take(0)
	appendTo(t, name, whole[3:30]) // the header and some of the first record
	take(0)
	one := len(whole) - 3*len(numbered(0)) - 2
	appendTo(t, name, whole[30:one])
	take(1)
	appendTo(t, name, whole[one:])
	take(5)
	for n := uint32(5); n < 9; n++ {
		appendTo(t, name, numbered(n))
	}
	take(9)
	if !slices.Equal(all.numbers, upTo(9)) || all.ids[8] != 9 {
		t.Errorf("frames %v, numbered %v", all.numbers, all.ids)
	}
	if info := Infos(src)[0]; info.Name != name {
		t.Errorf("Info: %+v", info)
	}
	src.Close()
	if h := listen(t, src, 10*time.Second); h.err == nil || h.err == io.EOF || len(h.damage) > 0 {
		t.Errorf("after Close: %v, damage %v", h.err, h.damage)
	}
}

// TestFollowClosed: whenever a file that is followed is closed, that is no damage to it.
func TestFollowClosed(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.pcap")
	appendTo(t, name, pcapOf(0, 3))
	for i := range 40 {
		src, err := Follow(name)
		if err != nil {
			t.Fatal(err)
		}
		// Close meets the reader in its pauses, which are of followPause, and between.
		h := listen(t, src, time.Duration(i)*followPause/30)
		src.Close()
		end := listen(t, src, 10*time.Second)
		if len(h.damage)+len(end.damage) > 0 || end.err == nil || end.err == io.EOF {
			t.Fatalf("round %d: damage %v %v, then %v", i, h.damage, end.damage, end.err)
		}
		if info := Infos(src)[0]; info.Damaged > 0 {
			t.Fatalf("round %d: the file is said to be damaged: %v", i, info.Damage)
		}
	}
}

// TestFollowAnew: a file that is begun anew while it is followed is a gap, not damage.
func TestFollowAnew(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.pcap")
	appendTo(t, name, pcapOf(0, 5))
	src, err := Follow(name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if h := listen(t, src, quiet); len(h.numbers) != 5 {
		t.Fatalf("%d frames", len(h.numbers))
	}
	if err := os.WriteFile(name, pcapOf(9, 10), 0o666); err != nil {
		t.Fatal(err)
	}
	h := listen(t, src, 5*time.Second)
	if len(h.gaps) != 1 || !strings.Contains(h.gaps[0].Error(), "written anew") || h.err != io.EOF {
		t.Errorf("gaps %v, then %v", h.gaps, h.err)
	}
}

// TestFollowRefuses: what can be known at once is said at once.
func TestFollowRefuses(t *testing.T) {
	if os.Getuid() != 0 && runtime.GOOS != "windows" {
		locked := filepath.Join(t.TempDir(), "locked")
		os.WriteFile(locked, nil, 0)
		if _, err := Follow(locked); err == nil {
			t.Error("a file that may not be read was opened")
		}
	}
	name := filepath.Join(t.TempDir(), "a.txt")
	os.WriteFile(name, []byte(strings.Repeat("no capture at all\n", 10)), 0o666)
	src, err := Follow(name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var foreign *FormatError
	if h := listen(t, src, 5*time.Second); !errors.As(h.err, &foreign) {
		t.Errorf("a text is followed: %v", h.err)
	}
}

// snatched is a rotation of which a file is compressed, and taken away, between two moments:
// it is the next one, and it is opened.
type snatched struct {
	*rotation
	take func(name string)
}

func (s *snatched) next(f *following) (string, bool) {
	name, ok := s.rotation.next(f)
	s.take(name)
	return name, ok
}

// TestFollowCompressedMeanwhile: while a file is chosen and not open yet its compressor
// (tcpdump -z) is done with it. Its frames come from what is there now, none is missing or
// comes twice, and it is no damage; a file that is simply gone is.
func TestFollowCompressedMeanwhile(t *testing.T) {
	folder := t.TempDir()
	name := func(n int) string { return filepath.Join(folder, fmt.Sprintf("cap.pcap%d", n)) }
	for n := range 4 {
		if err := os.WriteFile(name(n), pcapOf(uint32(4*n), uint32(4*n+4)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f := &following{info: Info{Name: folder, Passed: map[uint32]uint64{}}, stop: make(chan struct{})}
	f.files = &snatched{newRotation(folder, f), func(chosen string) {
		switch chosen {
		case name(1):
			if err := os.WriteFile(chosen+".gz", pack(t, "gzip", pcapOf(4, 8)), 0o666); err != nil {
				t.Error(err)
			}
			os.Remove(chosen)
		case name(2):
			os.Remove(chosen)
		}
	}}
	src := Patiently(f)
	defer src.Close()
	var h heard
	for range 150 {
		more := listen(t, src, quiet)
		h.numbers, h.damage, h.err = append(h.numbers, more.numbers...), append(h.damage, more.damage...), more.err
		if len(h.numbers) >= 12 || h.err != nil {
			break
		}
	}
	want := append(upTo(8), 12, 13, 14, 15)
	if !slices.Equal(h.numbers, want) || h.err != nil {
		t.Errorf("%v, %v: want %v", h.numbers, h.err, want)
	}
	if len(h.damage) != 1 || !strings.Contains(h.damage[0].Error(), "cap.pcap2") {
		t.Errorf("damage: %v", h.damage)
	}
}

// TestFollowFolder: the files of a rotation are read in the order of their frames, those
// that come later too; what is no capture is passed over, and a file that is compressed
// or touched afterwards is not read again.
func TestFollowFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("cap.pcap2", pcapOf(4, 8))
	write("cap.pcap1", pcapOf(0, 4)) // the earlier frames, whatever the name and its time
	write("notes.txt", []byte("the tap is on the second floor, ask for the key at the desk\n"))
	write(".hidden", pcapOf(90, 91))
	os.Mkdir(filepath.Join(folder, "deeper"), 0o777)
	src, err := Follow(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var all heard
	take := func(want int) {
		t.Helper()
		for range 150 { // a folder is looked through four times a second, and machines may be busy
			h := listen(t, src, quiet)
			all.numbers, all.ids = append(all.numbers, h.numbers...), append(all.ids, h.ids...)
			if h.err != nil || len(h.gaps)+len(h.damage) > 0 {
				t.Fatalf("%v %v %v", h.err, h.gaps, h.damage)
			}
			if len(all.numbers) >= want {
				break
			}
		}
		if len(all.numbers) != want {
			t.Fatalf("%d frames, want %d: %v", len(all.numbers), want, all.numbers)
		}
	}
	take(8)
	appendTo(t, filepath.Join(folder, "cap.pcap2"), numbered(8))
	take(9)
	appendTo(t, filepath.Join(folder, "cap.pcap2"), numbered(9))
	write("cap.pcap10", nil) // the next one is begun; then its header, then its frames
	take(10)
	write("cap.pcap10", pcapOf(0, 0))
	take(10)
	appendTo(t, filepath.Join(folder, "cap.pcap10"), numbered(10))
	take(11)
	// The first octets of what compresses a file come long before its first frame can
	// be read from them.
	packed := pack(t, "gzip", pcapOf(4, 10))
	for _, n := range []int{0, 10, 40} {
		write("cap.pcap2.gz", packed[:n])
		take(11)
	}
	write("cap.pcap2.gz", packed)
	take(11)
	os.Remove(filepath.Join(folder, "cap.pcap2"))
	later := time.Now().Add(time.Minute)
	os.Chtimes(filepath.Join(folder, "cap.pcap1"), later, later)
	appendTo(t, filepath.Join(folder, "cap.pcap10"), numbered(11))
	take(12)
	// A ring of files takes the first name again.
	write("cap.pcap1", pcapOf(12, 14))
	take(14)
	if !slices.Equal(all.numbers, upTo(14)) {
		t.Errorf("frames %v", all.numbers)
	}
	for i, id := range all.ids {
		if id != uint64(i+1) {
			t.Fatalf("frames are numbered %v", all.ids)
		}
	}
}

// TestFollowTcpdump: what a real program rotates is read once and whole: by size, and in
// a ring of files.
func TestFollowTcpdump(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("wants tcpdump, to rotate files: apt-get install tcpdump")
	}
	// tcpdump reads its packets from a pipe, slowly, and writes files of 1 kB.
	for _, ring := range []string{"", "40"} {
		t.Run("ring "+ring, func(t *testing.T) {
			folder := t.TempDir()
			src, err := Follow(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			args := []string{"-U", "-r", "-", "-w", filepath.Join(folder, "cap"), "-C", "1"}
			if ring != "" {
				args = append(args, "-W", ring)
			}
			if os.Getuid() == 0 {
				args = append(args, "-Z", "root")
			}
			c := exec.Command("tcpdump", args...)
			c.Stderr = io.Discard
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			const frames = 300
			go func() {
				defer in.Close()
				in.Write(pcapHead(binary.LittleEndian, pcapMagicMicro, 2, 4, 65535, 1))
				for n := range uint32(frames) {
					data := append(binary.BigEndian.AppendUint32(nil, n), bytes.Repeat([]byte{1}, 60_000)...)
					in.Write(pcapRec(binary.LittleEndian, 1_700_000_000+n, 0, uint32(len(data)), uint32(len(data)), data))
					if n%20 == 0 {
						time.Sleep(30 * time.Millisecond)
					}
				}
			}()
			h := listen(t, src, 3*time.Second)
			c.Wait()
			files, _ := os.ReadDir(folder)
			if len(files) < 10 {
				t.Fatalf("tcpdump made %d files", len(files))
			}
			if !slices.Equal(h.numbers, upTo(frames)) || len(h.gaps)+len(h.damage) > 0 {
				t.Errorf("%d frames of %d from %d files, gaps %v, damage %v", len(h.numbers), frames, len(files), h.gaps, h.damage)
			}
		})
	}
}

// TestPatiently: a source that waits is read in the background, hands out every frame
// unchanged, waits no longer than it is told, and ends with the other one's end.
func TestPatiently(t *testing.T) {
	r, w := io.Pipe()
	inner := Lazily("pipe", func() (Source, error) { return NewReader(r, "pipe") })
	src := Patiently(inner)
	if Patiently(src) != src {
		t.Error("a live source is wrapped once more")
	}
	begin := time.Now()
	if h := listen(t, src, 50*time.Millisecond); h.err != nil || len(h.numbers) > 0 {
		t.Errorf("before the header: %+v", h)
	}
	if took := time.Since(begin); took > 5*time.Second || took < 50*time.Millisecond {
		t.Errorf("it waited %v", took)
	}
	const frames = 3 * mostWaiting / 2 // more than are read ahead
	go func() {
		w.Write(pcapOf(0, 1))
		for n := uint32(1); n < frames; n++ {
			w.Write(numbered(n))
		}
		w.Close()
	}()
	h := listen(t, src, 20*time.Second)
	if !slices.Equal(h.numbers, upTo(frames)) || h.err != io.EOF {
		t.Errorf("%d frames, %v", len(h.numbers), h.err)
	}
	if info := Infos(src)[0]; info.Frames != frames || info.Format != "pcap" {
		t.Errorf("%+v", info)
	}
	var f wire.Frame
	if err := src.NextWithin(&f, 0); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestPatientlyClosed: Close ends it, wherever it waits, and leaves no goroutine behind.
func TestPatientlyClosed(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, at := range []string{"header", "frame", "room"} {
		r, w := io.Pipe()
		src := Patiently(Lazily("pipe", func() (Source, error) { return NewReader(r, "pipe") }))
		switch at {
		case "frame":
			w.Write(pcapOf(0, 3))
			listen(t, src, quiet)
		case "room":
			go func() {
				w.Write(pcapOf(0, 1))
				for n := uint32(1); ; n++ {
					if _, err := w.Write(numbered(n)); err != nil {
						return
					}
				}
			}()
			time.Sleep(quiet)
		}
		done := make(chan error)
		go func() { done <- listen(t, src, 100*time.Millisecond).err }()
		src.Close()
		w.CloseWithError(errors.New("over")) // sets the abandoned Read free
		select {
		case err := <-done:
			if err == nil && at != "header" {
				t.Errorf("%s: it goes on after Close", at)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits for ever", at)
		}
	}
	for wait := time.Millisecond; runtime.NumGoroutine() > before; wait *= 2 {
		if wait > 4*time.Second {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(wait)
	}
}

func TestGapError(t *testing.T) {
	for _, x := range []struct {
		g    Gap
		want string
	}{{Gap{Name: "eth0", What: "the interface went down"}, "eth0: the interface went down"}, {Gap{Name: "eth0", What: "the ring was full", Frames: 7}, "eth0: the ring was full (7 frames are missing)"}} {
		if got := fmt.Sprint(&x.g); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}
