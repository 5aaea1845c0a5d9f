package report

import (
	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
)

// appendDwell appends, by side, the time spent in each state that any endpoint was
// in.
func appendDwell(b []byte, d *census.Durations) []byte {
	b = append(b, '{')
	for side := range d.Dwell {
		b = appendSideKey(b, side)
		b = append(b, '{')
		for state := range d.Dwell[side] {
			w := &d.Dwell[side][state]
			if w.Count() == 0 && w.Unfinished == 0 && w.Assumed == 0 {
				continue
			}
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = append(b, reassembly.State(state).String()...)
			b = append(b, `":{"count":`...)
			b = appendUint(b, w.Count())
			b = appendField(b, "unfinished", w.Unfinished)
			b = appendField(b, "assumed", w.Assumed)
			b = appendPercentiles(b, &w.Histogram)
			b = append(b, '}')
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

// rttNames are the parts of a handshake's round trip, as the connection's own
// fields have them.
var rttNames = [census.RTTParts]string{census.RTTWhole: "rtt", census.RTTClientSide: "rtt_client_side", census.RTTServerSide: "rtt_server_side"}

// appendRTT appends the handshakes' round trips, each part with its histogram.
func appendRTT(b []byte, d *census.Durations) []byte {
	b = append(b, '{')
	for part := range d.RTT {
		r := &d.RTT[part]
		if part > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, rttNames[part]...)
		b = append(b, `":{"count":`...)
		b = appendUint(b, r.Count())
		b = appendPercentiles(b, &r.Histogram)
		b = append(b, `,"histogram":[`...)
		if first, last, ok := r.Powers.Used(); ok {
			for i := first; i <= last; i++ {
				if i > first {
					b = append(b, ',')
				}
				from, to := r.Powers.Bounds(i)
				b = append(b, `{"from":`...)
				b = appendSeconds(b, from)
				b = append(b, `,"to":`...)
				b = appendSeconds(b, to)
				b = appendField(b, "count", r.Powers[i])
				b = append(b, '}')
			}
		}
		b = append(b, ']', '}')
	}
	return append(b, '}')
}

// percentiles are those that reports give.
var percentiles = [...]struct {
	p    uint64
	name string
}{{50, "p50"}, {90, "p90"}, {99, "p99"}}

// appendPercentiles appends what is known of the values of h, in seconds; nothing
// if there are none.
func appendPercentiles(b []byte, h *census.Histogram) []byte {
	if h.Count() == 0 {
		return b
	}
	b = append(b, `,"min":`...)
	b = appendSeconds(b, h.Min())
	for _, x := range percentiles {
		b = append(b, ',', '"')
		b = append(b, x.name...)
		b = append(b, '"', ':')
		b = appendSeconds(b, h.Percentile(x.p))
	}
	b = append(b, `,"max":`...)
	return appendSeconds(b, h.Max())
}
