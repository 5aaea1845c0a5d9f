package pipeline

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A plain list does the same.
func TestNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	n := newNumbers()
	type conn struct{ stamp, id, stream uint64 }
	var open []conn
	given, streams := uint64(0), uint64(0)
	check := func() {
		if n.open() != uint64(len(open)) {
			t.Fatalf("%d open, want %d", n.open(), len(open))
		}
		limits := n.portions()
		if limits[len(limits)-1] != everything {
			t.Fatalf("the last portion ends at %d", limits[len(limits)-1])
		}
		from := uint64(0)
		for i, limit := range limits {
			if limit <= from {
				t.Fatalf("portion %d of %d ends at %d, the one before at %d", i, len(limits), limit, from)
			}
			in := 0
			for _, c := range open {
				if from <= c.stamp && c.stamp < limit {
					in++
				}
			}
			if in >= portionSize+batchSegments || in < portionSize && i < len(limits)-1 {
				t.Fatalf("portion %d of %d has %d connections", i, len(limits), in)
			}
			from = limit
		}
	}
	const rounds = 600
	for batch := range uint64(rounds) {
		var opened positions
		var joins []joining
		var splits []uint16
		before := len(open)
		share := []float64{0, 0.001, 0.3, 1}[rng.IntN(4)]
		rare := []float64{0, 0, 0.1}[rng.IntN(3)]
		for at := range uint16(batchSegments) {
			switch {
			case rng.Float64() < share:
				given++
				c := conn{stamp: batch<<stampShift | uint64(at), id: given}
				if rng.Float64() < rare && len(open) > 0 {
					of := open[rng.IntN(len(open))]
					c.stream = of.stream
					joins = append(joins, joining{at, of.stamp})
				} else {
					c.stream = streams
					streams++
				}
				opened.add(at)
				open = append(open, c)
				if rng.Float64() < rare { // another worker's, at the same segment
					splits = append(splits, at)
				}
			case rng.Float64() < rare:
				streams++
				splits = append(splits, at, at)
			}
		}
		rng.Shuffle(len(joins), func(i, j int) { joins[i], joins[j] = joins[j], joins[i] })
		rng.Shuffle(len(splits), func(i, j int) { splits[i], splits[j] = splits[j], splits[i] })
		n.add(&opened, joins, splits)
		if n.given-given != 0 || len(open)-before != opened.count() {
			t.Fatalf("%d numbers given, want %d", n.given, given)
		}
		leave := rng.Float64()
		if batch%100 == 50 {
			leave = 1 // nobody stays
		}
		kept := open[:0]
		for _, c := range open {
			if id, stream := n.id(c.stamp), n.stream(c.stamp); id != c.id || stream != c.stream {
				t.Fatalf("the connection with stamp %#x has number %d in stream %d, want %d and %d", c.stamp, id, stream, c.id, c.stream)
			}
			if rng.Float64() < leave && (c.id > 3 || batch%100 == 50) { // the first live long
				n.leave(c.stamp>>stampShift, 1)
			} else {
				kept = append(kept, c)
			}
		}
		open = kept
		check()
	}
}

// Connections that come and go leave nothing behind, though one stays.
func TestNumbersForget(t *testing.T) {
	n := newNumbers()
	var first, all positions
	first.add(7)
	for i := range uint16(batchSegments) {
		all.add(i)
	}
	n.add(&first, nil, nil)
	const many = 1 << 10
	for i := range uint64(many) {
		n.add(&all, nil, nil)
		n.leave(2*i+1, batchSegments)
		n.add(new(positions), nil, []uint16{5})
		if pages := len(n.epochs.pages); pages > 40 {
			t.Fatalf("%d pages are listed after %d batches", pages, 2*i)
		}
	}
	pages := 0
	for _, p := range n.epochs.pages {
		if p.p != nil {
			pages++
		}
	}
	if pages != 1 {
		t.Errorf("%d pages are held for one connection", pages)
	}
	n.leave(0, 1)
	n.add(new(positions), nil, nil)
	if got := len(n.epochs.pages); got > 40 {
		t.Errorf("%d pages are listed when no connection is open", got)
	}
}

// TestArena fills the arenas of two workers by turns, whose chunks are those of others before.
func TestArena(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	text := &chunks{keep: 4}
	var both [2]result
	for i := range both {
		both[i] = result{keep: 100, text: arena{from: text}}
	}
	for range 20 {
		var want [2][][]byte
		for i := range 600 + rng.IntN(600) {
			// Mostly small, some beyond what a chunk leaves over, some beyond a chunk.
			size := []int{0, 50, 3000, chunkSpare + 1, chunkSize + 1}[rng.IntN(100)*rng.IntN(100)/2000]
			b := bytes.Repeat([]byte{byte(i)}, size)
			s := both[i%2].next()
			if len(s.buf.B) != 0 {
				t.Fatalf("a new buffer holds %d octets", len(s.buf.B))
			}
			for len(b) > 0 {
				k := 1 + rng.IntN(len(b))
				s.buf.B, b = append(s.buf.B, b[:k]...), b[k:]
			}
			both[i%2].done()
			want[i%2] = append(want[i%2], bytes.Repeat([]byte{byte(i)}, size))
		}
		for k := range both {
			r := &both[k]
			for i := range want[k] {
				if !bytes.Equal(r.settled[i].buf.B, want[k][i]) {
					t.Fatalf("worker %d: buffer %d of %d has changed: %d octets, want %d", k, i, len(want[k]), len(r.settled[i].buf.B), len(want[k][i]))
				}
			}
			r.text.reset()
			r.reset()
			if len(text.free) > 4 || len(r.text.filled) > 0 || cap(r.settled) > 100 {
				t.Fatalf("%d chunks and %d places are kept", len(text.free), cap(r.settled))
			}
		}
	}
}
