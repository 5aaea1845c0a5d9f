package census

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// timeline builds a side's states from pairs of a state and the second since 1970
// at which it began.
func timeline(steps ...reassembly.Transition) []reassembly.Transition { return steps }

func step(second float64, s reassembly.State, e reassembly.Evidence) reassembly.Transition {
	return reassembly.Transition{State: s, At: wire.Time(second * 1e9), Evidence: e}
}

// What is counted of a stay depends on how both of its ends are known.
func TestDwell(t *testing.T) {
	type counts struct{ Count, Unfinished, Assumed uint64 }
	for _, x := range []struct {
		name string
		tl   []reassembly.Transition
		want map[reassembly.State]counts
	}{
		{"seen whole", timeline(step(1, reassembly.SynSent, reassembly.Sent), step(3, reassembly.Established, reassembly.Acked), step(7, reassembly.Closed, reassembly.Sent)),
			map[reassembly.State]counts{reassembly.SynSent: {1, 0, 0}, reassembly.Established: {1, 0, 0}}},
		{"cut off by the end", timeline(step(1, reassembly.SynSent, reassembly.Sent), step(3, reassembly.Established, reassembly.Acked)),
			map[reassembly.State]counts{reassembly.SynSent: {1, 0, 0}, reassembly.Established: {0, 1, 0}}},
		{"ended by the profile's timer", timeline(step(1, reassembly.TimeWait, reassembly.Acked), step(61, reassembly.Closed, reassembly.Timer)),
			map[reassembly.State]counts{reassembly.TimeWait: {0, 0, 1}}},
		{"begun before the capture", timeline(step(1, reassembly.Established, reassembly.Assumed), step(2, reassembly.CloseWait, reassembly.Passed)),
			map[reassembly.State]counts{reassembly.Established: {0, 0, 1}, reassembly.CloseWait: {0, 1, 0}}},
		{"nothing known", nil, map[reassembly.State]counts{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			for side := range 2 {
				var c reassembly.Conn
				c.Ends[side].Timeline = x.tl
				var d Durations
				d.Add(&c)
				got := map[reassembly.State]counts{}
				for st := range d.Dwell[side] {
					w := &d.Dwell[side][st]
					if n := (counts{w.Count(), w.Unfinished, w.Assumed}); n != (counts{}) {
						got[reassembly.State(st)] = n
					}
				}
				if diff := cmp.Diff(x.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// Parts that are merged say the same as the whole, in whatever order.
func TestDurationsMerge(t *testing.T) {
	var parts [3]Durations
	var whole Durations
	for i := range 300 {
		var c reassembly.Conn
		from := float64(i % 7)
		c.Ends[i%2].Timeline = timeline(step(from, reassembly.SynSent, reassembly.Sent), step(from+float64(i)/10, reassembly.Established, reassembly.Acked),
			step(from+float64(i), reassembly.Closed, reassembly.Evidence(i%5)))
		c.Handshake.RTT, c.Handshake.ServerSide = time.Duration(i)*time.Millisecond, time.Duration(i)*time.Microsecond
		whole.Add(&c)
		parts[i%3].Add(&c)
	}
	var merged Durations
	for _, i := range []int{2, 0, 1} {
		merged.Merge(&parts[i])
	}
	if diff := cmp.Diff(whole, merged, cmp.AllowUnexported(Histogram{})); diff != "" {
		t.Error(diff)
	}
	if n := whole.RTT[RTTWhole].Count(); n != 299 {
		t.Errorf("%d round trips, want 299: 0 is unknown", n)
	}
	if n := whole.RTT[RTTClientSide].Count(); n != 0 {
		t.Errorf("%d round trips on the client's side, want none", n)
	}
}
