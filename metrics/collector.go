package metrics

import (
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Build says which program runs.
type Build struct {
	Version, Revision, Go string
	Schema                int
}

// Collector hands a recorder's counts and a run's present to Prometheus.
type Collector struct {
	build    Build
	recorder *Recorder
	present  func() *Snapshot
	descs    map[*Metric]*prometheus.Desc
	now      func() time.Time

	mu        sync.Mutex // of what follows
	listeners names[netip.AddrPort]
	pairs     names[pair]
}

// NewCollector returns a collector. present is called once for each scrape, one at a
// time, and may return nil as long as there is nothing to say.
func NewCollector(build Build, recorder *Recorder, present func() *Snapshot) *Collector {
	c := &Collector{build: build, recorder: recorder, present: present, descs: map[*Metric]*prometheus.Desc{}, now: time.Now,
		listeners: names[netip.AddrPort]{max: namedListeners, least: 1, tenure: tenure},
		pairs:     names[pair]{max: namedPairs, least: pairLeast, tenure: tenure}}
	for _, m := range All() {
		var labels []string
		for _, l := range m.Labels {
			labels = append(labels, l.Name)
		}
		c.descs[m] = prometheus.NewDesc(m.Name, m.Help, labels, nil)
	}
	return c
}

// Registry returns a registry with the collector, and with what client_golang says of the
// process: its memory, its CPU time, its goroutines.
func (c *Collector) Registry() *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range All() {
		out <- c.descs[m]
	}
}

// Collect sends the present values.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := sink{c, out}
	s.send(&buildInfo, 1, c.build.Version, c.build.Revision, c.build.Go, strconv.Itoa(c.build.Schema))
	if now := c.present(); now != nil {
		s.count(&opened, now.Opened)
		s.present(now.Present)
		s.sources(now.Sources)
		s.count(&gaps, now.Gaps)
		if now.Counted {
			s.count(&drops, now.Dropped)
			s.count(&freezes, now.Frozen)
		}
	}
	s.recorder(c.recorder)
}

// sink is where a scrape goes.
type sink struct {
	c   *Collector
	out chan<- prometheus.Metric
}

func (s sink) send(m *Metric, v float64, labels ...string) {
	kind := prometheus.GaugeValue
	if m.Kind == Counter {
		kind = prometheus.CounterValue
	}
	s.out <- prometheus.MustNewConstMetric(s.c.descs[m], kind, v, labels...)
}

func (s sink) count(m *Metric, n uint64, labels ...string) { s.send(m, float64(n), labels...) }

func (s sink) histogram(m *Metric, h *histogram, labels ...string) {
	s.out <- prometheus.MustNewConstHistogram(s.c.descs[m], h.count, h.sum, h.cumulative(), labels...)
}

// eachState calls do for the states that are told.
func eachState(do func(s reassembly.State)) {
	for s := range reassembly.State(reassembly.StateCount) {
		if told(s) {
			do(s)
		}
	}
}

func (s sink) present(p *Present) {
	if p == nil {
		p = &Present{}
	}
	s.count(&openConnections, p.connections)
	for side, role := range roleNames {
		eachState(func(state reassembly.State) { s.count(&endpoints, p.endpoints[side][state], role, state.String()) })
	}
	s.listeners(p)
	s.pairs(p)
}

func (s sink) listeners(p *Present) {
	busy := make(map[netip.AddrPort]uint64, len(p.listeners))
	rest := p.otherListeners
	for k, n := range p.listeners {
		busy[k] = n.sum()
		rest.add(n)
	}
	tell := func(name string, n *stateCounts) {
		eachState(func(state reassembly.State) { s.count(&listeners, n[state], name, state.String()) })
	}
	for _, k := range s.c.listeners.choose(s.c.now(), busy, netip.AddrPort.Compare) {
		n := p.listeners[k]
		if n == nil {
			n = &stateCounts{}
		}
		tell(k.String(), n)
		for state := range n {
			rest[state] -= n[state]
		}
	}
	tell(other, &rest)
}

func (s sink) pairs(p *Present) {
	busy := make(map[pair]uint64, len(p.pairs))
	rest := p.otherPairs
	least, found := uint64(0), false
	for k, x := range p.pairs {
		busy[k] = x.held
		rest.add(x)
		if left := p.left(k, x); !found || left < least {
			least, found = left, true
		}
	}
	if found {
		s.count(&portsLeast, least)
	}
	for _, k := range s.c.pairs.choose(s.c.now(), busy, pair.compare) {
		client, server := k.client.String(), k.server.String()
		x := p.pairs[k]
		if x == nil {
			of := p.Hosts.ports(k.client)
			x = &ports{low: of[0], high: of[1]}
		}
		s.count(&portsHeld, x.held, client, server)
		s.count(&portsWaiting, x.waiting, client, server)
		s.count(&portsLeft, p.left(k, x), client, server)
		rest.held -= x.held
		rest.waiting -= x.waiting
	}
	s.count(&portsHeld, rest.held, other, other)
	s.count(&portsWaiting, rest.waiting, other, other)
}

func (s sink) sources(all []Source) {
	seen := map[string]bool{}
	for i := range all {
		x := &all[i]
		if seen[x.Name] {
			continue
		}
		seen[x.Name] = true
		s.count(&frames, x.Frames, x.Name)
		s.count(&octets, x.Bytes, x.Name)
		if x.Last != 0 {
			s.send(&lastFrame, float64(x.Last)/1e9, x.Name)
		}
		for reason, n := range x.Skipped {
			if r := wire.Skip(reason); r != wire.SkipNone {
				s.count(&skipped, n, x.Name, r.String())
			}
		}
	}
}

func (s sink) recorder(r *Recorder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, name := range reassembly.CloseReasons() {
		s.count(&closed, r.reasons[i], name)
	}
	for i, closer := range closerNames {
		for k, by := range byNames {
			if (closer == closerNames[len(closerNames)-1]) == (by == byNames[len(byNames)-1]) {
				s.count(&closers, r.closers[i][k], closer, by)
			}
		}
	}
	s.count(&evicted, r.evicted)
	for h := range r.handshakes {
		s.count(&handshakes, r.handshakes[h], reassembly.HandshakeOutcome(h).String())
	}
	for part, name := range rttParts {
		s.histogram(&rtt, &r.rtt[part], name)
	}
	for side, role := range roleNames {
		s.count(&packets, r.packets[side], role)
		s.count(&payload, r.payload[side], role)
		s.count(&repeats, r.repeats[side], role)
		eachState(func(state reassembly.State) {
			s.histogram(&dwell, &r.dwell[side][state], role, state.String())
			for why, name := range whyNames {
				s.count(&unmeasured, r.unmeasured[side][state][why], role, state.String(), name)
			}
		})
		for class, name := range finding.ResetClasses() {
			s.count(&resets, r.resets[class][side], name, role)
		}
	}
	for i, rule := range r.rules {
		for grade, n := range r.findings[i] {
			// A rule gives what it may give, or what the user has made of that.
			if sev := finding.Severity(grade); sev <= rule.Severity || n > 0 {
				s.count(&findings, n, rule.ID, sev.String())
			}
		}
	}
}
