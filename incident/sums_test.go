package incident_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// settled is a connection as a worker hands it over.
type settled struct {
	conn  *reassembly.Conn
	found []finding.Finding
}

// settledOf tracks frames.
func settledOf(frames []wire.Frame) (all []settled) { return settledWith(frames, 0) }

// settledWith tracks frames, and the log of what shows nothing else need not be written.
func settledWith(frames []wire.Frame, unread reassembly.Seen) (all []settled) {
	set := finding.NewSet(finding.All())
	tracker := reassembly.New(reassembly.Config{Profile: reassembly.Linux, Unread: unread, Settled: func(c *reassembly.Conn, _ uint64) {
		all = append(all, settled{c.Clone(), set.Check(c)})
	}})
	var d wire.Decoder
	for i := range frames {
		var s wire.Segment
		if d.Decode(&frames[i], &s) == wire.SkipNone {
			tracker.Feed(&s)
			tracker.Advance(s.At)
		}
	}
	tracker.Flush()
	return all
}

// allTraffic is the traffic of all scripts, by script.
var allTraffic = sync.OnceValue(func() (all [][]settled) {
	t := &testing.T{}
	for _, path := range trafficFiles(t) {
		script, err := readTraffic(path)
		if err != nil {
			panic(err)
		}
		all = append(all, settledOf(script.frames(t)))
	}
	return all
})

// told prints all that is said about sums.
func told(s *incident.Sums) string {
	var b strings.Builder
	for _, in := range s.Incidents(incident.All(), func(wire.EncapID) []string { return nil }) {
		fmt.Fprintf(&b, "%s %s from %v to %v, %v %v: %s %s %s %v %v\n", brief(&in), in.Catalogue, in.First, in.Last, in.UIDs, in.Frames, in.Message, in.Falsify, in.Reason,
			in.Folds, in.More)
	}
	fmt.Fprintf(&b, "%+v", s.Limits())
	return b.String()
}

// Neither the order in which connections come, nor how they are shared out, among sums and among
// counters of one that work at the same time, nor the order in which the shares are merged
// changes anything, however tight the bounds are; and the bounds hold at all times.
func TestSumsAreSums(t *testing.T) {
	traffic := allTraffic()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		by := rapid.SampledFrom([]int{1, 16, 256, 2048}).Draw(t, "by")
		part := rapid.SampledFrom([]float64{0.1, 0.9, 1}).Draw(t, "part")
		var conns []settled
		for range rapid.IntRange(1, 4).Draw(t, "scripts") {
			for _, c := range traffic[r.IntN(len(traffic))] {
				if r.Float64() < part {
					conns = append(conns, c)
				}
			}
		}
		sums := func() *incident.Sums {
			return incident.NewSmall(incident.Config{Profile: reassembly.Linux}, by)
		}
		add := func(s *incident.Sums, c settled) { s.Add(c.conn, c.found, nil) }
		whole := sums()
		for _, c := range conns {
			add(whole, c)
		}
		want := told(whole)
		for range 3 {
			r.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
			shares := make([]*incident.Sums, rapid.IntRange(1, 8).Draw(t, "shares"))
			for i := range shares {
				shares[i] = sums()
			}
			counted := make([][]settled, len(shares)*rapid.IntRange(1, 3).Draw(t, "counters"))
			for _, c := range conns {
				i := r.IntN(len(counted))
				counted[i] = append(counted[i], c)
			}
			var wg sync.WaitGroup
			counting := make([]sync.Mutex, len(shares))
			for i, conns := range counted {
				counter, mu := shares[i%len(shares)].Counter(), &counting[i%len(shares)]
				count := func() {
					mu.Lock()
					defer mu.Unlock()
					counter.Count()
				}
				wg.Go(func() {
					for _, c := range conns {
						counter.Add(c.conn, c.found, nil)
						if counter.Full() || counter.Due() && c.conn.First%2 == 0 {
							count()
						}
					}
					count()
				})
			}
			wg.Wait()
			for len(shares) > 1 {
				i := 1 + r.IntN(len(shares)-1)
				shares[0].Merge(shares[i])
				shares = append(shares[:i], shares[i+1:]...)
				r.Shuffle(len(shares), func(i, j int) { shares[i], shares[j] = shares[j], shares[i] })
			}
			if got := told(shares[0]); got != want {
				t.Fatalf("%d connections, shared out and merged:\n%s\nat once:\n%s", len(conns), got, want)
			}
			sizes, bounds := shares[0].Sizes(), shares[0].Bounds()
			for i, n := range sizes {
				if n > bounds[i] {
					t.Fatalf("table %d holds %d of %d", i, n, bounds[i])
				}
			}
		}
	})
}

// What is counted of an ordinary connection at once is what is counted of any.
func TestOrdinary(t *testing.T) {
	unread := ^finding.NewSet(finding.All()).Triggers()
	var all [][]settled
	for _, path := range trafficFiles(t) {
		script, err := readTraffic(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, settledWith(script.frames(t), unread))
	}
	// Orderly ones of all sorts, some of which take too long somewhere, among others.
	script := &traffic{hosts: map[string]*trafficHost{}}
	for i, line := range []string{
		"0    300 x 0.01  a > s:80      open talk >F <A <F >A",
		"0    300 x 0.01  a > s:80      open talk <F >A >F <A",
		"0.1  90  x 0.02  a > s:80      open talk talk >F <A +0.3 <F >A",
		"0.2  90  x 0.02  b > s:80      open talk talk >F <A +1.3 <F >A",
		"0.3  90  x 0.02  b > s:81-90   open talk <F >A +0.4 >F <A",
		"0.4  90  x 0.02  b > s:81-90   open talk <F >A +2.4 >F <A",
		"0.5  90  x 0.02  b > s*7:80    open talk",
		"0.6  90  x 0.02  c*9 > s:80    open >100",
		"0.7  90  x 0.02  c*9 > s:80    open >100 <A +1.7 >F <A <F >A",
		"0.8  90  x 0.02  * > s:80      open <100 >A >F <A <F >A",
		"0.9  90  x 0.02  * > s:80      open",
		"1.0  90  x 0.02  * > s:80      open talk >RA",
		"1.1  90  x 0.02  a > s:80      open talk close",
		"1.2  90  x 0.02  a > s:80      >S",
		"1.3  90  x 0.02  a > r:80      refused",
	} {
		if err := script.trafficLine(strings.Fields(line), i); err != nil {
			t.Fatal(err)
		}
	}
	all = append(all, settledWith(script.frames(t), unread))
	ordinary, others, ways := 0, 0, map[string]bool{}
	for _, conns := range all {
		for _, by := range []int{1, 512, 2048} {
			one, other := incident.NewSmall(incident.Config{Profile: reassembly.Linux}, by), incident.NewSmall(incident.Config{Profile: reassembly.Linux}, by)
			for _, c := range conns {
				one.Add(c.conn, c.found, nil)
				other.AddAny(c.conn, c.found)
			}
			if diff := one.Differ(other); diff != "" {
				t.Fatal(diff)
			}
		}
		for _, c := range conns {
			if !incident.NewSmall(incident.Config{}, 1024).AddOrdinary(c.conn, c.found) {
				others++
				continue
			}
			ordinary++
			sv := &c.conn.Ends[reassembly.Server]
			ways[fmt.Sprint(c.conn.Close.Closer, c.conn.Close.Reason, sv.Bytes > 0)] = true
		}
	}
	if ordinary < 2000 || others < 2000 || len(ways) < 4 {
		t.Errorf("%d connections were ordinary, in %d ways, and %d were not: too few to say anything", ordinary, len(ways), others)
	}
}

// Asking changes nothing: more may be added afterwards.
func TestSumsCanBeAskedInBetween(t *testing.T) {
	for _, conns := range allTraffic() {
		one, two := incident.New(incident.Config{Profile: reassembly.Linux}), incident.New(incident.Config{Profile: reassembly.Linux})
		for i, c := range conns {
			one.Add(c.conn, c.found, nil)
			two.Add(c.conn, c.found, nil)
			if i == len(conns)/2 {
				told(two)
			}
		}
		if a, b := told(one), told(two); a != b {
			t.Fatalf("asked in between:\n%s\notherwise:\n%s", b, a)
		}
	}
}

// TestCounterKeepsNothingOfUnclear: what is never counted, whatever was found on it, is not kept
// until something is.
func TestCounterKeepsNothingOfUnclear(t *testing.T) {
	c := &reassembly.Conn{Events: make([]reassembly.Event, 1), RoleBy: reassembly.RoleByGuess}
	rule := finding.All()[0]
	counter := incident.New(incident.Config{Profile: reassembly.Linux}).Counter()
	for range 100 {
		counter.Add(c, []finding.Finding{{Rule: rule, Catalogue: rule.Catalogue[0], Frames: []wire.FrameID{1}}}, nil)
	}
	if n := counter.Read(); n > 0 || counter.Due() {
		t.Errorf("%d findings are kept", n)
	}
}
