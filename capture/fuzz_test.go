package capture

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

// FuzzReader reads any octets as a capture: it ends, holds to the octets that are
// there, does not depend on how they arrive, and agrees with pcapgo where both
// read the whole of them.
func FuzzReader(f *testing.F) {
	for _, c := range containerSamples() {
		f.Add(c.whole)
		f.Add(c.whole[:len(c.whole)-3])
	}
	for _, o := range orders {
		w := newNG(o).idb(1, 40, someOptions(o)...).idb(113, 0).spb(100, octets(40)).opb(1, 5, octets(7)).isb(0, someOptions(o)...).block(4, octets(8)).block(0xbad, octets(4))
		w.epb(7, 1, octets(4)).raw(blockEnhanced, 32+57, w.epbBody(0, 1e6, 57, 57, octets(57)), 32+57)
		f.Add(w.shb(1, 2).idb(276, 0).epb(0, 1<<63, octets(5)).epb(0, 1, nil).Bytes())
		f.Add(append(pcapHead(o, pcapMagicMicro, 2, 4, 0, 0x30000001), pcapRec(o, 1, 5e6, 9, 8, octets(9))...))
	}
	for _, b := range pcapVariants() {
		f.Add(b)
		f.Add(append(b[:150:150], b[130:]...))
	}
	s := containerSamples()["snoop"].whole
	f.Add(append(s[:150:150], s[130:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if packedBy(b) != nil {
			return // see FuzzPacked
		}
		frames, damage, info, plain, err := fuzzRead(t, bytes.NewReader(b), len(b), false)
		framesR, damageR, infoR, _, _ := fuzzRead(t, bytes.NewReader(b), len(b), true)
		if d := cmp.Diff(frames, framesR) + cmp.Diff(damage, damageR) + cmp.Diff(info, infoR); d != "" {
			t.Fatalf("in runs it reads otherwise:\n%s", d)
		}
		frames1, damage1, info1, _, err1 := fuzzRead(t, iotest.OneByteReader(bytes.NewReader(b)), len(b), false)
		if d := cmp.Diff(frames, frames1); d != "" {
			t.Fatalf("octet by octet other frames are read:\n%s", d)
		}
		if d := cmp.Diff(damage, damage1); d != "" || (err == nil) != (err1 == nil) || err != nil && err.Error() != err1.Error() {
			t.Fatalf("octet by octet other damage is found: %v, %v\n%s", err, err1, d)
		}
		if d := cmp.Diff(info, info1); d != "" {
			t.Fatalf("octet by octet Info differs:\n%s", d)
		}
		if err != nil || damage != nil || !plain || info.Passed[blockStatistics] > 0 {
			return
		}
		if want, err := pcapgoRead(b); err == nil && aligned(b, info) {
			sameFrames(t, info, frames, want)
			if len(frames) != len(want) {
				t.Fatalf("%d frames, pcapgo reads %d", len(frames), len(want))
			}
		}
	})
}

// someOptions returns options of an interface, which are counters in statistics.
func someOptions(o order) [][]byte {
	w := &ng{order: o}
	return [][]byte{w.opt(2, octets(5)), w.opt(9, []byte{6}), w.opt(14, octets(8)), w.opt(4, octets(8)), w.opt(0, nil)}
}

// aligned reports whether all blocks of a pcapng input are of whole words: pcapgo
// does not skip the padding of others.
func aligned(b []byte, info Info) bool {
	if info.Format != "pcapng" {
		return true
	}
	p := &pcapngReader{}
	for at := 0; at+blockMin <= len(b); {
		if h := b[at:]; p.u32(h) == blockSection {
			p.big = h[8] == 0x1a
		}
		total := p.u32(b[at+4:])
		if total%4 != 0 {
			return false
		}
		at += int(total)
	}
	return true
}

// FuzzPacked reads any octets behind the head of a packing: it ends, and what it
// hands out can be.
func FuzzPacked(f *testing.F) {
	for _, b := range packedSample(f) {
		f.Add(b)
		f.Add(b[:len(b)-3])
		f.Add(pack(f, "gzip", b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if packedBy(b) == nil {
			return
		}
		src, err := NewReader(bytes.NewReader(b), "fuzz")
		if err != nil {
			return
		}
		defer src.Close()
		var frame wire.Frame
		// A small input may unpack to very much: the first of it will do.
		for range 1000 {
			if err := src.Next(&frame); err == io.EOF {
				return
			} else if err != nil && !errors.As(err, new(*DamageError)) {
				t.Fatal(err)
			}
		}
	})
}

// packedBy returns the packing of b, or nil.
func packedBy(b []byte) *packing {
	for i := range packings {
		if packings[i].match(b[:min(len(b), headLen)]) {
			return &packings[i]
		}
	}
	return nil
}

// fuzzRead reads r, which does not wait, to its end, and fails when that takes more
// steps than a whole reader would need. runs: it is read by runs. plain is false for the variants of pcap.
func fuzzRead(t *testing.T, r io.Reader, size int, runs bool) (frames []kept, damage []string, info Info, plain bool, err error) {
	src, err := newSource(newInput(r, nil, "fuzz"))
	if err != nil {
		return nil, nil, info, true, err
	}
	defer src.Close()
	p, ok := src.(*pcapReader)
	plain = !ok || p.head == pcapRecordLen && p.exchanged == never
	if runs {
		src = &inRuns{Source: src}
	}
	var f wire.Frame
	total := 0
	for range size/blockMin + 3 {
		err := src.Next(&f)
		var d *DamageError
		switch {
		case err == io.EOF:
			info = src.Info()
			if info.Bytes > int64(size) {
				t.Fatalf("%d octets read of %d", info.Bytes, size)
			}
			info.Damage = nil // compared by its text
			return frames, damage, info, plain, nil
		case errors.As(err, &d):
			damage = append(damage, d.Error())
			if d.Offset < 0 || d.Offset > int64(size) {
				t.Fatalf("damage at byte %d of %d", d.Offset, size)
			}
		case err != nil:
			t.Fatal(err)
		default:
			if total += len(f.Data); total > size || int(f.Length) < len(f.Data) || cap(f.Data) != len(f.Data) {
				t.Fatalf("frame %d: %d octets (capacity %d) of length %d, %d in all from an input of %d", len(frames)+1, len(f.Data), cap(f.Data), f.Length, total, size)
			}
			frames = append(frames, keep(&f))
		}
	}
	t.Fatalf("no end after %d frames and %d damages from %d octets", len(frames), len(damage), size)
	return
}
