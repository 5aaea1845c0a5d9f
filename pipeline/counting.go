package pipeline

import (
	"sync"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
)

// counting is a worker's part in what connections show together. Its zero value is that of one
// whom nobody asks.
type counting struct {
	sums    *incident.Sums
	counter *incident.Counter
	// mu is held by the counter of the sums that is at work.
	mu *sync.Mutex
	// owner: no worker before it counts for the same sums.
	owner bool
}

// countTogether is how many workers count for the same sums. All meet the same listeners and
// pairs, so that what is held of those is there once, and need not be joined at the end. A worker
// counts in a fifth of its time: of two, one is seldom in the other's way; of four, one mostly
// would be.
const countTogether = 2

// countBeside gives the worker sums to count for, if anybody asks: those of the one before it if
// they may be shared.
func (w *worker) countBeside(before []*worker) {
	switch n := len(before); {
	case len(w.cfg.incidentRules()) == 0:
	case n%countTogether == 0 || w.cfg.Live != nil: // in a live run they are handed over now and then
		w.begin(w.newSums())
		w.owner = true
	default:
		of := &before[n-1].counting
		w.counting = counting{sums: of.sums, counter: of.sums.Counter(), mu: of.mu}
	}
}

// begin has the worker count for new sums.
func (c *counting) begin(s *incident.Sums) { c.sums, c.counter, c.mu = s, s.Counter(), new(sync.Mutex) }

// count counts a connection. While another worker is at it, it goes on as long as there is room.
func (c *counting) count(conn *reassembly.Conn, found []finding.Finding, layers []string) {
	c.counter.Add(conn, found, layers)
	if !c.counter.Due() {
		return
	}
	if !c.mu.TryLock() {
		if !c.counter.Full() {
			return
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	c.counter.Count()
}

// countAll counts whatever waits for it.
func (c *counting) countAll() {
	if c.counter == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counter.Count()
}
