package reassembly

import (
	"slices"
	"testing"
)

// TestPlainOpenings holds what is said of the opening that nearly all connections have, and what
// is said of any, side by side.
func TestPlainOpenings(t *testing.T) {
	n := 6000
	if testing.Short() || raced {
		n = 1500
	}
	plain, others := 0, 0
	for i := range n {
		course := talkedAbout(i)
		h, _ := course.tell(true)
		for j := range h.conns {
			c := &h.conns[j]
			var in [2]inference
			for k := range in {
				in[k].c = c
				in[k].roll.read(c)
			}
			for side := range c.Ends {
				for k := range in {
					in[k].me, in[k].list = Side(side), in[k].list[:0]
				}
				if !in[0].plainOpening() {
					if others++; len(in[0].list) > 0 {
						t.Fatalf("an opening that is not plain has happenings, of\n%s", course)
					}
					continue
				}
				plain++
				if in[1].anyOpening(); !slices.Equal(in[0].list, in[1].list) {
					t.Fatalf("%v of %v:\n%+v\nis said of any opening, and as a plain one\n%+v\nof\n%s", Side(side), c.Tuple, in[1].list, in[0].list, course)
				}
			}
		}
	}
	if plain < n/2 || others < n/20 {
		t.Errorf("%d openings are plain, %d are not: too few to say anything", plain, others)
	}
}
