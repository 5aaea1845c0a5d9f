package capture

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"github.com/tcplife/tcplife/wire"
)

// packer compresses, and can be told to let out what it holds back.
type packer interface {
	io.WriteCloser
	Flush() error
}

// packers write what the packings read. bzip2 is missing: nobody writes it in Go.
var packers = map[string]func(w io.Writer) packer{
	"gzip": func(w io.Writer) packer { return gzip.NewWriter(w) },
	"zstd": func(w io.Writer) packer { z, _ := zstd.NewWriter(w); return z },
	"lz4":  func(w io.Writer) packer { return lz4.NewWriter(w) },
	"xz": func(w io.Writer) packer {
		z, err := xz.WriterConfig{DictCap: 64 << 10}.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return noFlush{z}
	},
}

// noFlush is a packer that cannot let anything out before its end.
type noFlush struct{ io.WriteCloser }

func (noFlush) Flush() error { return errors.ErrUnsupported }

func pack(t testing.TB, with string, b []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := packers[with](&packed)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// packedSample is the pcap sample in each packing; bzip2's was packed by its own
// program.
func packedSample(t testing.TB) map[string][]byte {
	samples := map[string][]byte{}
	for name := range packers {
		samples[name] = pack(t, name, containerSamples()["pcap-little"].whole)
	}
	b, err := os.ReadFile(filepath.Join("testdata", "three-frames.pcap.bz2"))
	if err != nil {
		t.Fatal(err)
	}
	samples["bzip2"] = b
	return samples
}

// Every container reads the same through every packing and every kind of source.
func TestPackings(t *testing.T) {
	for kind, k := range sourceKinds {
		for with := range packers {
			for name, c := range containerSamples() {
				src := k.open(t, pack(t, with, c.whole), false)
				frames, damage := drain(t, src)
				info := src.Info()
				if d := cmp.Diff(sampleFrames(), frames); d != "" || damage != nil {
					t.Errorf("%s in %s from %s: %v %s", name, with, kind, damage, d)
				}
				if info.Bytes != int64(len(c.whole)) || !cmp.Equal(info.Packing, []string{with}) {
					t.Errorf("%s in %s from %s: %d octets of %d, packing %v", name, with, kind, info.Bytes, len(c.whole), info.Packing)
				}
			}
		}
	}
	frames, damage, info := read(t, packedSample(t)["bzip2"])
	if d := cmp.Diff(sampleFrames(), frames); d != "" || damage != nil || !cmp.Equal(info.Packing, []string{"bzip2"}) {
		t.Errorf("bzip2: %v %s", damage, d)
	}
}

// No packing claims what another or a container claims.
func TestPackingClaimsAreDisjoint(t *testing.T) {
	for with, b := range packedSample(t) {
		var claims []string
		for _, c := range containers {
			if c.match(b[:headLen]) {
				claims = append(claims, c.name)
			}
		}
		for _, p := range packings {
			if p.match(b[:headLen]) {
				claims = append(claims, p.name)
			}
			for i := range headLen {
				p.match(b[:i]) // short inputs are asked about too
			}
		}
		if !cmp.Equal(claims, []string{with}) {
			t.Errorf("%s is claimed by %v", with, claims)
		}
	}
}

func TestNestedPackings(t *testing.T) {
	sample := containerSamples()["pcapng-big"].whole
	frames, damage, info := read(t, pack(t, "gzip", pack(t, "zstd", sample)))
	if d := cmp.Diff(sampleFrames(), frames); d != "" || damage != nil || !cmp.Equal(info.Packing, []string{"gzip", "zstd"}) {
		t.Errorf("packing %v, damage %v %s", info.Packing, damage, d)
	}
	// Packed once more than allowed.
	b := sample
	for range maxPackings + 1 {
		b = pack(t, "gzip", b)
	}
	_, err := NewReader(bytes.NewReader(b), "f")
	if err == nil || !strings.HasPrefix(err.Error(), "open f: compressed more than 4 times over (gzip and gzip") || errors.As(err, new(*DamageError)) {
		t.Error(err)
	}
}

// Several members, frames or streams one after the other are one input; zeros behind
// gzip's last member are none of it.
func TestPackedInSeries(t *testing.T) {
	b := containerSamples()["pcap-big"].whole
	skippable := binary.LittleEndian.AppendUint32([]byte{0x57, 0x2a, 0x4d, 0x18}, 3)
	skippable = append(skippable, 1, 2, 3)
	for with := range packers {
		one, two := pack(t, with, b[:50]), pack(t, with, b[50:])
		inputs := map[string][]byte{"two": append(one[:len(one):len(one)], two...)}
		switch with {
		case "gzip":
			inputs["zeros behind"] = append(inputs["two"][:len(inputs["two"]):len(inputs["two"])], make([]byte, 70000)...)
		case "zstd":
			inputs["skippable first"] = bytes.Join([][]byte{skippable, one, skippable, two}, nil)
		}
		for name, input := range inputs {
			frames, damage, _ := read(t, input)
			if d := cmp.Diff(sampleFrames(), frames); d != "" || damage != nil {
				t.Errorf("%s, %s: %v %s", with, name, damage, d)
			}
		}
	}
	frames, damage, _ := read(t, append(pack(t, "gzip", b), "rubbish"...))
	if len(frames) != 3 || len(damage) != 1 || damage[0].What != "the gzip data is damaged: what follows its end is not gzip" {
		t.Errorf("%d frames, damage %v", len(frames), damage)
	}
}

// What the programs themselves write, with flags that change the format.
func TestPackedByPrograms(t *testing.T) {
	sample := containerSamples()["pcap-little"].whole
	for _, command := range []string{
		"gzip -c", "gzip -1 -n -c", "zstd -c", "zstd --no-check -19 --long=27 -c", "lz4 -c", "lz4 -l -c", "lz4 -BD -B4 -BX -c",
		"lz4 --no-frame-crc --content-size -9 -c", "xz -c", "xz -C sha256 -9e -c", "xz -C none -0 -c", "bzip2 -c", "pzstd -c",
	} {
		args := strings.Fields(command)
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Logf("wants %s, to read what it writes: %v", args[0], err)
			continue
		}
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, sample, 0o600); err != nil {
			t.Fatal(err)
		}
		packed, err := exec.Command(args[0], append(args[1:], name)...).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		frames, damage, _ := read(t, packed)
		if d := cmp.Diff(sampleFrames(), frames); d != "" || damage != nil {
			t.Errorf("%s: %v %s", command, damage, d)
		}
	}
}

// Cut anywhere, what was unpacked before the cut is read, and the cut is said.
func TestPackedCut(t *testing.T) {
	for with, whole := range packedSample(t) {
		for n := range whole {
			if n < headLen {
				continue
			}
			src, err := NewReader(bytes.NewReader(whole[:n]), "f")
			var d *DamageError
			if err != nil {
				if !errors.As(err, &d) || d.Frame != 1 || d.Offset != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%s cut at %d of %d: %v", with, n, len(whole), err)
				}
				continue
			}
			frames, damage := drain(t, src)
			if len(frames) > 3 || !cmp.Equal(frames, sampleFrames()[:len(frames):len(frames)]) && len(frames) > 0 {
				t.Fatalf("%s cut at %d: other frames: %v", with, n, frames)
			}
			if len(damage) != 1 || damage[0].What != "the "+with+" data is cut off" || !errors.Is(damage[0], io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut at %d of %d: %d frames, damage %v", with, n, len(whole), len(frames), damage)
			}
		}
	}
}

// A wrong bit behind the head is found, and the frame and byte named.
func TestPackedDamage(t *testing.T) {
	for with, whole := range packedSample(t) {
		missed := 0
		for i := headLen; i < len(whole); i++ {
			b := bytes.Clone(whole)
			b[i] ^= 0x10
			src, err := NewReader(bytes.NewReader(b), "f")
			if err != nil {
				continue
			}
			frames, damage := drain(t, src)
			if damage == nil {
				if missed++; !cmp.Equal(frames, sampleFrames()) {
					t.Errorf("%s: a bit of octet %d changes what is read, and nobody notices", with, i)
				}
				continue
			}
			if !strings.HasPrefix(damage[0].Error(), fmt.Sprintf("f: frame %d at byte %d unpacked from %s: ", damage[0].Frame, damage[0].Offset, with)) {
				t.Errorf("%v", damage[0])
			}
		}
		// gzip's header and the sizes in zstd's have fields that no checksum covers.
		if missed > 8 {
			t.Errorf("%s: %d wrong bits are missed", with, missed)
		}
	}
}

// What is inside may be no capture, or nothing.
func TestPackedForeign(t *testing.T) {
	for inside, want := range map[string]string{
		"frame 1":               "open f: not a capture that tcplife reads, but gzip around text (",
		"":                      "f: frame 1 at byte 0 unpacked from gzip: the input is empty (",
		"\xd4\xc3\xb2":          "f: frame 1 at byte 0 unpacked from gzip: the input ends after 3 octets, inside the file header",
		"\xd4\xc3\xb2\xa1\x02":  "f: frame 1 at byte 0 unpacked from gzip: file header of 24 octets cut off after 5",
		tarOf("a.pcap", "rest"): "open f: not a capture that tcplife reads, but gzip around a tar archive (unpack it first, for example: tar -xO CAPTURE -f FILE | tcplife analyze -",
	} {
		_, err := NewReader(bytes.NewReader(pack(t, "gzip", []byte(inside))), "f")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func tarOf(name, content string) string {
	b := make([]byte, 1024)
	copy(b, name)
	copy(b[257:], "ustar")
	copy(b[512:], content)
	return string(b)
}

// A frame that the packer let out is handed out while the pipe stays open.
func TestFollowsPackedPipe(t *testing.T) {
	for with, newPacker := range packers {
		if with == "xz" {
			continue // its writer cannot let anything out
		}
		for name, c := range containerSamples() {
			r, w := io.Pipe()
			step := make(chan struct{})
			go func() {
				z := newPacker(w)
				sent := 0
				for _, end := range frameEnds(name, c.whole) {
					z.Write(c.whole[sent:end])
					z.Flush()
					sent = end
					<-step
				}
				z.Close()
				w.Close()
			}()
			src := mustOpen(t)(NewReader(r, "pipe"))
			for i, want := range sampleFrames() {
				got := make(chan error, 1)
				var f wire.Frame
				go func() { got <- src.Next(&f) }()
				select {
				case err := <-got:
					if err != nil || keep(&f) != want {
						t.Fatalf("%s in %s: frame %d: %v", name, with, i+1, err)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("%s in %s: frame %d was let out and is held back", name, with, i+1)
				}
				step <- struct{}{}
			}
			var f wire.Frame
			if err := src.Next(&f); err != io.EOF {
				t.Error(err)
			}
			src.Close()
		}
	}
}

// Close ends the unpacker, wherever it is: waiting for a reader, for room, or behind
// the end.
func TestClosePacked(t *testing.T) {
	before := runtime.NumGoroutine()
	o := binary.LittleEndian
	large := pcapHead(o, pcapMagicMicro, 2, 4, 0, 1)
	for i := range 3000 {
		large = append(large, pcapRec(o, uint32(i), 0, 1400, 1400, octets(1400))...)
	}
	for with := range packers {
		b := pack(t, "gzip", pack(t, with, large))
		for _, n := range []int{0, 1, 2999, 3000, 3001} {
			for _, waits := range []bool{false, true} {
				r, w := io.Pipe()
				go feed(w, b, waits)
				src := mustOpen(t)(NewReader(r, "pipe"))
				var f wire.Frame
				for i := range n {
					if waits && i == 2990 {
						break // the last block may be held back
					}
					if err := src.Next(&f); err != nil && (err != io.EOF || i < 3000) {
						t.Fatalf("%s: frame %d: %v", with, i+1, err)
					}
				}
				for range 2 {
					if err := src.Close(); err != nil {
						t.Error(err)
					}
				}
				if err := src.Next(&f); !errors.Is(err, os.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
				w.Close() // the pipe is the caller's; its abandoned Read ends with it
			}
		}
	}
	for wait := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(wait) > 10*time.Second {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}

// Close frees a Next that waits for a packed pipe.
func TestClosePackedFreesNext(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(containerSamples()["pcap-big"].whole)
	z.Flush()
	for kind, k := range sourceKinds {
		if !k.waits {
			continue
		}
		src := k.open(t, packed.Bytes(), true)
		var f wire.Frame
		for range 3 {
			if err := src.Next(&f); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error, 1)
		go func() { ended <- src.Next(&f) }()
		time.Sleep(time.Millisecond)
		src.Close()
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: %v", kind, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: Next still waits after Close", kind)
		}
	}
}

// A little input that unpacks to very much takes no more memory than any other.
func TestBomb(t *testing.T) {
	const size = 64 << 20
	for _, with := range []string{"gzip", "zstd", "lz4"} {
		var packed bytes.Buffer
		z := packers[with](&packed)
		// Records of a quarter megabyte of zeros.
		o := binary.LittleEndian
		z.Write(pcapHead(o, pcapMagicMicro, 2, 4, 0, 1))
		rec := pcapRec(o, 1, 0, maxFrame, maxFrame, make([]byte, maxFrame))
		for range size / maxFrame {
			z.Write(rec)
		}
		z.Close()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		src := mustOpen(t)(NewReader(bytes.NewReader(packed.Bytes()), "mem"))
		var f wire.Frame
		n := 0
		for src.Next(&f) == nil {
			n++
		}
		runtime.ReadMemStats(&after)
		if n != size/maxFrame {
			t.Errorf("%s: %d frames", with, n)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
			t.Errorf("%s: %d octets that unpack to %d took %d octets of memory", with, packed.Len(), size, got)
		}
		src.Close()
	}
}

// What would need more memory than it gets is refused, with the way out, and is not
// called damaged.
func TestPackedWindow(t *testing.T) {
	// A frame of zstd with a window of 2^28 octets (RFC 8878 section 3.1.1.1), and a
	// block of xz with a dictionary of 512 MiB.
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, (28 - 10) << 3, 0x01, 0x00, 0x00}
	block := pack(t, "xz", octets(50))
	i := bytes.Index(block, []byte{0x21, 0x01})
	block[i+2] = 34
	for want, b := range map[string][]byte{
		"open f: the zstd data cannot be unpacked: unpacking it takes more memory than tcplife gives to one input (zstd --long=27 at most; use: zstd -dc": frame,
		"open f: the xz data cannot be unpacked: unpacking it takes more memory than tcplife gives to one input (a dictionary of 512 MiB, and 128":        block,
	} {
		_, err := NewReader(bytes.NewReader(b), "f")
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.As(err, new(*DamageError)) || !errors.Is(err, errWindow) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// A reader that fails beneath the unpacker is no damage of what it packed.
func TestPackedReadingFails(t *testing.T) {
	broken := errors.New("stale file handle")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(containerSamples()["pcap-big"].whole)
	z.Flush()
	src := mustOpen(t)(NewReader(io.MultiReader(&packed, errorReader{broken}), "f"))
	frames, damage := drain(t, src)
	if len(frames) != 3 || len(damage) != 1 || !errors.Is(damage[0], broken) || !strings.Contains(damage[0].What, "reading failed at byte") {
		t.Errorf("%d frames, damage %v", len(frames), damage)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// The ring hands over all octets in order, whatever the sizes on both sides.
func TestAhead(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	want := make([]byte, 5*aheadMax)
	rnd.Read(want)
	for _, size := range []int{1 << 10, 48 << 10, 3 << 20} {
		a := newAhead(io.NopCloser(nil))
		go func() {
			sizes := rand.New(rand.NewSource(2))
			for left := want; len(left) > 0; {
				n := min(len(left), 1+sizes.Intn(size))
				a.Write(left[:n])
				left = left[n:]
			}
			a.mu.Lock()
			a.err = io.EOF
			a.mu.Unlock()
			a.more.Signal()
		}()
		var got []byte
		b := make([]byte, size)
		for {
			n, err := a.Read(b[:1+rnd.Intn(size)])
			got = append(got, b[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("size %d: %d octets of %d, or others", size, len(got), len(want))
		}
	}
}

// The file for bzip2 is the sample.
func TestBzip2Sample(t *testing.T) {
	b, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(packedSample(t)["bzip2"])))
	if err != nil || !bytes.Equal(b, containerSamples()["pcap-little"].whole) {
		t.Errorf("testdata/three-frames.pcap.bz2 is not the sample pcap-little: %v", err)
	}
}
