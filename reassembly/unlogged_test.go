package reassembly

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestUnlogged holds connections whose logs are read and those whose are not side by side:
// what stands for the log is what the log says, and all else is the same.
func TestUnlogged(t *testing.T) {
	n := 10000
	if testing.Short() || raced {
		n = 3000
	}
	without, spoke := 0, 0
	for i := range n {
		course := talkedAbout(i)
		want, got := &heard{}, &heard{}
		for _, h := range []*heard{want, got} {
			tracker := listener(h)
			if h == got {
				tracker.cfg.Unread = ^Seen(0)
			}
			for j := range course.segs {
				s := course.segs[j]
				tracker.Feed(&s)
				if course.ticks[j] {
					tracker.Advance(s.At.Add(course.ahead[j]))
				}
			}
			tracker.Flush()
			h.told()
		}
		if len(want.conns) != len(got.conns) {
			t.Fatalf("%d connections, and %d where logs are read, of\n%s", len(got.conns), len(want.conns), course)
		}
		for j := range got.conns {
			c, logged := got.conns[j], want.conns[j]
			if c.Unlogged.Is {
				without++
				if c.Idle.For != 0 || len(c.Events) > 0 || logged.Sampled() {
					t.Fatalf("%v has no log, of\n%s", c, course)
				}
				u := Unlogged{Is: true}
				for k := range logged.Events {
					e := &logged.Events[k]
					if u.Heard[e.From] = e.LastAt; e.Len > 0 {
						u.Spoke[e.From] = e.LastAt
						spoke++
					}
				}
				if c.Unlogged != u {
					t.Fatalf("%v, and the log says %v\n%+v\nof\n%s", c.Unlogged, u, logged.Events, course)
				}
				c.Unlogged, c.Events = Unlogged{}, logged.Events
				for k := range c.Ends {
					if c.Ends[k].Response != 0 {
						t.Fatalf("the response of a connection without a log was measured, of\n%s", course)
					}
					c.Ends[k].Response = logged.Ends[k].Response
				}
			}
			if !reflect.DeepEqual(c, logged) {
				t.Fatalf("without a log (-) and with one (+):\n%s\nof\n%s", cmp.Diff(c, logged, cmpopts.EquateComparable(), cmp.AllowUnexported(Transition{}, Idle{}, word{})), course)
			}
		}
	}
	if without < n/20 || spoke < n/20 {
		t.Errorf("of %d courses %d came without a log, %d events had octets: too few to say anything", n, without, spoke)
	}
}
