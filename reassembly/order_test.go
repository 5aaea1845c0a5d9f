package reassembly

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestInOrder: records come in the order of their stamps, wherever they lie and however large
// the stamps are.
func TestInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := New(Config{Settled: func(*Conn, uint64) {}})
		span := rapid.SampledFrom([]uint64{1 << 3, 1 << 12, 1 << 24, 1 << 33, 1 << 60}).Draw(t, "span")
		stamps := rapid.SliceOfNDistinct(rapid.Uint64Range(0, span), 0, 8, rapid.ID[uint64]).Draw(t, "stamps")
		more := rapid.SliceOfNDistinct(rapid.Uint64Range(span+1, 2*span), 0, 300, rapid.ID[uint64])
		if span > 1<<10 {
			stamps = append(stamps, more.Draw(t, "more")...)
		}
		if rapid.Bool().Draw(t, "as they opened") {
			slices.Sort(stamps)
		}
		var want []uint32
		for i, stamp := range stamps {
			if i%3 == 2 {
				id := tr.recs.get()
				tr.recs.at(id).stamp = stamp
				want = append(want, id)
				continue
			}
			id := tr.briefs.get()
			tr.briefs.at(id).stamp, tr.briefs.at(id).n = stamp, 1
			want = append(want, id|briefBit)
		}
		slices.SortFunc(want, func(a, b uint32) int { return cmp.Compare(tr.stampOf(a), tr.stampOf(b)) })
		if got := tr.inOrder(); !slices.Equal(got, want) {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}
