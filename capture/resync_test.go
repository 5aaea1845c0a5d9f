package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// damageable is a capture of frames as they are, and where each record or block
// with a frame begins and ends.
type damageable struct {
	name       string
	whole      []byte
	frames     []kept
	starts     []int
	ends       []int
	afterHeads int // where the first of them begins
}

// damageables are captures of real frames and of as many of random octets, in each
// container and byte order. limit bounds their number.
func damageables(t *testing.T, limit int) (all []damageable) {
	var frames []kept
	for _, name := range []string{"lost-final-ack", "half-close"} {
		b, err := os.ReadFile(filepath.Join("..", "testdata", "pcaps", name+".pcap"))
		if err != nil {
			t.Fatal(err)
		}
		more, _, _ := read(t, b)
		for _, f := range more {
			// The second capture follows the first within an hour.
			if n := len(frames); f.Link == 1 && n > 0 {
				f.At = frames[n-1].At + (f.At-more[0].At)%3600e9
			}
			frames = append(frames, f)
		}
	}
	// As much again of data that nothing is known of, with as many zeros as octets.
	rnd := rand.New(rand.NewSource(7))
	at := frames[len(frames)-1].At
	for range 40 {
		data := make([]byte, 54+rnd.Intn(1400))
		for i := range data {
			if rnd.Intn(2) == 0 {
				data[i] = byte(rnd.Intn(256))
			}
		}
		at = at.Add(1e6)
		frames = append(frames, kept{at, 1, uint32(len(data)), string(data)})
	}
	frames = frames[:min(len(frames), limit)]
	for i := range frames {
		frames[i].At -= frames[i].At % 1000
	}
	for name, o := range orders {
		p := damageable{name: "pcap " + name, whole: pcapHead(o, pcapMagicMicro, 2, 4, 262144, 1)}
		n := damageable{name: "nanosecond pcap " + name, whole: pcapHead(o, pcapMagicNano, 2, 4, 262144, 1)}
		w := newNG(o).idb(1, 0)
		g := damageable{name: "pcapng " + name}
		for _, f := range frames {
			size := uint32(len(f.Data))
			p.starts, n.starts, g.starts = append(p.starts, len(p.whole)), append(n.starts, len(n.whole)), append(g.starts, w.Len())
			p.whole = append(p.whole, pcapRec(o, uint32(f.At/1e9), uint32(f.At%1e9/1000), size, f.Length, []byte(f.Data))...)
			n.whole = append(n.whole, pcapRec(o, uint32(f.At/1e9), uint32(f.At%1e9), size, f.Length, []byte(f.Data))...)
			w.block(blockEnhanced, w.epbBody(0, uint64(f.At/1000), size, f.Length, []byte(f.Data)))
			p.ends, n.ends, g.ends = append(p.ends, len(p.whole)), append(n.ends, len(n.whole)), append(g.ends, w.Len())
		}
		g.whole = w.Bytes()
		all = append(all, p, n, g)
	}
	s := damageable{name: "snoop", whole: append([]byte(snoopMagic), 0, 0, 0, 2, 0, 0, 0, 4)}
	for _, f := range frames {
		s.starts = append(s.starts, len(s.whole))
		s.whole = append(s.whole, snoopRec(uint32(f.At/1e9), uint32(f.At%1e9/1000), uint32(len(f.Data)), f.Length, []byte(f.Data))...)
		s.ends = append(s.ends, len(s.whole))
	}
	all = append(all, s)
	for i := range all {
		all[i].frames, all[i].afterHeads = frames, all[i].starts[0]
	}
	return all
}

// readAll reads b, or says why it cannot be opened.
func readOctets(t *testing.T, b []byte) ([]kept, []*DamageError, error) {
	src, err := NewReader(bytes.NewReader(b), "mem")
	if err != nil {
		return nil, nil, err
	}
	frames, damage := drain(t, src)
	return frames, damage, nil
}

// Cut at any octet, a capture yields the frames that are whole, and says what it
// lacks unless the cut is between two records.
func TestCutAnywhere(t *testing.T) {
	for _, c := range damageables(t, 15) {
		for n := range len(c.whole) {
			frames, damage, err := readOctets(t, c.whole[:n])
			if err != nil {
				if n < headLen && c.name == "snoop" {
					continue // "snoop" is a word
				}
				if n >= c.afterHeads || !errors.As(err, new(*DamageError)) {
					t.Fatalf("%s cut at %d: %v", c.name, n, err)
				}
				continue
			}
			whole, _ := slices.BinarySearch(c.ends, n+1)
			if len(frames) != whole || whole > 0 && !slices.Equal(frames, c.frames[:whole]) {
				t.Fatalf("%s cut at %d: %d frames of %d, or others", c.name, n, len(frames), whole)
			}
			between := n == c.afterHeads || slices.Contains(c.ends, n) || n < c.afterHeads && strings.HasPrefix(c.name, "pcapng") && n == sectionMin
			if between != (damage == nil) || len(damage) > 1 || damage != nil && !errors.Is(damage[0], io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut at %d: damage %v", c.name, n, damage)
			}
		}
	}
}

// outcome is how reading a damaged capture went.
type outcome struct{ real, invented, lost int }

func (o outcome) String() string {
	return fmt.Sprintf("%d of the frames are read, %d are lost, %d are none", o.real, o.lost, o.invented)
}

// judge counts frames: those before the record at the number first must all be
// there, in order; what follows is real if it is one of the others, in order.
func judge(t *testing.T, what string, c damageable, frames []kept, first int) (o outcome) {
	t.Helper()
	if len(frames) < first || !slices.Equal(frames[:first], c.frames[:first]) {
		t.Fatalf("%s: %d frames, and the %d before the damage are not the first of them", what, len(frames), first)
	}
	next := first
	for _, f := range frames[first:] {
		if i := slices.Index(c.frames[next:], f); i >= 0 {
			next += i + 1
			o.real++
		} else {
			o.invented++
		}
	}
	o.real += first
	o.lost = len(c.frames) - o.real
	return o
}

// Octets that belong to no record are passed over, whatever they are, and behind
// them every frame is found, and none that was not there.
func TestFindsRecordsBehindGarbage(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	fills := []struct {
		kind string
		fill func(b []byte)
	}{
		{"random octets", func(b []byte) { rnd.Read(b) }},
		{"zeros", func([]byte) {}},
		{"ones", func(b []byte) {
			for i := range b {
				b[i] = 0xff
			}
		}},
		{"small numbers", func(b []byte) {
			for i := 0; i+4 <= len(b); i += 4 {
				binary.LittleEndian.PutUint32(b[i:], uint32(rnd.Intn(100)))
			}
		}},
		{"text", func(b []byte) {
			for i := range b {
				b[i] = "no space left on device\n"[i%24]
			}
		}},
	}
	const trials = 30
	for _, c := range damageables(t, 1000) {
		for _, f := range fills {
			kind := f.kind
			var sum outcome
			for range trials {
				i := rnd.Intn(len(c.starts))
				garbage := make([]byte, 1+rnd.Intn(3000))
				if rnd.Intn(10) == 0 {
					garbage = make([]byte, 1+rnd.Intn(3*bufferSize))
				}
				f.fill(garbage)
				at := c.starts[i]
				b := slices.Concat(c.whole[:at], garbage, c.whole[at:])
				frames, damage, err := readOctets(t, b)
				if err != nil {
					t.Fatal(err)
				}
				what := fmt.Sprintf("%s, %d octets of %s at frame %d", c.name, len(garbage), kind, i+1)
				o := judge(t, what, c, frames, i)
				if damage == nil {
					t.Errorf("%s: nothing is said: %v", what, o)
				}
				for _, d := range damage {
					if kind != "small numbers" && (d.Offset < int64(at) || d.Offset > int64(at+len(garbage)+3000)) {
						t.Errorf("%s: %v", what, d)
					}
				}
				sum.real, sum.invented, sum.lost = sum.real+o.real, sum.invented+o.invented, sum.lost+o.lost
			}
			all := trials * len(c.frames)
			if kind == "small numbers" {
				// They are records of 1970 in the same byte order, of a few octets each,
				// and only what follows them tells that they are not.
				sum.invented, sum.lost = sum.invented/500, sum.lost/30
			}
			if sum.invented > all/1000 || sum.lost > all/100 {
				t.Errorf("%s in %s: %v", kind, c.name, sum)
			} else {
				t.Logf("%s in %s: %v", kind, c.name, sum)
			}
		}
	}
}

// Octets that are missing cost the record that they are missing from, and the one
// that its length reaches into.
func TestFindsRecordsBehindGap(t *testing.T) {
	rnd := rand.New(rand.NewSource(2))
	for _, c := range damageables(t, 1000) {
		var sum outcome
		const trials = 400
		for range trials {
			at := c.afterHeads + rnd.Intn(len(c.whole)-c.afterHeads)
			n := min(1+rnd.Intn(4000), len(c.whole)-at)
			first, _ := slices.BinarySearch(c.ends, at+1)
			frames, _, err := readOctets(t, slices.Concat(c.whole[:at], c.whole[at+n:]))
			if err != nil {
				t.Fatal(err)
			}
			o := judge(t, fmt.Sprintf("%s without %d octets at %d", c.name, n, at), c, frames, first)
			sum.real, sum.invented, sum.lost = sum.real+o.real, sum.invented+o.invented, sum.lost+o.lost
		}
		// The record with the gap is handed out with what follows in its place: that
		// its octets are wrong cannot be known. It is one in each trial at most, and
		// seldom two.
		if all := trials * len(c.frames); sum.invented > trials+trials/20 || sum.lost > all/10 {
			t.Errorf("%s: %v", c.name, sum)
		} else {
			t.Logf("%s: %v", c.name, sum)
		}
	}
}

// A wrong bit anywhere costs one record, or two.
func TestWrongBit(t *testing.T) {
	for _, c := range damageables(t, 1000) {
		var sum outcome
		trials := 0
		for i := c.afterHeads; i < len(c.whole); i++ {
			// Every ninth octet of the headers, and some of the frames.
			first, _ := slices.BinarySearch(c.ends, i+1)
			if i%9 != 0 || i-c.starts[first] >= 40 && i%31 != 0 {
				continue
			}
			b := bytes.Clone(c.whole)
			b[i] ^= 1 << (i / 9 % 8)
			frames, damage, err := readOctets(t, b)
			if err != nil {
				t.Fatal(err)
			}
			o := judge(t, fmt.Sprintf("%s with a wrong bit at %d", c.name, i), c, frames, first)
			if len(damage) > 3 {
				t.Errorf("%s with a wrong bit at %d: %v", c.name, i, damage)
			}
			sum.real, sum.invented, sum.lost = sum.real+o.real, sum.invented+o.invented, sum.lost+o.lost
			trials++
		}
		// The record with the wrong bit differs from what it was, so it counts as
		// invented; seldom a second one does.
		if sum.invented > trials+trials/50 || sum.lost > 3*trials {
			t.Errorf("%s: %d wrong bits: %v", c.name, trials, sum)
		} else {
			t.Logf("%s: %d wrong bits: %v", c.name, trials, sum)
		}
	}
}

// Times that leap, fractions above a second and lengths that contradict each other
// are no damage: what follows shows that the record is one.
func TestUnusualIsNoDamage(t *testing.T) {
	o := binary.LittleEndian
	head := pcapHead(o, pcapMagicMicro, 2, 4, 50, 1)
	rnd := rand.New(rand.NewSource(3))
	b := head
	for i := range 200 {
		n := 1 + rnd.Intn(100)
		b = append(b, pcapRec(o, rnd.Uint32(), rnd.Uint32(), uint32(n), uint32(rnd.Intn(100)), octets(n))...)
		if i%20 == 0 {
			b = append(b, pcapRec(o, 1, 0, 0, 1, nil)...)
		}
	}
	want, err := pcapgoRead(b)
	for _, in := range []*input{newInput(bytes.NewReader(b), nil, "mem"), newInput(iotest.OneByteReader(bytes.NewReader(b)), nil, "mem")} {
		frames, damage := drain(t, mustOpen(t)(newSource(in)))
		if len(frames) != 210 || damage != nil {
			t.Errorf("%d frames, damage %v; pcapgo %d, %v", len(frames), damage, len(want), err)
		}
	}
}

// An interface that may have been described among octets that are passed over makes
// the later numbers of the section uncertain; the next section begins anew.
func TestPcapngUnnumbered(t *testing.T) {
	w := newNG(binary.LittleEndian).idb(1, 0).epb(0, now*1e6, octets(60))
	w.Write(make([]byte, 40))
	w.epb(0, now*1e6, octets(61)).idb(101, 0).epb(1, now*1e6, octets(62))
	w.shb(1, 0).idb(101, 0).epb(0, now*1e6, octets(63))
	frames, damage, _ := read(t, w.Bytes())
	want := []kept{{now * 1e9, 1, 60, string(octets(60))}, {now * 1e9, 1, 61, string(octets(61))}, {now * 1e9, 101, 63, string(octets(63))}}
	if d := cmp.Diff(want, frames); d != "" || len(damage) != 3 || !strings.HasPrefix(damage[1].What, "description of an interface behind damage") {
		t.Errorf("damage %v %s", damage, d)
	}
}
