package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

// containerSamples are whole captures of the same three frames, and where the last
// of them begins. A new container adds itself here.
func containerSamples() map[string]struct {
	whole []byte
	last  int
} {
	samples := map[string]struct {
		whole []byte
		last  int
	}{}
	for name, o := range orders {
		p := pcapHead(o, pcapMagicNano, 2, 4, 0, 1)
		g := newNG(o).idb(1, 0, []byte{})
		var pLast, gLast int
		for i := range 3 {
			pLast, gLast = len(p), g.Len()
			p = append(p, pcapRec(o, now, uint32(i*1000), uint32(60+i), 100, octets(60+i))...)
			g.block(blockEnhanced, g.epbBody(0, now*1e6+uint64(i), uint32(60+i), 100, octets(60+i), g.opt(2, octets(4)), g.opt(0, nil)))
		}
		samples["pcap-"+name] = struct {
			whole []byte
			last  int
		}{p, pLast}
		samples["pcapng-"+name] = struct {
			whole []byte
			last  int
		}{g.Bytes(), gLast}
	}
	b := append([]byte(snoopMagic), 0, 0, 0, 2, 0, 0, 0, 4)
	var last int
	for i := range 3 {
		last = len(b)
		b = append(b, snoopRec(now, uint32(i), uint32(60+i), 100, octets(60+i))...)
	}
	samples["snoop"] = struct {
		whole []byte
		last  int
	}{b, last}
	return samples
}

// snoopRec is a record of a snoop file, padded as RFC 1761 wants it.
func snoopRec(sec, usec, caplen, length uint32, data []byte) []byte {
	o := binary.BigEndian
	for len(data)%4 != 0 {
		data = append(data[:len(data):len(data)], 0)
	}
	b := o.AppendUint32(nil, length)
	b = o.AppendUint32(b, caplen)
	b = o.AppendUint32(b, uint32(snoopRecordLen+len(data)))
	b = o.AppendUint32(b, 0)
	b = o.AppendUint32(b, sec)
	return append(o.AppendUint32(b, usec), data...)
}

func sampleFrames() (frames []kept) {
	for i := range 3 {
		frames = append(frames, kept{now*1e9 + wire.Time(i*1000), 1, 100, string(octets(60 + i))})
	}
	return frames
}

// sourceKinds are the ways to open a source over given octets. With waits set the
// source has to wait behind them, as on a pipe that stays open. A new kind adds
// itself here.
var sourceKinds = map[string]struct {
	open  func(t *testing.T, b []byte, waits bool) Source
	waits bool // whether it can wait
}{
	"file": {open: func(t *testing.T, b []byte, _ bool) Source {
		name := filepath.Join(t.TempDir(), "a.pcap")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return mustOpen(t)(Open(name))
	}},
	"memory": {open: func(t *testing.T, b []byte, _ bool) Source {
		return mustOpen(t)(NewReader(bytes.NewReader(b), "mem"))
	}},
	"reader": {waits: true, open: func(t *testing.T, b []byte, waits bool) Source {
		r, w := io.Pipe()
		t.Cleanup(func() { w.Close() })
		go feed(w, b, waits)
		return mustOpen(t)(NewReader(r, "pipe"))
	}},
	"reader by octet": {waits: true, open: func(t *testing.T, b []byte, waits bool) Source {
		r, w := io.Pipe()
		t.Cleanup(func() { w.Close() })
		go feed(w, b, waits)
		return mustOpen(t)(NewReader(iotest.OneByteReader(r), "pipe"))
	}},
	"standard input": {waits: true, open: func(t *testing.T, b []byte, waits bool) Source {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stdin := os.Stdin
		os.Stdin = r
		t.Cleanup(func() { os.Stdin = stdin; w.Close(); r.Close() })
		go feed(w, b, waits)
		return mustOpen(t)(Open("-"))
	}},
	"standard input from a file": {open: func(t *testing.T, b []byte, _ bool) Source {
		name := filepath.Join(t.TempDir(), "a.pcap")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		stdin := os.Stdin
		os.Stdin = f
		t.Cleanup(func() { os.Stdin = stdin; f.Close() })
		return mustOpen(t)(Open("-"))
	}},
}

func feed(w io.WriteCloser, b []byte, waits bool) {
	w.Write(b)
	if !waits {
		w.Close()
	}
}

func mustOpen(t *testing.T) func(Source, error) Source {
	return func(src Source, err error) Source {
		t.Helper()
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		return src
	}
}

func TestConformance(t *testing.T) {
	for kind, k := range sourceKinds {
		for name, c := range containerSamples() {
			t.Run(fmt.Sprintf("%s/%s", kind, name), func(t *testing.T) {
				t.Run("frames", func(t *testing.T) {
					src := k.open(t, c.whole, false)
					frames, damage := drain(t, src)
					if d := cmp.Diff(sampleFrames(), frames); d != "" || damage != nil {
						t.Errorf("%v %s", damage, d)
					}
					if n := src.Info().Bytes; n != int64(len(c.whole)) {
						t.Errorf("%d octets counted of %d", n, len(c.whole))
					}
				})
				t.Run("end twice", func(t *testing.T) {
					src := k.open(t, c.whole, false)
					defer src.Close()
					var f wire.Frame
					for range 3 {
						if err := src.Next(&f); err != nil {
							t.Fatal(err)
						}
					}
					for range 3 {
						if err := src.Next(&f); err != io.EOF {
							t.Errorf("at the end: %v", err)
						}
					}
				})
				t.Run("close twice", func(t *testing.T) {
					src := k.open(t, c.whole, false)
					for range 2 {
						if err := src.Close(); err != nil {
							t.Error(err)
						}
					}
					var f wire.Frame
					for range 2 {
						if err := src.Next(&f); !errors.Is(err, os.ErrClosed) {
							t.Errorf("after Close: %v", err)
						}
					}
				})
				t.Run("cut tail", func(t *testing.T) {
					for n := c.last + 1; n < len(c.whole); n += 1 + (len(c.whole)-n)/9 {
						frames, damage := drain(t, k.open(t, c.whole[:n], false))
						if d := cmp.Diff(sampleFrames()[:2], frames); d != "" {
							t.Error(d)
						}
						if len(damage) != 1 || damage[0].Offset != int64(c.last) || !errors.Is(damage[0], io.ErrUnexpectedEOF) {
							t.Errorf("cut at %d: %v", n, damage)
						}
					}
				})
				if !k.waits {
					return
				}
				t.Run("close frees a waiting Next", func(t *testing.T) {
					// Wait in a record and between two.
					for _, n := range []int{len(c.whole), c.last + 20} {
						src := k.open(t, c.whole[:n], true)
						ended := make(chan error, 1)
						got := make(chan int, 3)
						go func() {
							var f wire.Frame
							for i := 0; ; i++ {
								if err := src.Next(&f); err != nil {
									ended <- err
									return
								}
								got <- i
							}
						}()
						for range 2 {
							<-got
						}
						time.Sleep(time.Millisecond)
						src.Close()
						select {
						case err := <-ended:
							if !errors.Is(err, os.ErrClosed) || errors.As(err, new(*DamageError)) {
								t.Errorf("after Close: %v", err)
							}
						case <-time.After(10 * time.Second):
							t.Fatal("Next still waits after Close")
						}
					}
				})
			})
		}
	}
}

// Each frame is handed out as soon as its last octet came, while the writer holds
// back what follows.
func TestFollowsPipe(t *testing.T) {
	for name, c := range containerSamples() {
		for _, chunk := range []int{1, 7, 1 << 20} {
			r, w := io.Pipe()
			step := make(chan struct{})
			go func() {
				// A reader that waited for more than the frame would never let the
				// writer go on.
				sent := 0
				for _, end := range frameEnds(name, c.whole) {
					for sent < end {
						n := min(chunk, end-sent)
						w.Write(c.whole[sent : sent+n])
						sent += n
					}
					<-step
				}
				w.Close()
			}()
			src := mustOpen(t)(NewReader(r, "pipe"))
			var f wire.Frame
			for i, want := range sampleFrames() {
				if err := src.Next(&f); err != nil || keep(&f) != want {
					t.Fatalf("%s in pieces of %d: frame %d: %v", name, chunk, i+1, err)
				}
				step <- struct{}{}
			}
			if err := src.Next(&f); err != io.EOF {
				t.Error(err)
			}
			src.Close()
		}
	}
}

// frameEnds returns where the frames of a sample end.
func frameEnds(name string, b []byte) (ends []int) {
	var o binary.ByteOrder = binary.LittleEndian
	if name == "pcap-big" || name == "pcapng-big" {
		o = binary.BigEndian
	}
	if name == "snoop" {
		for at := snoopHeaderLen; at < len(b); ends = append(ends, at) {
			at += int(binary.BigEndian.Uint32(b[at+8:]))
		}
		return ends
	}
	if name == "pcap-big" || name == "pcap-little" {
		for at := pcapHeaderLen; at < len(b); ends = append(ends, at) {
			at += pcapRecordLen + int(o.Uint32(b[at+8:]))
		}
		return ends
	}
	for at := 0; at < len(b); {
		packet := o.Uint32(b[at:]) == blockEnhanced
		at += int(o.Uint32(b[at+4:]))
		if packet {
			ends = append(ends, at)
		}
	}
	return ends
}

// A frame costs no allocation, in any format, byte order and packing, from memory and
// through a pipe.
func TestNoAllocations(t *testing.T) {
	for name, o := range orders {
		p := pcapHead(o, pcapMagicMicro, 2, 4, 0, 1)
		g := newNG(o).idb(1, 0)
		for i := range 20000 {
			p = append(p, pcapRec(o, uint32(i), 0, uint32(i%1500), 1500, octets(i%1500))...)
			g.epb(0, uint64(i), octets(i%1500))
		}
		s := append([]byte(snoopMagic), 0, 0, 0, 2, 0, 0, 0, 4)
		for i := range 20000 {
			s = append(s, snoopRec(uint32(i), 0, uint32(i%1500), 1500, octets(i%1500))...)
		}
		formats := map[string][]byte{"pcap": p, "pcapng": g.Bytes(), "snoop": s}
		for with := range packers {
			if with != "xz" { // the library allocates with each chunk
				formats["pcap in "+with] = pack(t, with, p)
			}
		}
		for format, b := range formats {
			for how, r := range map[string]io.Reader{"memory": bytes.NewReader(b), "patient": struct{ io.Reader }{bytes.NewReader(b)}} {
				src := mustOpen(t)(NewReader(r, "mem"))
				var f wire.Frame
				// What an unpacker needs once does not count.
				for range 1000 {
					if err := src.Next(&f); err != nil {
						t.Fatal(err)
					}
				}
				allocs := testing.AllocsPerRun(18000, func() {
					if err := src.Next(&f); err != nil {
						t.Fatal(err)
					}
				})
				if allocs != 0 {
					t.Errorf("%s %s from %s: %v allocations a frame", format, name, how, allocs)
				}
				src.Close()
			}
		}
	}
}

// A header's claim never sizes memory: little input, little memory.
func TestMemoryBounded(t *testing.T) {
	o := binary.LittleEndian
	claims := map[string][]byte{
		"pcap": append(pcapHead(o, pcapMagicMicro, 2, 4, 1<<32-1, uint32(linkDBus)), pcapRec(o, 0, 0, maxHugeFrame, maxHugeFrame, octets(99))...),
		"pcapng": func() []byte {
			w := newNG(o).idb(uint16(linkDBus), 1<<32-1)
			return w.raw(blockEnhanced, maxHugeFrame+32, w.epbBody(0, 0, maxHugeFrame, maxHugeFrame, octets(99)), 0).Bytes()
		}(),
		"section":   newNG(o).raw(blockSection, 1<<32-4, append(o.AppendUint32(nil, byteOrderMagic), 1, 0, 0, 0), 0).Bytes(),
		"interface": newNG(o).raw(blockInterface, maxOptions, octets(99), 0).Bytes(),
	}
	for name, b := range claims {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		src := mustOpen(t)(NewReader(bytes.NewReader(b), "mem"))
		_, damage := drain(t, src)
		runtime.ReadMemStats(&after)
		if len(damage) != 1 {
			t.Fatalf("%s: %v", name, damage)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > bufferSize+64<<10 {
			t.Errorf("%s: %d octets of input made the source allocate %d", name, len(b), n)
		}
	}
}
