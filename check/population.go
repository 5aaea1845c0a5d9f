package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
)

// Population is the connections of a capture as a whole: how many have what, and how
// long it takes. It does not follow the capture's size.
type Population struct {
	Name        string
	Connections uint64
	// Span is the time from the first frame to the last.
	Span time.Duration
	// shares counts connections by what they have; of those to a port, by port.
	shares map[share]uint64
	times  map[string]*spread
	ports  map[uint16]*portShare
	// other counts connections to ports beyond maxPorts.
	other     uint64
	incidents map[string]finding.Severity
	remarks   []string
	filter    int // of the run; -1 for all connections
}

// share names a part of a population.
type share struct{ group, name string }

// portShare is what is told of one server port.
type portShare struct {
	connections, failed, reset uint64
	rtt                        spread
}

// maxPorts bounds how many ports are told apart, and maxPortsCompared how many of them
// are compared: those with the most connections.
const (
	maxPorts         = 4096
	maxPortsCompared = 16
)

// Survey begins to count the population of one capture: of the connections that a
// selection has, all if it is empty.
func Survey(w *selection.Wish) (*Run, *Population, error) {
	p := &Population{shares: map[share]uint64{}, times: map[string]*spread{}, ports: map[uint16]*portShare{}, incidents: map[string]finding.Severity{}, filter: -1}
	var filters []*selection.Selection
	if !w.Empty() {
		s, err := selection.New(w)
		if err != nil {
			return nil, nil, err
		}
		filters, p.filter = []*selection.Selection{s}, 0
	}
	r := newRun(filters)
	r.deep = p.filter >= 0
	r.judges = []judge{p}
	return r, p, nil
}

func (p *Population) see(l *life) {
	if p.filter >= 0 && !l.holds[p.filter] {
		return
	}
	p.Connections++
	p.shares[share{"outcome", l.Outcome.String()}]++
	p.shares[share{"handshake", l.Handshake.String()}]++
	p.shares[share{"close", l.Reason.String()}]++
	reset := slices.Contains(resets, l.Reason)
	if reset {
		p.shares[share{"close", "reset"}]++
	}
	closer := "nobody"
	if l.begunToClose() {
		closer = l.Closer.String() + ", " + map[string]string{"fin": "FIN", "rst": "RST"}[l.By]
	}
	p.shares[share{"closed first by", closer}]++
	if l.syns > 0 {
		p.shares[share{"handshake", "with repeated SYN or SYN-ACK"}]++
	}
	for i := range l.Findings {
		id := l.Findings[i].Rule.ID
		if !slices.ContainsFunc(l.Findings[:i], func(f finding.Finding) bool { return f.Rule.ID == id }) {
			p.shares[share{"finding", id}]++
		}
	}
	for part, name := range [census.RTTParts]string{census.RTTWhole: "round trip of the handshake", census.RTTClientSide: "round trip between tap and client", census.RTTServerSide: "round trip between tap and server"} {
		if d := l.rtt[part]; d > 0 {
			p.took(name, d)
		}
	}
	p.took("duration", l.duration)
	for side := range l.stays {
		for _, s := range l.stays[side] {
			if s.whole {
				p.took(sides[side]+" in "+s.state.String(), s.dwell)
			}
		}
	}
	port := p.ports[l.Tuple.DstPort]
	if port == nil {
		if len(p.ports) == maxPorts {
			p.other++
			return
		}
		port = &portShare{}
		p.ports[l.Tuple.DstPort] = port
	}
	port.connections++
	if l.Outcome == reassembly.OutcomeFailure {
		port.failed++
	}
	if reset {
		port.reset++
	}
	if d := l.rtt[census.RTTWhole]; d > 0 {
		port.rtt.add(d)
	}
}

func (p *Population) took(what string, d time.Duration) {
	m := p.times[what]
	if m == nil {
		m = &spread{}
		p.times[what] = m
	}
	m.add(d)
}

func (p *Population) verdicts(s *report.Summary) []Verdict {
	if first, last, ok := s.Span(); ok {
		p.Span = last.Sub(first)
	}
	// Of a selection nobody knows which incidents are its own.
	for i := range s.Incidents {
		in := &s.Incidents[i]
		name := in.Rule.ID
		if in.Scope.Port != 0 {
			name += fmt.Sprintf(" at port %d", in.Scope.Port)
		}
		if p.filter < 0 {
			p.incidents[name] = max(p.incidents[name], in.Severity)
		}
	}
	for _, f := range s.CaptureFindings() {
		if f.Severity > finding.Info {
			p.remarks = append(p.remarks, f.Message)
		}
	}
	return nil
}

// Comparison is one thing that two populations were compared in.
type Comparison struct {
	// What says it in words: "close abort", "round trip of the handshake". Others are
	// those that the very same connections have.
	What   string
	Others []string
	// Count of Of connections, before and after; of shares.
	Count, Of [2]uint64
	// Median, P90 and P99, and of how many; of times.
	Times            bool
	Median, P90, P99 [2]time.Duration
	N                [2]uint64
	// P is the probability that chance alone makes such a difference, Adjusted the same
	// when it is thought of how many comparisons there are.
	P, Adjusted float64
	// Changed: beyond noise.
	Changed bool
}

// Difference is what two populations differ in.
type Difference struct {
	Before, After *Population
	Level         float64
	// Comparisons are those beyond noise first, the surest before the others.
	Comparisons []Comparison
	// Came and Went are what only one of the two has, whether beyond noise or not.
	Came, Went []string
}

// leastMove is by how much a percentile must have moved, as a share, for a difference of
// times to matter: a bucket is 1/32 wide, and a twentieth of a round trip is nothing
// that anybody acts on.
const leastMove = 0.05

// Diff compares two populations. level is the chance of one false alarm or more if
// nothing changed.
func Diff(before, after *Population, level float64) *Difference {
	d := &Difference{Before: before, After: after, Level: level}
	two := [2]*Population{before, after}
	for _, s := range sortedKeys(before.shares, after.shares, func(a, b share) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.name, b.name)) }) {
		c := Comparison{What: s.group + " " + s.name}
		for i, p := range two {
			c.Count[i], c.Of[i] = p.shares[s], p.Connections
		}
		d.compareShares(c)
	}
	for _, name := range sortedKeys(before.times, after.times, cmp.Compare[string]) {
		d.compareTimes(name, before.times[name], after.times[name])
	}
	d.comparePorts(two)
	d.fold()
	d.adjust()
	for _, name := range sortedKeys(before.incidents, after.incidents, cmp.Compare[string]) {
		_, was := before.incidents[name]
		_, is := after.incidents[name]
		switch {
		case !was:
			d.Came = append(d.Came, "incident "+name)
		case !is:
			d.Went = append(d.Went, "incident "+name)
		}
	}
	for _, s := range sortedKeys(before.shares, after.shares, func(a, b share) int { return cmp.Compare(a.name, b.name) }) {
		if s.group != "finding" {
			continue
		}
		switch was, is := before.shares[s], after.shares[s]; {
		case was == 0:
			d.Came = append(d.Came, fmt.Sprintf("finding %s: %s", s.name, plural(is, "connection", "connections")))
		case is == 0:
			d.Went = append(d.Went, fmt.Sprintf("finding %s: %s", s.name, plural(was, "connection", "connections")))
		}
	}
	return d
}

// sortedKeys returns the keys of two maps.
func sortedKeys[K comparable, V any](a, b map[K]V, order func(a, b K) int) []K {
	all := maps.Clone(a)
	if all == nil {
		all = map[K]V{}
	}
	maps.Copy(all, b)
	return slices.SortedFunc(maps.Keys(all), order)
}

func (d *Difference) compareShares(c Comparison) {
	c.P = fisher(c.Count[0], c.Of[0], c.Count[1], c.Of[1])
	d.Comparisons = append(d.Comparisons, c)
}

func (d *Difference) compareTimes(what string, was, is *spread) {
	if was == nil || is == nil {
		return // that is no difference of times, and stands among the shares
	}
	c := Comparison{What: what, Times: true, P: kolmogorov(&was.buckets, &is.buckets)}
	for i, m := range [2]*spread{was, is} {
		c.N[i] = m.count
		_, c.Median[i] = m.percentile(50)
		_, c.P90[i] = m.percentile(90)
		_, c.P99[i] = m.percentile(99)
	}
	d.Comparisons = append(d.Comparisons, c)
}

// moved reports whether times moved by so much that it matters.
func (c *Comparison) moved() bool {
	for _, p := range [3][2]time.Duration{c.Median, c.P90, c.P99} {
		if low, high := min(p[0], p[1]), max(p[0], p[1]); float64(high-low) >= leastMove*float64(high) && high > 0 {
			return true
		}
	}
	return false
}

func (d *Difference) comparePorts(two [2]*Population) {
	ports := sortedKeys(two[0].ports, two[1].ports, cmp.Compare[uint16])
	total := func(port uint16) (n uint64) {
		for _, p := range two {
			if s := p.ports[port]; s != nil {
				n += s.connections
			}
		}
		return n
	}
	slices.SortStableFunc(ports, func(a, b uint16) int { return cmp.Compare(total(b), total(a)) })
	if len(ports) < 2 {
		return // the whole says it
	}
	for _, port := range ports[:min(len(ports), maxPortsCompared)] {
		was, is := two[0].ports[port], two[1].ports[port]
		if was == nil || is == nil {
			continue
		}
		name := fmt.Sprintf("port %d", port)
		if s := report.ServiceName(port); s != "" {
			name += " (" + s + ")"
		}
		of := [2]uint64{was.connections, is.connections}
		d.compareShares(Comparison{What: name + ": failed", Count: [2]uint64{was.failed, is.failed}, Of: of})
		d.compareShares(Comparison{What: name + ": reset", Count: [2]uint64{was.reset, is.reset}, Of: of})
		if was.rtt.count > 0 && is.rtt.count > 0 {
			d.compareTimes(name+": round trip of the handshake", &was.rtt, &is.rtt)
		}
	}
}

// fold joins shares that have the same numbers: what is refused failed, had a handshake
// that was refused, and a finding that says so. To count each would make one change look
// like five.
func (d *Difference) fold() {
	var out []Comparison
	at := map[[4]uint64]int{}
	for _, c := range d.Comparisons {
		if c.Times {
			out = append(out, c)
			continue
		}
		key := [4]uint64{c.Count[0], c.Of[0], c.Count[1], c.Of[1]}
		if i, ok := at[key]; ok {
			out[i].Others = append(out[i].Others, c.What)
			continue
		}
		at[key] = len(out)
		out = append(out, c)
	}
	d.Comparisons = out
}

func (d *Difference) adjust() {
	p := make([]float64, len(d.Comparisons))
	for i := range d.Comparisons {
		p[i] = d.Comparisons[i].P
	}
	for i, a := range holm(p) {
		c := &d.Comparisons[i]
		c.Adjusted = a
		c.Changed = a < d.Level && (!c.Times || c.moved())
	}
	slices.SortStableFunc(d.Comparisons, func(a, b Comparison) int {
		if a.Changed != b.Changed {
			if a.Changed {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.P, b.P)
	})
}

// Changed returns how many comparisons are beyond noise.
func (d *Difference) Changed() (n int) {
	for i := range d.Comparisons {
		if d.Comparisons[i].Changed {
			n++
		}
	}
	return n
}
