package reassembly

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// numbers is the slow model of Ranges: a set.
type numbers map[wire.Seq]bool

func numbersOf(rs *Ranges) numbers {
	n := numbers{}
	for _, r := range rs.All() {
		for s := r.From; s != r.To; s++ {
			n[s] = true
		}
	}
	return n
}

func checkRanges(t interface{ Fatalf(string, ...any) }, all []Range, most int) {
	if len(all) > most {
		t.Fatalf("%d ranges, the bound is %d", len(all), most)
	}
	for i, r := range all {
		if !r.To.After(r.From) {
			t.Fatalf("range %v is empty or turned", r)
		}
		if i > 0 && !r.From.After(all[i-1].To) {
			t.Fatalf("ranges %v and %v: not sorted, or they touch", all[i-1], r)
		}
	}
}

// TestRangesAgainstSet: as long as nothing was joined the ranges are exact; joining
// overstates, by no more than the smallest gap, and never loses a number that was
// added.
func TestRangesAgainstSet(t *testing.T) {
	check := func(span uint32) func(*rapid.T) {
		return func(t *rapid.T) {
			base := wire.Seq(rapid.SampledFrom([]uint32{0, 1 << 31, 0x7ffffff0, 0xfffffff0, 12345}).Draw(t, "base"))
			var rs Ranges
			draw := func(t *rapid.T) (from, to wire.Seq) {
				a := rapid.Uint32Range(0, span-1).Draw(t, "from")
				n := rapid.OneOf(rapid.Uint32Range(0, 3), rapid.Uint32Range(0, span)).Draw(t, "length")
				return base.Add(a), base.Add(min(a+n, span))
			}
			t.Repeat(map[string]func(*rapid.T){
				"add": func(t *rapid.T) {
					from, to := draw(t)
					want, joined := numbersOf(&rs), rs.joined
					gap := ^uint32(0)
					for i, all := 1, rs.All(); i < len(all); i++ {
						gap = min(gap, uint32(all[i].From-all[i-1].To))
					}
					for s := from; s != to; s++ {
						want[s] = true
					}
					rs.Add(from, to)
					got := numbersOf(&rs)
					for s := range want {
						if !got[s] {
							t.Fatalf("%d is lost after adding %d to %d", s, from, to)
						}
					}
					if over := uint32(len(got) - len(want)); rs.joined == joined && over != 0 || over > gap {
						t.Fatalf("%d numbers too many after adding %d to %d; the smallest gap was %d", over, from, to, gap)
					}
				},
				"": func(t *rapid.T) {
					checkRanges(t, rs.All(), rangesMax)
					if span <= 2*rangesMax && rs.joined != 0 {
						t.Fatalf("joined without need: %v", rs.All())
					}
				},
			})
		}
	}
	// So few numbers cannot make more ranges than there is place for.
	t.Run("below the bound", rapid.MakeCheck(check(2*rangesMax)))
	t.Run("beyond the bound", rapid.MakeCheck(check(200)))
}

// TestRangesAtTheBound: the two closest become one.
func TestRangesAtTheBound(t *testing.T) {
	var rs Ranges
	for i := range wire.Seq(rangesMax) {
		rs.Add(100*i, 100*i+10)
	}
	rs.Add(515, 520) // between 500..510 and 600..610
	want(t, "ranges", len(rs.All()), rangesMax)
	want(t, "joined", rs.joined, 1)
	rs.Add(0, 10000)
	want(t, "ranges in the end", len(rs.All()), 1)
	rs.Add(20007, 20007)
	rs.Add(20007, 20005)
	want(t, "empty and turned ranges add", len(rs.All()), 1)
}
