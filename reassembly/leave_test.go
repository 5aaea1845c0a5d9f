package reassembly

import (
	"slices"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// TestLivesLeave: a life of a tuple leaves by itself if its own time comes before that of a newer one,
// and otherwise with that: whenever the clock is told, wherever the records lie, and whether the first one
// was brief. A host gives its attempt up when its own timer says so (RFC 9293, 3.8.3), and a newer SYN
// that nothing answers takes nobody's place.
func TestLivesLeave(t *testing.T) {
	attempts := func(s *script) *script {
		for i := range wire.Seq(4) {
			s.reopen(1000*(2+i), 2000).client(syn, 0, 0)
		}
		return s
	}
	// A RST's connection leaves 67.5 s later, an attempt after 191.
	behind := func(d time.Duration) *script {
		s := newScript()
		s.at = s.at.Add(500 * time.Millisecond) // what comes after 191 s and 190.9 is of one second
		return s.client(syn, 0, 0).reopen(900000, 7000).after(d).client(syn, 0, 0).server(rstack, 0, 1)
	}
	for _, tt := range []struct {
		name string
		s    *script
		want []Ended // by life
	}{
		// There is room for four: the fifth has the record of the first, which is in that second's list.
		{"attempts of one second", attempts(newScript().client(syn, 0, 0)), []Ended{EndedReused, EndedSettled, EndedSettled, EndedSettled, EndedSettled}},
		// Of a brief one that was reset, that list knows nothing.
		{"attempts behind a RST", attempts(newScript().client(syn, 0, 0).client(rst, 1, 0)), []Ended{EndedReused, EndedSettled, EndedSettled, EndedSettled, EndedSettled}},
		{"refused long before", behind(10 * time.Second), []Ended{EndedReused, EndedSettled}},
		{"refused before, in one second", behind(123200 * time.Millisecond), []Ended{EndedReused, EndedSettled}},
		{"refused behind, in one second", behind(123800 * time.Millisecond), []Ended{EndedSettled, EndedSettled}},
		{"refused long behind", behind(150 * time.Second), []Ended{EndedSettled, EndedSettled}},
	} {
		n := len(tt.s.segs)
		(&coursed{segs: tt.s.segs, ticks: make([]bool, n), ahead: make([]time.Duration, n), end: time.Hour}).same(t)
		for _, step := range []time.Duration{100 * time.Millisecond, time.Second, time.Hour} {
			h := &heard{}
			tr := listener(h)
			for i := range tt.s.segs {
				tr.Feed(&tt.s.segs[i])
			}
			for d := time.Duration(0); d <= time.Hour; d += step {
				tr.Advance(tt.s.at.Add(d))
			}
			var got []Ended
			for _, c := range h.told().conns {
				got = append(got, c.Ended)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s, the clock told each %v: they left as %v, want %v", tt.name, step, got, tt.want)
			}
		}
	}
}
