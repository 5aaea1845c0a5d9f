package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/zstd"

	"github.com/tcplife/tcplife/wire"
)

// noTime is the time of an oracle's frame that bears none, or one that wire.Time
// cannot hold.
const noTime wire.Time = math.MinInt64

// pcapgoRead reads a capture with gopacket's pcapgo, the second opinion of these
// tests. err is nil when it came to the regular end.
func pcapgoRead(b []byte) (frames []kept, err error) {
	r := bytes.NewReader(b)
	if len(b) >= 4 && binary.BigEndian.Uint32(b) == blockSection {
		ng, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, err
		}
		return pcapgoDrain(ng.ReadPacketData, func(ci gopacket.CaptureInfo) wire.LinkType {
			return wire.LinkType(ci.AncillaryData[0].(layers.LinkType))
		})
	}
	p, err := pcapgo.NewReader(r)
	if err != nil {
		return nil, err
	}
	return pcapgoDrain(p.ReadPacketData, func(gopacket.CaptureInfo) wire.LinkType { return wire.LinkType(p.LinkType()) })
}

func pcapgoDrain(next func() ([]byte, gopacket.CaptureInfo, error), link func(gopacket.CaptureInfo) wire.LinkType) (frames []kept, err error) {
	for {
		data, ci, err := next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		// Length is raised as this package does, and a frame without time has none.
		k := kept{Link: link(ci), Length: uint32(max(ci.Length, len(data))), Data: string(data)}
		if y := ci.Timestamp.Year(); y > 1678 && y < 2262 {
			k.At = wire.Time(ci.Timestamp.UnixNano())
		} else {
			k.At = noTime
		}
		frames = append(frames, k)
	}
}

// sameFrames compares what was read with the oracle's frames, which end earlier
// when it stopped at damage.
func sameFrames(t testing.TB, info Info, got, want []kept) {
	t.Helper()
	if len(got) < len(want) {
		t.Fatalf("%d frames, pcapgo reads %d", len(got), len(want))
	}
	times := comparableTimes(info)
	stray := uint64(0)
	for i, w := range want {
		g := got[i]
		// pcapgo's product of microseconds and 1000 wraps in pcap files.
		wrapped := info.Format == "pcap" && (g.At-w.At)%(1<<32) == 0
		// A time that has not come yet: see TestStrayTimes.
		if g.At != w.At && yetToCome(w.At) && stray < info.Stray {
			stray++
			g.At = w.At
		}
		if !times || w.At == noTime || wrapped {
			g.At, w.At = 0, 0
		}
		if g != w {
			t.Fatalf("frame %d differs from pcapgo's:\n%s", i+1, cmp.Diff(w, g))
		}
	}
}

// comparableTimes reports whether pcapgo can read the interfaces' clocks; those it
// cannot are pinned in TestWherePcapgoDiffers.
func comparableTimes(info Info) bool {
	for _, i := range info.Interfaces {
		switch i.Resolution {
		case 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e12, 1e15, 1e18:
		default:
			return false
		}
	}
	return true
}

func wireTime(at time.Time, nano bool) wire.Time {
	if !nano {
		at = at.Truncate(time.Microsecond)
	}
	return wire.Time(at.UnixNano())
}

func wireLink(l layers.LinkType) wire.LinkType { return wire.LinkType(l) }

// unpacked returns what a capture of the corpus was packed from, or itself.
func unpacked(b []byte) []byte {
	var r io.Reader
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return b
		}
		r = z
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(bytes.NewReader(b))
		if err != nil {
			return b
		}
		defer z.Close()
		r = z
	default:
		return b
	}
	inside, _ := io.ReadAll(r)
	return inside
}

// corpus calls visit with each capture of a folder of the shared corpus.
func corpus(t *testing.T, visit func(t *testing.T, name string, b []byte)) {
	for _, folder := range []string{"pcap", "no-tcp", "malformed", "synthetic"} {
		dir := filepath.Join("..", "..", "shared", "corpus", folder)
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Skipf("wants the captures in %s, to read what others recorded: %v", dir, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(filepath.Join(dir, file.Name()))
			if err != nil {
				t.Fatal(err)
			}
			t.Run(folder+"/"+file.Name(), func(t *testing.T) { visit(t, folder+"/"+file.Name(), b) })
		}
	}
}
