package capture

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

const now = 1700000000

// Two sections of different byte order with interfaces of their own, each kind of
// packet block, and blocks that are passed over.
func TestPcapngSections(t *testing.T) {
	a := newNG(binary.BigEndian)
	a.idb(1, 40, a.opt(2, []byte("eth0\x00")), a.opt(3, []byte("uplink")), a.opt(0, nil))
	a.idb(113, 0, a.opt(9, []byte{9}), a.opt(14, a.AppendUint64(nil, uint64(math.MaxUint64-4)))) // 5 s less
	a.block(4, octets(8)).block(10, octets(12)).block(0xbad, octets(4)).block(0xbad, nil)
	a.epb(0, now*1e6+7, octets(33), a.opt(1, []byte("comment")), a.opt(0, nil))
	a.epb(1, now*1e9+7, octets(14))
	a.spb(100, octets(40)).spb(20, octets(20))
	a.opb(1, now*1e9, octets(5))
	a.isb(0, a.opt(4, a.AppendUint64(nil, 1)))
	a.isb(0, a.opt(4, a.AppendUint64(nil, 100)), a.opt(5, a.AppendUint64(nil, 3)), a.opt(7, a.AppendUint64(nil, 4)))
	b := newNG(binary.LittleEndian)
	b.Reset()
	b.shb(1, 2).idb(276, 0, b.opt(9, []byte{0x80 | 20})).epb(0, now<<20|1<<19, octets(3))
	b.isb(9, b.opt(4, b.AppendUint64(nil, 100)))
	frames, damage, info := read(t, append(a.Bytes(), b.Bytes()...))
	want := []kept{
		{now*1e9 + 7000, 1, 33, string(octets(33))},
		{(now-5)*1e9 + 7, 113, 14, string(octets(14))},
		{(now-5)*1e9 + 7, 1, 100, string(octets(40))},
		{(now-5)*1e9 + 7, 1, 20, string(octets(20))},
		{(now - 5) * 1e9, 113, 5, string(octets(5))},
		{now*1e9 + 5e8, 276, 3, string(octets(3))},
	}
	if d := cmp.Diff(want, frames); d != "" || damage != nil {
		t.Errorf("%v %s", damage, d)
	}
	wantInfo := Info{
		Name: "mem", Format: "pcapng", Frames: 6, Untimed: 2, Bytes: int64(a.Len() + b.Len()),
		Interfaces: []Interface{
			{Link: 1, SnapLen: 40, Name: "eth0", Description: "uplink", Resolution: 1e6, Received: 100, Dropped: 7, Counted: true},
			{Link: 113, Resolution: 1e9, Received: 2 + 7, Dropped: 7, Counted: true},
			{Link: 276, Resolution: 1 << 20},
		},
		Passed: map[uint32]uint64{4: 1, 10: 1, 0xbad: 2, blockStatistics: 1},
	}
	if d := cmp.Diff(wantInfo, info); d != "" {
		t.Error(d)
	}
}

// A record of wrong content in a block of right length costs that record only.
func TestPcapngGoesOn(t *testing.T) {
	for name, o := range orders {
		for _, c := range []struct {
			want string
			bad  func(w *ng)
		}{
			{"packet of interface 3, which the section has not described", func(w *ng) { w.epb(3, 0, octets(9)) }},
			{"packet of interface 65535, which", func(w *ng) { w.opb(65535, 0, octets(9)) }},
			{"packet of 41 captured octets in a block of 72", func(w *ng) { w.block(blockEnhanced, w.epbBody(0, 0, 41, 41, octets(40))) }},
			{"packet of 4294967295 captured octets", func(w *ng) { w.block(blockEnhanced, w.epbBody(0, 0, 1<<32-1, 41, octets(40))) }},
			{"packet block of 28 octets", func(w *ng) { w.block(blockEnhanced, octets(16)) }},
			{"packet block of 12 octets", func(w *ng) { w.block(blockPacket, nil) }},
			{"record claims 262145 captured octets", func(w *ng) { w.epb(0, 0, octets(maxFrame+1)) }},
			{"packet block of 16777300 octets, of which the packet has 9", func(w *ng) { w.epb(0, 0, octets(9), make([]byte, maxOptions+40)) }},
			{"impossible time", func(w *ng) { w.epb(0, 1<<63, octets(9)) }},
			{"simple packet of 41 captured octets", func(w *ng) { w.spb(41, octets(40)) }},
			{"simple packet block of 12 octets", func(w *ng) { w.block(blockSimple, nil) }},
			{"description of interface 1 in a block of 16 octets", func(w *ng) { w.block(blockInterface, octets(4)) }},
			{"option of interface 1 longer than its block", func(w *ng) { w.idb(1, 0, w.opt(2, octets(9))[:8]) }},
			{"interface statistics in a block of 16", func(w *ng) { w.block(blockStatistics, octets(4)) }},
			{"option of interface statistics longer", func(w *ng) { w.isb(0, w.opt(2, octets(9))[:8]) }},
		} {
			w := newNG(o).idb(1, 0).epb(0, now*1e6, octets(60))
			at := w.Len()
			c.bad(w)
			w.idb(101, 0).epb(0, now*1e6, octets(61))
			frames, damage, info := read(t, w.Bytes())
			if len(frames) != 2 || len(damage) != 1 || damage[0].Offset != int64(at) || !strings.HasPrefix(damage[0].What, c.want) {
				t.Errorf("%s: %d frames, damage %v at %d, want %q at %d", name, len(frames), damage, damage[0].Offset, c.want, at)
			}
			if info.Bytes != int64(w.Len()) {
				t.Errorf("%s: %s: %d of %d octets read", name, c.want, info.Bytes, w.Len())
			}
		}
	}
}

// A description that cannot be read keeps its number.
func TestPcapngBrokenInterface(t *testing.T) {
	w := newNG(binary.LittleEndian).block(blockInterface, octets(4)).idb(101, 0).epb(0, 0, octets(4)).spb(4, octets(4)).epb(1, 0, octets(5))
	frames, damage, _ := read(t, w.Bytes())
	if len(frames) != 1 || frames[0].Link != 101 || len(damage) != 3 {
		t.Errorf("frames %v, damage %v", frames, damage)
	}
}

// Behind lengths that lead nowhere the next block is found.
func TestPcapngFindsBlocks(t *testing.T) {
	for name, o := range orders {
		for _, c := range []struct {
			want string
			bad  func(w *ng)
		}{
			{"block claims a length of 11 octets", func(w *ng) { w.raw(99, 11, nil, 11) }},
			{"packet block of 0 octets", func(w *ng) { w.raw(blockEnhanced, 0, octets(60), 0) }},
			{"block claims 60 octets at its begin and 64 at its end", func(w *ng) { w.raw(99, 60, octets(48), 64) }},
			{"block claims 72 octets at its begin and 0 at its end", func(w *ng) { w.raw(blockEnhanced, 72, w.epbBody(0, 0, 40, 40, octets(40)), 0) }},
			{"block claims 72 octets at its begin and 0 at its end", func(w *ng) { w.raw(blockEnhanced, 72, w.epbBody(7, 0, 40, 40, octets(40)), 0) }},
			{"block claims 4294967295 octets, more than any block has", func(w *ng) { w.raw(99, 1<<32-1, octets(60), 72) }},
			{"section header whose byte order magic is 00000000", func(w *ng) { w.block(blockSection, make([]byte, 16)) }},
			{"section header of 16 octets", func(w *ng) { w.block(blockSection, w.AppendUint32(nil, byteOrderMagic)) }},
		} {
			w := newNG(o).idb(1, 0).epb(0, now*1e6, octets(60))
			at := w.Len()
			c.bad(w)
			next := w.Len()
			w.epb(0, now*1e6, octets(61)).epb(0, now*1e6, octets(62))
			frames, damage, _ := read(t, w.Bytes())
			if len(frames) != 3 || !strings.HasSuffix(damage[0].What, fmt.Sprintf("; %d octets are passed over, and reading goes on with the block at byte %d", next-at, next)) || len(damage) != 1 || damage[0].Offset != int64(at) || !strings.HasPrefix(damage[0].What, c.want) {
				t.Errorf("%s: %d frames, damage %v, want %q at %d", name, len(frames), damage, c.want, at)
			}
		}
	}
}

// A block's length that is no multiple of four, with the padding in the file.
func TestPcapngUnaligned(t *testing.T) {
	w := newNG(binary.LittleEndian).idb(1, 0)
	w.raw(blockEnhanced, 32+57, w.epbBody(0, 1e6, 57, 57, octets(57)), 32+57)
	w.raw(0xbad, 13, octets(4), 13)
	w.epb(0, 2e6, octets(3))
	frames, damage, _ := read(t, w.Bytes())
	if want := []kept{{1e9, 1, 57, string(octets(57))}, {2e9, 1, 3, string(octets(3))}}; cmp.Diff(want, frames) != "" || damage != nil {
		t.Errorf("frames %v, damage %v", frames, damage)
	}
}

func TestPcapngUnknownVersion(t *testing.T) {
	w := newNG(binary.LittleEndian).idb(1, 0).epb(0, 1e6, octets(3))
	at := w.Len()
	w.shb(2, 0).idb(1, 0).epb(0, 1e6, octets(3)).shb(1, 2).idb(1, 0).epb(0, 2e6, octets(4))
	frames, damage, info := read(t, w.Bytes())
	if len(frames) != 2 || len(damage) != 1 || damage[0].Offset != int64(at) || !strings.Contains(damage[0].What, "version 2.0") {
		t.Errorf("frames %v, damage %v", frames, damage)
	}
	if d := cmp.Diff(map[uint32]uint64{blockInterface: 1, blockEnhanced: 1}, info.Passed); d != "" {
		t.Error(d)
	}
}

// What a hostile input makes the source remember is bounded.
func TestPcapngBounds(t *testing.T) {
	w := newNG(binary.LittleEndian)
	name := w.opt(2, octets(60000))
	for range 50 {
		w.idb(1, 0, name)
	}
	for range maxSectionInterfaces {
		w.idb(1, 0)
	}
	for i := range uint32(1000) {
		w.block(0x80000000+i, nil)
	}
	w.isb(maxSectionInterfaces-1, w.opt(4, octets(8)))
	w.epb(maxSectionInterfaces-1, 1e6, octets(4))
	w.epb(maxSectionInterfaces, 1e6, octets(4))
	frames, damage, info := read(t, w.Bytes())
	if len(frames) != 1 || len(damage) != 50+1 {
		t.Errorf("%d frames, %d damages", len(frames), len(damage))
	}
	if len(info.Interfaces) != maxInterfaces || len(info.Passed) > maxPassedTypes+1 || info.Passed[0] != 1001-maxPassedTypes {
		t.Errorf("%d interfaces, %d types passed, %d of type 0", len(info.Interfaces), len(info.Passed), info.Passed[0])
	}
	if n := len(info.Interfaces[0].Name); n > 3*maxInterfaceTag {
		t.Errorf("a name of %d octets was kept", n)
	}
	w = newNG(binary.LittleEndian)
	for range 2 * maxDamage {
		w.epb(0, 0, nil)
	}
	if _, damage, info := read(t, w.Bytes()); len(info.Damage) != maxDamage || len(damage) != 2*maxDamage || info.Damaged != 2*maxDamage {
		t.Errorf("%d damages kept, %d returned, %d counted", len(info.Damage), len(damage), info.Damaged)
	}
}

// The clock agrees with exact arithmetic for every resolution, offset and stamp.
func TestClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		resolution := rapid.Byte().Draw(t, "resolution")
		offset := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(-20e9, 20e9), rapid.Int64()).Draw(t, "offset")
		stamp := rapid.Uint64().Draw(t, "stamp")
		if rapid.Bool().Draw(t, "near") {
			// Stamps whose instant lies near the ends of wire.Time's range are rare
			// by chance: start from the instant.
			edge := new(big.Int).SetInt64(rapid.SampledFrom([]int64{math.MinInt64, 0, math.MaxInt64}).Draw(t, "edge"))
			edge.Sub(edge, new(big.Int).Mul(big.NewInt(offset), big.NewInt(1e9)))
			edge.Mul(edge, unitsPerSecond(resolution)).Quo(edge, big.NewInt(1e9))
			edge.Add(edge, big.NewInt(rapid.Int64Range(-3, 3).Draw(t, "delta")))
			if edge.IsUint64() {
				stamp = edge.Uint64()
			} else if edge.IsInt64() {
				stamp = uint64(edge.Int64())
			}
		}
		c := newClock(resolution, offset)
		got, ok := c.time(stamp)

		want := exactTime(new(big.Int).SetUint64(stamp), resolution, offset)
		if !want.IsInt64() && int64(stamp) < 0 {
			want = exactTime(big.NewInt(int64(stamp)), resolution, offset)
			if want.IsInt64() && want.Int64() == math.MinInt64 {
				t.Skip("the one instant that has no opposite")
			}
		}
		if ok != want.IsInt64() || ok && got != wire.Time(want.Int64()) {
			t.Errorf("resolution %#x offset %d stamp %d: %d %v, want %v", resolution, offset, stamp, got, ok, want)
		}
	})
}

// exactTime returns the nanoseconds of a stamp.
func exactTime(stamp *big.Int, resolution byte, offset int64) *big.Int {
	t := new(big.Int).Mul(stamp, big.NewInt(1e9))
	t.Quo(t, unitsPerSecond(resolution))
	return t.Add(t, new(big.Int).Mul(big.NewInt(offset), big.NewInt(1e9)))
}

// Microseconds before the epoch, written as a negative number.
func TestClockBeforeEpoch(t *testing.T) {
	c := newClock(6, 0)
	if got, ok := c.time(^uint64(505_500_000) + 1); !ok || got != -505.5e9 {
		t.Errorf("got %d, %v", got, ok)
	}
}

func unitsPerSecond(resolution byte) *big.Int {
	if resolution&0x80 != 0 {
		return new(big.Int).Lsh(big.NewInt(1), uint(resolution&0x7f))
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(resolution)), nil)
}

func TestClockPerSecond(t *testing.T) {
	for r, want := range map[byte]uint64{0: 1, 6: 1e6, 19: 1e19, 20: math.MaxUint64, 0x80: 1, 0x80 | 63: 1 << 63, 0xff: math.MaxUint64} {
		if c := newClock(r, 0); c.perSecond() != want {
			t.Errorf("resolution %#x: %d units a second, want %d", r, c.perSecond(), want)
		}
	}
}
