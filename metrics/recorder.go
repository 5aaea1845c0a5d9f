package metrics

import (
	"sync"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// Recorder counts connections that have settled. Its methods may be called from several
// goroutines at once.
type Recorder struct {
	mu      sync.Mutex
	ids     map[*finding.Rule]int // the place of a rule in findings
	rules   []*finding.Rule
	reasons []uint64
	// closers are by closerNames and byNames.
	closers    [len(closerNames)][len(byNames)]uint64
	handshakes [handshakeCount]uint64
	evicted    uint64
	packets    [2]uint64
	payload    [2]uint64
	repeats    [2]uint64
	findings   [][severityCount]uint64
	resets     [][2]uint64 // by class and sender
	rtt        [census.RTTParts]histogram
	dwell      [2][reassembly.StateCount]histogram
	unmeasured [2][reassembly.StateCount][len(whyNames)]uint64
}

// NewRecorder returns a recorder that has counted nothing.
func NewRecorder() *Recorder {
	r := &Recorder{ids: map[*finding.Rule]int{}, rules: finding.All(), reasons: make([]uint64, len(reassembly.CloseReasons())),
		resets: make([][2]uint64, len(finding.ResetClasses()))}
	r.findings = make([][severityCount]uint64, len(r.rules))
	for i, x := range r.rules {
		r.ids[x] = i
	}
	for i := range r.rtt {
		r.rtt[i].bounds = rttBounds
	}
	for side := range r.dwell {
		for s := range r.dwell[side] {
			r.dwell[side][s].bounds = dwellBounds
		}
	}
	return r
}

// rttBounds go from two programs of one host to the other side of a satellite; beyond a
// second only a host that is slow to accept answers, as a repeated SYN is not counted.
var rttBounds = []time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// dwellBounds go from the round trip of a handshake to a day of an idle connection; a
// minute, two and four are what profiles give TIME_WAIT and FIN_WAIT_2.
var dwellBounds = []time.Duration{
	time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute,
	15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

// Observe counts a connection that has settled. It keeps nothing of c.
func (r *Recorder) Observe(c *report.Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons[c.Close.Reason]++
	closer, by := len(closerNames)-1, len(byNames)-1
	if c.Close.HasCloser {
		closer, by = int(c.Close.Closer), 0
		if c.Close.By == "rst" {
			by = 1
		}
	}
	r.closers[closer][by]++
	r.handshakes[c.Handshake.Outcome]++
	if c.Ended == reassembly.EndedEvicted {
		r.evicted++
	}
	for i := range c.Findings {
		f := &c.Findings[i]
		if at, ok := r.ids[f.Rule]; ok {
			r.findings[at][f.Severity]++
		}
	}
	finding.CountResets(c.Conn, func(from reassembly.Side, class int, n uint32) { r.resets[class][from] += uint64(n) })
	for part, took := range [census.RTTParts]time.Duration{census.RTTWhole: c.Handshake.RTT, census.RTTClientSide: c.Handshake.ClientSide, census.RTTServerSide: c.Handshake.ServerSide} {
		if took > 0 {
			r.rtt[part].record(took)
		}
	}
	for side := range c.Ends {
		e := &c.Ends[side]
		r.packets[side] += e.Packets
		r.payload[side] += e.Bytes
		r.repeats[side] += e.Retransmits
		census.Stays(e.Timeline, func(s reassembly.State, stay census.Stay, took time.Duration) {
			switch stay {
			case census.StayUnfinished:
				r.unmeasured[side][s][0]++
			case census.StayAssumed:
				r.unmeasured[side][s][1]++
			default:
				r.dwell[side][s].record(took)
			}
		})
	}
}

// histogram counts durations by bounds, each of which is the longest of its bucket.
type histogram struct {
	bounds []time.Duration
	counts [16]uint64 // of as many as there are bounds; beyond the last only count
	count  uint64
	sum    float64 // seconds
}

func (h *histogram) record(d time.Duration) {
	h.count++
	h.sum += d.Seconds()
	for i, b := range h.bounds {
		if d <= b {
			h.counts[i]++
			return
		}
	}
}

// cumulative returns how many were not above each bound, in seconds.
func (h *histogram) cumulative() map[float64]uint64 {
	buckets, n := make(map[float64]uint64, len(h.bounds)), uint64(0)
	for i, b := range h.bounds {
		n += h.counts[i]
		buckets[b.Seconds()] = n
	}
	return buckets
}
