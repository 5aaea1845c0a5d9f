package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcplife/tcplife/wire"
)

// benchFrames is enough for a file that no cache holds: 45 MB, 226 octets a frame
// on average.
const benchFrames = 200_000

func benchCaptures() map[string][]byte {
	o := binary.LittleEndian
	p := pcapHead(o, pcapMagicMicro, 2, 4, 0, 1)
	g := newNG(o).idb(1, 0)
	data := octets(1500)
	for i := range benchFrames {
		n := 54 + i%13
		if i%8 == 7 {
			n = 1400
		}
		p = append(p, pcapRec(o, uint32(i/1000), uint32(i%1000), uint32(n), uint32(n), data[:n])...)
		g.epb(0, uint64(i), data[:n])
	}
	return map[string][]byte{"pcap": p, "pcapng": g.Bytes()}
}

// BenchmarkFormats reads one capture in every format and packing from a file in the
// page cache, beside plain pcap. ns/op is per frame, MB/s of what a packing unpacks
// to.
func BenchmarkFormats(b *testing.B) {
	o := binary.LittleEndian
	// Headers repeat, payloads are half text and half noise: packed to a third or so,
	// like captures are.
	rnd := rand.New(rand.NewSource(1))
	p := pcapHead(o, pcapMagicMicro, 2, 4, 0, 1)
	g := newNG(o).idb(1, 0)
	s := append([]byte(snoopMagic), 0, 0, 0, 2, 0, 0, 0, 4)
	data := octets(1500)
	for i := range benchFrames {
		n := 54 + i%13
		if i%8 == 7 {
			n = 1400
		}
		binary.BigEndian.PutUint32(data[38:], rnd.Uint32())
		rnd.Read(data[60+rnd.Intn(700):][:700])
		p = append(p, pcapRec(o, uint32(i/1000), uint32(i%1000), uint32(n), uint32(n), data[:n])...)
		g.epb(0, uint64(i), data[:n])
		s = append(s, snoopRec(uint32(i/1000), uint32(i%1000), uint32(n), uint32(n), data[:n])...)
	}
	files := map[string][]byte{"pcap": p, "pcapng": g.Bytes(), "snoop": s}
	for with := range packers {
		files["pcap in "+with] = pack(b, with, p)
	}
	for _, format := range slices.Sorted(maps.Keys(files)) {
		name := filepath.Join(b.TempDir(), "a")
		if err := os.WriteFile(name, files[format], 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(format, func(b *testing.B) {
			b.SetBytes(int64(len(p) / benchFrames))
			b.ReportAllocs()
			for n := 0; n < b.N; {
				src, err := Open(name)
				if err != nil {
					b.Fatal(err)
				}
				var f wire.Frame
				for n < b.N && src.Next(&f) == nil {
					n++
				}
				src.Close()
			}
		})
	}
}

// BenchmarkReader reads whole captures, by this package and by pcapgo, from memory
// and from a file in the page cache. ns/op is per frame.
func BenchmarkReader(b *testing.B) {
	for format, whole := range benchCaptures() {
		name := filepath.Join(b.TempDir(), format)
		if err := os.WriteFile(name, whole, 0o600); err != nil {
			b.Fatal(err)
		}
		memory := func() io.ReadCloser { return io.NopCloser(bytes.NewReader(whole)) }
		file := func() io.ReadCloser {
			f, err := os.Open(name)
			if err != nil {
				b.Fatal(err)
			}
			return f
		}
		own := func(b *testing.B, r io.Reader) func() error {
			if _, ok := r.(*os.File); !ok {
				r = bytes.NewReader(whole) // without the closer, which hides that it never waits
			}
			src, err := NewReader(r, format)
			if err != nil {
				b.Fatal(err)
			}
			var f wire.Frame
			return func() error { return src.Next(&f) }
		}
		theirs := func(b *testing.B, r io.Reader) func() error {
			var z interface {
				ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
			}
			var err error
			if format == "pcap" {
				z, err = pcapgo.NewReader(r)
			} else {
				z, err = pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true})
			}
			if err != nil {
				b.Fatal(err)
			}
			return func() error { _, _, err := z.ZeroCopyReadPacketData(); return err }
		}
		for from, open := range map[string]func() io.ReadCloser{"memory": memory, "file": file} {
			for who, start := range map[string]func(*testing.B, io.Reader) func() error{"own": own, "pcapgo": theirs} {
				b.Run(format+"/"+from+"/"+who, func(b *testing.B) {
					b.SetBytes(int64(len(whole) / benchFrames))
					b.ReportAllocs()
					for n := 0; n < b.N; {
						r := open()
						next := start(b, r)
						for n < b.N && next() == nil {
							n++
						}
						r.Close()
					}
				})
			}
		}
	}
}

// BenchmarkOpen is the cost of a source over a tiny capture: what many small files
// cost.
func BenchmarkOpen(b *testing.B) {
	o := binary.LittleEndian
	small := append(pcapHead(o, pcapMagicMicro, 2, 4, 0, 1), pcapRec(o, 1, 0, 60, 60, octets(60))...)
	inputs := map[string][]byte{"pcap": small}
	for with := range packers {
		inputs["pcap in "+with] = pack(b, with, small)
	}
	for _, format := range slices.Sorted(maps.Keys(inputs)) {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				src, err := NewReader(bytes.NewReader(inputs[format]), "mem")
				if err != nil {
					b.Fatal(err)
				}
				src.Close()
			}
		})
	}
}
