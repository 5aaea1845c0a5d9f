package incident

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// tally is the simplest record.
type tally struct{ n uint32 }

func (t *tally) merge(o *tally) { t.n += o.n }

// happening is one thing to count.
type happening struct {
	key  uint64
	at   wire.Time
	what kind
}

func drawHappenings(t *rapid.T) (all []happening) {
	keys := rapid.SampledFrom([]uint64{1, 3, 40, 5000}).Draw(t, "keys")
	span := rapid.SampledFrom([]int64{10, 1e6, 1e12, 1e18}).Draw(t, "span")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	for range rapid.IntRange(0, 600).Draw(t, "happenings") {
		all = append(all, happening{r.Uint64N(keys), wire.Time(r.Int64N(span) - span/4), kind(r.IntN(int(kinds)))})
	}
	return all
}

func counted(all []happening, keep, room, least int) *table[tally, *tally] {
	t := newTable[tally](keep, room, least)
	for _, h := range all {
		if t.full() {
			t.settle()
		}
		k := key{h.key}
		if i := t.at(&k); i >= 0 {
			t.rec(i).n++
			if room > 0 {
				t.note(i, h.at, h.what)
			}
		}
	}
	return &t
}

// dump prints everything that a table holds, in order.
func dump(t *table[tally, *tally]) (s string) {
	t.settle()
	s = fmt.Sprintf("level %d\n", t.level)
	for _, i := range t.sorted() {
		s += fmt.Sprintf("%v %d", t.keys[i], t.rec(i).n)
		if t.room > 0 {
			s += fmt.Sprintf(" %v %v", t.series[i].shift, t.series[i].points)
		}
		s += "\n"
	}
	return s
}

// The order in which things happen, and how they are shared out, changes nothing,
// however tight the bounds are; and the bounds hold.
func TestTableIsASum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawHappenings(t)
		keep, room := rapid.SampledFrom([]int{1, 4, 30, 10000}).Draw(t, "keep"), rapid.SampledFrom([]int{0, fewest, 100, 400, 100000}).Draw(t, "room")
		least := max(room/rapid.SampledFrom([]int{1, 4, 16}).Draw(t, "least"), 1)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 2))
		whole := counted(all, keep, room, least)
		want := dump(whole)
		if len(whole.keys) > keep || room > 0 && whole.held() > room {
			t.Fatalf("%d keys of %d, %d points of %d", len(whole.keys), keep, whole.held(), room)
		}
		if level := levelOf(all, whole); level != whole.level {
			t.Fatalf("level %d, %d by its definition", whole.level, level)
		}
		for range 3 {
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			parts := make([][]happening, 1+r.IntN(4))
			for _, h := range all {
				i := r.IntN(len(parts))
				parts[i] = append(parts[i], h)
			}
			sum := newTable[tally](keep, room, least)
			for _, p := range parts {
				sum.merge(counted(p, keep, room, least), r.IntN(2) == 0)
			}
			if diff := cmp.Diff(want, dump(&sum)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// levelOf returns the first level at which what is kept does not cost too much.
func levelOf(all []happening, like *table[tally, *tally]) int {
	instants := map[uint64]map[happening]bool{}
	for _, h := range all {
		if instants[h.key] == nil {
			instants[h.key] = map[happening]bool{}
		}
		instants[h.key][h] = true
	}
	t := *like
	for t.level = 0; ; t.level++ {
		keys, cost := 0, 0
		for n, at := range instants {
			if k := (key{n}); t.kept(&k) {
				keys++
				cost += min(len(at), t.perKey())
			}
		}
		if keys <= t.keep && (t.room == 0 || cost <= t.room) {
			return t.level
		}
	}
}

// While things are counted the bounds hold too, up to as much again.
func TestTableIsBoundedMeanwhile(t *testing.T) {
	const keep, room = 100, 1000
	tab := newTable[tally](keep, room, 4)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		if tab.full() {
			tab.settle()
		}
		k := key{r.Uint64N(100_000)}
		if i := tab.at(&k); i >= 0 {
			tab.note(i, wire.Time(r.Int64N(1e15)), kind(r.IntN(int(kinds))))
		}
		if len(tab.keys) > keep || tab.held() > 2*room {
			t.Fatalf("%d keys, %d points", len(tab.keys), tab.held())
		}
	}
}

// What a kept key has counted is whole, and the kept ones are a fair choice.
func TestTableKeepsWholeKeys(t *testing.T) {
	const keep, keys = 256, 4096
	tab := newTable[tally](keep, 0, 0)
	r := rand.New(rand.NewPCG(3, 4))
	have := map[uint64]uint32{}
	for range 100_000 {
		n := r.Uint64N(keys)
		have[n]++
		if k := (key{n}); true {
			if i := tab.at(&k); i >= 0 {
				tab.rec(i).n++
			}
		}
	}
	if len(tab.keys) < keep/4 || 1<<tab.share() < keys/keep {
		t.Errorf("%d of %d keys are kept, one of %d", len(tab.keys), keys, 1<<tab.share())
	}
	for i, k := range tab.keys {
		if tab.rec(int32(i)).n != have[k[0]] {
			t.Errorf("key %d: %d counted, %d happened", k[0], tab.rec(int32(i)).n, have[k[0]])
		}
	}
	odd := 0
	for _, k := range tab.keys {
		odd += int(k[0] & 1)
	}
	if odd < len(tab.keys)/4 || odd > len(tab.keys)*3/4 {
		t.Errorf("%d of %d kept keys are odd", odd, len(tab.keys))
	}
}

// Keys whose hashes all lie below every limit make the table empty, not endless.
func TestTableSurvivesEqualHashes(t *testing.T) {
	tab := newTable[tally](2, 0, 0)
	for i := range uint64(5) {
		tab.keys = append(tab.keys, key{i})
		tab.recs.add()
		tab.index.add(tab.keys)
	}
	tab.level = 64 // as far as hashes can part them
	tab.settle()
	if len(tab.keys) > 2 {
		t.Errorf("%d keys", len(tab.keys))
	}
}

// A chronicle is exact until it must not be, and then right at the borders of its
// intervals.
func TestChronicle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawHappenings(t)
		most := rapid.SampledFrom([]int{1, 5, 100, 100000}).Draw(t, "most")
		var c chronicle
		for _, h := range all {
			c.add(h.at, h.what, most)
		}
		c.settle(most)
		if most >= len(all) && c.shift != 0 {
			t.Fatalf("width %v without need", c.width())
		}
		if len(c.points) > max(most, 1) && c.shift < widest {
			t.Fatalf("%d points, at most %d", len(c.points), most)
		}
		if c.shift > 0 {
			finer := map[[2]int64]bool{}
			for _, h := range all {
				finer[[2]int64{int64(h.at) >> (c.shift - 1), int64(h.what)}] = true
			}
			if len(finer) <= most {
				t.Fatalf("intervals of %v would have done", c.width()/2)
			}
		}
		for _, p := range c.points {
			n := 0
			for _, h := range all {
				if h.what == p.what() && h.at >= c.from(p) && h.at <= c.to(p) {
					n++
				}
			}
			if n != int(p.n()) {
				t.Fatalf("%v: %d counted, %d happened", p, p.n(), n)
			}
		}
	})
}

func TestPulse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawHappenings(t)
		var whole, a, b pulse
		for i, h := range all {
			whole.add(h.at)
			if i%3 == 0 {
				a.add(h.at)
			} else {
				b.add(h.at)
			}
		}
		b.merge(&a)
		if diff := cmp.Diff(whole, b, cmp.AllowUnexported(pulse{})); diff != "" {
			t.Fatal(diff)
		}
		n, from, span := whole.busiest(time.Second)
		in := uint64(0)
		for _, h := range all {
			if h.at >= from && h.at.Sub(from) < span {
				in++
			}
		}
		if in != n {
			t.Fatalf("%d from %d in %v, %d happened", n, from, span, in)
		}
	})
}

func TestSpread(t *testing.T) {
	var s spread
	for _, d := range []time.Duration{0, time.Millisecond, 4 * time.Millisecond, 9 * time.Millisecond, time.Second, time.Hour, 300 * 24 * time.Hour} {
		i := spreadOf(d)
		if i < spreadSize-1 && (d > highest(i) || i > 0 && d <= highest(i-1)) {
			t.Errorf("%v is in bucket %d, up to %v", d, i, highest(i))
		}
		s.add(d)
	}
	if s.percentile(50) < 9*time.Millisecond || s.percentile(50) > 10*time.Millisecond || s.percentile(100) != s.max || s.percentile(1) >= time.Millisecond {
		t.Errorf("percentiles %v %v %v", s.percentile(1), s.percentile(50), s.percentile(100))
	}
	if got := s.within(2*time.Millisecond, 10*time.Second); got != 3 {
		t.Errorf("%d within", got)
	}
}

func TestExamplesAreTheEarliest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	frames := r.Perm(100)
	var whole, other examples
	for i, f := range frames {
		x := &whole
		if i%2 == 0 {
			x = &other
		}
		x.add(wire.FrameID(f+1), &facts{named: reassembly.UID(f + 1)})
		x.add(wire.FrameID(f+1), &facts{named: reassembly.UID(f + 1)})
	}
	whole.merge(&other)
	want := []wire.FrameID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if got := whole.frames(); !slices.Equal(got, want) || whole.uids()[9] != reassembly.UID(10).String() {
		t.Errorf("%v %v", got, whole.uids())
	}
}

// The hash of two initial sequence numbers is written out.
func TestNumbersHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := key{rapid.Uint64().Draw(t, "numbers")}
		if got := numbersHash(k[0]); got != k.hash() {
			t.Fatalf("%x, and the key's is %x", got, k.hash())
		}
	})
}

// sampled returns a small sample that has seen some connections, in order.
func sampled(all []view, keep int) *sample {
	x := &sample{keep: keep}
	for i := range all {
		if to := x.next(all[i].numbers); to != nil {
			*to = all[i]
		}
	}
	return x
}

// A sample keeps the two earliest of each pair of numbers, of no more pairs than it may, in
// whatever order and parts they come.
func TestSampleIsASum(t *testing.T) {
	twice := 0
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		keep, pairs := rapid.SampledFrom([]int{1, 4, 30, 1000}).Draw(t, "keep"), rapid.SampledFrom([]uint64{1, 9, 300}).Draw(t, "pairs")
		var all []view
		for range rapid.IntRange(0, 600).Draw(t, "connections") {
			all = append(all, view{numbers: r.Uint64N(pairs) * 0x9e3779b97f4a7c15, frame: wire.FrameID(1 + r.IntN(300)), start: wire.Time(r.IntN(5)),
				tuple: wire.Tuple{Src: wire.Addr{Lo: r.Uint64N(2)}}})
		}
		x := sampled(all, keep)
		places := x.twice()
		var want []string
		for _, i := range places {
			want = append(want, fmt.Sprint(x.all.at(i).numbers, x.all.at(i).frame, x.all.at(x.all.at(i).second-1).frame, x.all.at(i).tuple, x.all.at(x.all.at(i).second-1).tuple))
		}
		twice += len(want)
		// By their definition.
		by := map[uint64][]view{}
		for i := range all {
			if x.kept(all[i].numbers) {
				by[all[i].numbers] = append(by[all[i].numbers], all[i])
			}
		}
		if len(by) > keep {
			t.Fatalf("%d pairs of numbers of %d", len(by), keep)
		}
		n := 0
		for _, views := range by {
			slices.SortFunc(views, func(a, b view) int { return a.compare(&b) })
			if len(views) > 1 && views[0].same(&views[1]) {
				n++
				if s := fmt.Sprint(views[0].numbers, views[0].frame, views[1].frame, views[0].tuple, views[1].tuple); !slices.Contains(want, s) {
					t.Fatalf("%s is missing", s)
				}
			}
		}
		if n != len(want) {
			t.Fatalf("%d stand there twice, %d by the definition", len(want), n)
		}
		if x.share > 0 {
			fewer := map[uint64]bool{}
			for i := range all {
				if x.share == 1 || numbersHash(all[i].numbers) <= math.MaxUint64>>(x.share-1) {
					fewer[all[i].numbers] = true
				}
			}
			if len(fewer) <= keep {
				t.Fatalf("one of %d is kept, and there was room for one of %d", 1<<x.share, 1<<(x.share-1))
			}
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		part := r.IntN(len(all) + 1)
		sum, o := sampled(all[:part], keep), sampled(all[part:], keep)
		sum.merge(o)
		var got []string
		for _, i := range sum.twice() {
			got = append(got, fmt.Sprint(sum.all.at(i).numbers, sum.all.at(i).frame, sum.all.at(sum.all.at(i).second-1).frame, sum.all.at(i).tuple, sum.all.at(sum.all.at(i).second-1).tuple))
		}
		if diff := cmp.Diff(want, got); diff != "" || sum.share != x.share {
			t.Fatalf("one of %d, %d in parts: %s", 1<<x.share, 1<<sum.share, diff)
		}
	})
	if twice < 50 {
		t.Errorf("%d stood there twice: too few to say anything", twice)
	}
}
