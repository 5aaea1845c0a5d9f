package incident

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// Few numbers or many, in whatever order and parts they come: each is counted, and what was
// counted alone says how.
func TestCounts(t *testing.T) {
	spilled, few := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		kinds := rapid.SampledFrom([]int{1, 3, fewCounts, fewCounts + 1, countsSize}).Draw(t, "kinds")
		var numbers []int
		for range rapid.IntRange(0, 60).Draw(t, "counted") {
			numbers = append(numbers, (countsSize-1)*r.IntN(kinds)/max(kinds-1, 1))
		}
		var want [countsSize]uint32
		var c counts
		for _, number := range numbers {
			want[number]++
			c.add(number, 1)
		}
		r.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
		var parts [2]counts
		for i, number := range numbers {
			parts[i%2].add(number, 1)
		}
		parts[0].merge(&parts[1])
		if !reflect.DeepEqual(parts[0], c) {
			t.Fatalf("%+v in parts, else %+v", parts[0], c)
		}
		if c.list() != want {
			t.Fatalf("%v counted, %v happened", c.list(), want)
		}
		for number, n := range want {
			if c.times(number) != n {
				t.Fatalf("%d was seen %d times, not %d", number, n, c.times(number))
			}
		}
		if c.all != nil {
			spilled++
		} else if len(numbers) > 0 {
			few++
		}
	})
	if spilled < 5 || few < 5 {
		t.Errorf("%d saw many numbers, %d few: too few to say anything", spilled, few)
	}
}
