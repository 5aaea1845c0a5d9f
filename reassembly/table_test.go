package reassembly

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// TestTableAgainstMap: the table does what a Go map does, however bad the hashes.
func TestTableAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.SampledFrom([]func(key int) uint64{
			func(key int) uint64 { return uint64(key) * 0x9e3779b97f4a7c15 },
			func(int) uint64 { return 7 },                                      // an attacker who found the seed
			func(int) uint64 { return ^uint64(0) },                             // all in the last slot
			func(key int) uint64 { return uint64(key%3) + 14 },                 // around the end of the smallest table
			func(key int) uint64 { return uint64(key)<<32 | uint64(key%2)<<4 }, // same place, other tag
			func(key int) uint64 { return uint64(key % 5) },
			func(key int) uint64 { return uint64(key%2)<<32 | uint64(key%3) }, // the same in two parts
		}).Draw(t, "hash")
		var tab table
		keys := []int{0} // by record; 0 is none
		model := map[int]uint32{}
		find := func(key int) (uint32, place) {
			rec, at := tab.first(hash(key))
			for rec != 0 && keys[rec] != key {
				rec, at = tab.after(hash(key), at)
			}
			return rec, at
		}
		key := rapid.IntRange(1, 60)
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if _, ok := model[k]; ok {
					return
				}
				keys = append(keys, k)
				rec := uint32(len(keys) - 1)
				model[k] = rec
				tab.insert(hash(k), rec)
			},
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if rec, at := find(k); rec != 0 {
					tab.remove(at)
				}
				delete(model, k)
			},
			"": func(t *rapid.T) {
				for k := 1; k <= 60; k++ {
					if rec, _ := find(k); rec != model[k] {
						t.Fatalf("key %d: record %d, want %d", k, rec, model[k])
					}
				}
				held := 0
				tab.each(func(uint32) { held++ })
				if tab.count != len(model) || held != len(model) {
					t.Fatalf("count %d, %d slots taken, want %d", tab.count, held, len(model))
				}
				for i := range tab.parts {
					if p := &tab.parts[i]; p.count*4 > len(p.slots)*3 {
						t.Fatalf("%d of %d slots: too full", p.count, len(p.slots))
					}
				}
			},
		})
	})
}

// TestHashHasNoDirection: both directions of a connection fall into one place, and
// a result does not depend on the seed.
func TestHashHasNoDirection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.Uint64()
		tuple := wire.Tuple{
			Src: wire.Addr{Hi: u.Draw(t, "src"), Lo: u.Draw(t, "src")}, Dst: wire.Addr{Hi: u.Draw(t, "dst"), Lo: u.Draw(t, "dst")},
			SrcPort: rapid.Uint16().Draw(t, "port"), DstPort: rapid.Uint16().Draw(t, "port"), V6: true,
		}
		seed := Seed{u.Draw(t, "A"), u.Draw(t, "B")}
		back := tuple.Reverse()
		if seed.Hash(&tuple) != seed.Hash(&back) {
			t.Fatal("the two directions differ")
		}
		back.Encap = 3
		if seed.Hash(&tuple) != seed.Hash(&back) {
			t.Fatal("the encapsulation changes the worker")
		}
	})
}

// TestHashSpreads: connections fall into different places, with the zero seed, too.
func TestHashSpreads(t *testing.T) {
	for _, seed := range []Seed{benchSeed, {}} {
		seen := map[uint64]bool{}
		tuple := newScript().tuple
		for i := range uint16(1000) {
			tuple.SrcPort = 30_000 + i
			seen[seed.Hash(&tuple)] = true
		}
		if len(seen) < 1000 {
			t.Errorf("%d hashes for 1000 tuples", len(seen))
		}
	}
}

// TestSlab: places are handed out once, keep their content and address while they
// are held, and are used again.
func TestSlab(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s slab[uint64]
		type place struct {
			address *uint64
			content uint64
		}
		held := map[uint32]place{}
		var order []uint32
		most, stamp := 0, uint64(0)
		get := func(n int) {
			for range n {
				i := s.get()
				if _, ok := held[i]; ok || i == 0 {
					t.Fatalf("place %d handed out twice, or none", i)
				}
				stamp++
				*s.at(i) = stamp
				held[i] = place{s.at(i), stamp}
				order = append(order, i)
			}
			most = max(most, len(held))
		}
		t.Repeat(map[string]func(*rapid.T){
			"get":  func(t *rapid.T) { get(1) },
			"many": func(t *rapid.T) { get(rapid.IntRange(1, slabChunk+3).Draw(t, "n")) },
			"put": func(t *rapid.T) {
				if len(order) == 0 {
					return
				}
				n := rapid.IntRange(0, len(order)-1).Draw(t, "which")
				s.put(order[n])
				delete(held, order[n])
				order = append(order[:n], order[n+1:]...)
			},
			"": func(t *rapid.T) {
				if s.live() != len(held) {
					t.Fatalf("live %d, want %d", s.live(), len(held))
				}
				if int(s.used) > most {
					t.Fatalf("%d places made, never more than %d held", s.used, most)
				}
				for i, p := range held {
					if s.at(i) != p.address || *p.address != p.content {
						t.Fatalf("place %d moved or was overwritten", i)
					}
				}
			},
		})
	})
}
