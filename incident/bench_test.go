package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// BenchmarkAdd gives the time that counting a connection takes, by what it was; the
// connections come on and on, so that the bounds in time and keys are reached.
func BenchmarkAdd(b *testing.B) {
	for _, kind := range []struct {
		name, plot string
		// clients is how many there are, listeners how many ports they go to.
		clients, listeners int
	}{
		{"orderly", "open talk close", 200, 4},
		{"one pair", "open talk close", 1, 1},
		{"many pairs", "open talk close", 60_000, 60},
		{"closed by the server", "open talk closed", 200, 4},
		{"reset", "open talk >RA", 200, 4},
		{"refused", "refused", 200, 4},
		{"flood", ">S +4", 1 << 20, 1},
		{"scan", "refused", 1, 60_000},
	} {
		b.Run(kind.name, func(b *testing.B) {
			script := &traffic{hosts: map[string]*trafficHost{}}
			if err := script.trafficLine(append([]string{"0", "1", "x", "1", "a", ">", "s:80"}, strings.Fields(kind.plot)...), 1); err != nil {
				b.Fatal(err)
			}
			conns := settledOf(script.frames(b))
			c, found := conns[0].conn, conns[0].found
			sums := incident.New(incident.Config{Profile: reassembly.Linux})
			src, dst := c.Tuple.Src, c.Tuple.DstPort
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				// Bursts of one client, as they are. A tenth of a millisecond passes.
				c.Tuple.Src = wire.Addr{Hi: src.Hi, Lo: src.Lo + uint64(n/8%kind.clients)}
				c.Tuple.DstPort = dst + uint16(n/8%kind.listeners)
				later(c, 100*time.Microsecond)
				sums.Add(c, found, nil)
				n++
			}
		})
	}
}

// later moves a connection in time.
func later(c *reassembly.Conn, d time.Duration) {
	c.Start, c.End, c.Until, c.Close.At = c.Start.Add(d), c.End.Add(d), c.Until.Add(d), c.Close.At.Add(d)
	c.First, c.Last = c.First+10, c.Last+10
	for i := range c.Events {
		c.Events[i].At, c.Events[i].LastAt = c.Events[i].At.Add(d), c.Events[i].LastAt.Add(d)
	}
	for side := range c.Ends {
		for i := range c.Ends[side].Timeline {
			c.Ends[side].Timeline[i].At = c.Ends[side].Timeline[i].At.Add(d)
		}
	}
}

// BenchmarkLater is what of BenchmarkAdd is the benchmark's own.
func BenchmarkLater(b *testing.B) {
	script := &traffic{hosts: map[string]*trafficHost{}}
	if err := script.trafficLine(append([]string{"0", "1", "x", "1", "a", ">", "s:80"}, strings.Fields("open talk close")...), 1); err != nil {
		b.Fatal(err)
	}
	c := settledOf(script.frames(b))[0].conn
	for b.Loop() {
		later(c, 100*time.Microsecond)
	}
}

// BenchmarkIncidents gives the time that the rules take at the end.
func BenchmarkIncidents(b *testing.B) {
	sums := incident.New(incident.Config{Profile: reassembly.Linux})
	for _, conns := range allTraffic() {
		for _, c := range conns {
			sums.Add(c.conn, c.found, nil)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		sums.Incidents(incident.All(), func(wire.EncapID) []string { return nil })
	}
}
