package pipeline

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A plain map does the same.
func TestNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	n := newNumbers()
	type place struct {
		shard uint8
		nth   uint64
	}
	type conn struct {
		place
		id, stamp uint64
	}
	var opened [shardCount]uint64
	var open []conn
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
			if in >= 2*agePageSize || in < agePageSize && i < len(limits)-1 {
				t.Fatalf("portion %d of %d has %d connections", i, len(limits), in)
			}
			from = limit
		}
	}
	stamp := uint64(0)
	for round, growth := range []float64{0.9, 0.1, 0.6, 0.4, 0.01, 0.9, 0.5} {
		for range 30000 {
			if rng.Float64() < growth {
				stamp += 1 + rng.Uint64N(3)
				// Few shards, so that pages fill up; and one hardly ever used.
				shard := uint8(rng.IntN(3))
				if rng.IntN(500) == 0 {
					shard = 63
				}
				n.add(&opening{shard: shard}, stamp)
				open = append(open, conn{place{shard, opened[shard]}, n.given, stamp})
				opened[shard]++
			} else if len(open) > 0 {
				i := rng.IntN(len(open))
				c := open[i]
				if round == 4 && c.id < 100 {
					continue // lives for ever
				}
				if id, _ := n.take(c.shard, c.nth); id != c.id {
					t.Fatalf("the %dth of shard %d has number %d, want %d", c.nth, c.shard, id, c.id)
				}
				open[i] = open[len(open)-1]
				open = open[:len(open)-1]
			}
		}
		check()
	}
	for _, c := range open {
		if id, _ := n.take(c.shard, c.nth); id != c.id {
			t.Fatalf("number %d, want %d", id, c.id)
		}
	}
	open = nil
	check()
}

// Connections that come and go leave nothing behind, though one stays: but a few
// octets for each thousand.
func TestNumbersForget(t *testing.T) {
	n := newNumbers()
	n.add(&opening{}, 0)
	const many = 1 << 20
	for i := range uint64(many) {
		n.add(&opening{}, i+1)
		n.take(0, i+1)
	}
	pages := 0
	for _, p := range n.shards[0].pages {
		if p != nil {
			pages++
		}
	}
	if got := len(n.shards[0].pages); pages > 2 || got > many/idPageSize+1 {
		t.Errorf("%d pages of %d are held", pages, got)
	}
	n.take(0, 0)
	n.add(&opening{}, many+1)
	n.take(0, many+1)
	if got := len(n.shards[0].pages) + len(n.ages.pages); got > 40 {
		t.Errorf("%d pages are listed when no connection is open", got)
	}
}

func TestArena(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	r := result{keep: 100, text: arena{keep: 4}}
	for range 20 {
		var want [][]byte
		for i := range 300 + rng.IntN(300) {
			// Mostly small, some beyond what a chunk leaves over, some beyond a chunk.
			size := []int{0, 50, 3000, chunkSpare + 1, chunkSize + 1}[rng.IntN(100)*rng.IntN(100)/2000]
			b := bytes.Repeat([]byte{byte(i)}, size)
			s := r.next()
			if len(s.buf.B) != 0 {
				t.Fatalf("a new buffer holds %d octets", len(s.buf.B))
			}
			for len(b) > 0 {
				k := 1 + rng.IntN(len(b))
				s.buf.B, b = append(s.buf.B, b[:k]...), b[k:]
			}
			r.done()
			want = append(want, bytes.Repeat([]byte{byte(i)}, size))
		}
		for i := range want {
			if !bytes.Equal(r.settled[i].buf.B, want[i]) {
				t.Fatalf("buffer %d of %d has changed: %d octets, want %d", i, len(want), len(r.settled[i].buf.B), len(want[i]))
			}
		}
		r.reset()
		if len(r.text.chunks) > 4 || cap(r.settled) > 100 {
			t.Fatalf("%d chunks and %d places are kept", len(r.text.chunks), cap(r.settled))
		}
	}
}
