package record

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// rawFrame is a segment between two ports, of so many octets.
func rawFrame(n uint64, port uint16, size int) wire.Frame {
	b := make([]byte, max(size, 40))
	copy(b, []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[20:], port)
	binary.BigEndian.PutUint16(b[22:], 443)
	binary.BigEndian.PutUint64(b[24:], n) // the numbers
	b[32] = 0x50
	return wire.Frame{ID: wire.NewFrameID(0, n), At: wire.Time(n), Link: wire.LinkRaw, Data: b, Length: uint32(len(b))}
}

func endsOf(port uint16) wire.Tuple {
	return wire.Tuple{Src: wire.AddrFrom4([]byte{10, 0, 0, 2}), Dst: wire.AddrFrom4([]byte{10, 0, 0, 1}), SrcPort: 443, DstPort: port}
}

// A ring holds the last frames, whatever their sizes, unchanged but for their ends; how
// many depends on its size alone.
func TestRingHoldsTheLastFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 40000).Draw(t, "size")
		r := NewRing(size)
		var all []wire.Frame
		sizes := rapid.SliceOfN(rapid.IntRange(40, 400), 1, 600).Draw(t, "sizes")
		for i, n := range sizes {
			f := rawFrame(uint64(i+1), uint16(1+i%3), n)
			all = append(all, f)
			r.Add(&f)
		}
		kept, _ := r.Frames()
		if kept == 0 || kept > len(all) {
			t.Fatalf("%d frames kept of %d", kept, len(all))
		}
		last := all[len(all)-kept:]
		for port := range 3 {
			got, missing := r.Take(endsOf(uint16(port + 1)))
			if missing != 0 {
				t.Fatal(missing)
			}
			for _, f := range last {
				if binary.BigEndian.Uint16(f.Data[20:]) != uint16(port+1) {
					continue
				}
				if len(got) == 0 || got[0].ID != f.ID || got[0].At != f.At || got[0].Length != f.Length || !bytes.Equal(got[0].Data, f.Data[:min(len(f.Data), RingHead)]) {
					t.Fatalf("frame %d is missing or changed", f.ID.Number())
				}
				got = got[1:]
			}
			if len(got) > 0 {
				t.Fatalf("%d frames too many", len(got))
			}
		}
		// Nothing is forgotten that there is room for: at most a frame's worth is unused.
		if octets := len(all) * RingHead; octets+RingHead <= len(r.octets) && len(all) <= len(r.slots) && kept != len(all) {
			t.Fatalf("%d of %d frames kept, and there is room", kept, len(all))
		}
	})
}

// A full ring costs nothing but its octets.
func TestRingAllocatesNothing(t *testing.T) {
	r := NewRing(1 << 16)
	n := uint64(0)
	add := func() {
		n++
		f := &benchFrames[n%uint64(len(benchFrames))]
		f.ID = wire.NewFrameID(0, n)
		r.Add(f)
	}
	for range 5000 {
		add()
	}
	if got := testing.AllocsPerRun(1000, add); got != 0 {
		t.Errorf("%v allocations for each frame", got)
	}
}

var benchFrames = func() (all []wire.Frame) {
	for i := range 64 {
		all = append(all, rawFrame(uint64(i), uint16(i), 60+i))
	}
	return all
}()

func BenchmarkRingAdd(b *testing.B) {
	r := NewRing(1 << 20)
	b.ReportAllocs()
	for i := range b.N {
		r.Add(&benchFrames[i%len(benchFrames)])
	}
}

// The fragments of a segment come with it, those of others do not.
func TestRingTakesFragments(t *testing.T) {
	r := NewRing(1 << 16)
	whole := rawFrame(1, 7, 120)
	piece := func(n uint64, id byte, from, to int, more bool) {
		b := append(append([]byte{}, whole.Data[:20]...), whole.Data[20+from:20+to]...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		b[5], b[7] = id, byte(from/8)
		if more {
			b[6] = 0x20
		}
		r.Add(&wire.Frame{ID: wire.NewFrameID(0, n), At: wire.Time(n), Link: wire.LinkRaw, Data: b, Length: uint32(len(b))})
	}
	piece(1, 1, 40, 100, false)
	piece(2, 2, 0, 40, true) // never whole
	piece(3, 1, 0, 40, true)
	got, _ := r.Take(endsOf(7))
	if len(got) != 2 || got[0].ID.Number() != 1 || got[1].ID.Number() != 3 {
		t.Errorf("%d frames: %v", len(got), got)
	}
}
