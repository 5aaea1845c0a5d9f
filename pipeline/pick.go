package pipeline

import (
	"net/netip"
	"strings"
	"time"

	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// later is what decides about a connection when its numbers are known.
type later struct {
	pick func(id, stream uint64) bool
	// conn stays valid, for the sums that only the connections picked count in.
	conn *reassembly.Conn
}

// pick asks whether the connection is to be reported; then is set where that is not
// known yet.
func (w *worker) pick(v *report.Connection) (yes bool, then *later) {
	if w.picker == nil {
		return true, nil
	}
	yes, decide := w.picker.Pick(v)
	if decide != nil {
		return false, &later{decide, v.Conn.Clone()}
	}
	return yes, nil
}

// decide asks again now that the connection has its numbers, and counts it.
func (m *merger) decide(s *settled, id, stream uint64) bool {
	if !s.later.pick(id, stream) {
		m.tally().Pass(&s.digest)
		return false
	}
	if m.needs.Durations {
		m.tally().Durations.Add(s.later.conn)
	}
	m.tally().Count(&s.digest)
	return true
}

// picked remembers the connections that were reported, as long as segments may come
// late for them: a late group of a connection that nobody asked for is not asked for
// either. A connection is forgotten one or two spans after it left.
type picked struct {
	span        time.Duration
	turned      wire.Time
	now, before map[string]bool
	// pairs are the clients and listeners of all that was reported; nil when they are
	// too many.
	pairs map[pair]bool
}

// pair is a client and a listener.
type pair struct {
	client, server netip.Addr
	port           uint16
	encap          string
}

// maxPairs bounds the pairs that are remembered. With more of them a selection leaves
// nearly everything in the report, and every incident with it.
const maxPairs = 1 << 16

// newPicked returns what remembers for the hosts of cfg; nil if all connections are
// reported.
func newPicked(cfg *Config) *picked {
	if cfg.Select == nil {
		return nil
	}
	p := &picked{span: cfg.Profile.FINRetrySpan, now: map[string]bool{}, pairs: map[pair]bool{}}
	for _, n := range cfg.Networks {
		p.span = max(p.span, n.Profile.FINRetrySpan)
	}
	return p
}

func (p *picked) add(d *report.Digest) {
	if p == nil {
		return
	}
	p.now[strings.Clone(d.UID)] = true // its memory is shared with many others
	if p.pairs == nil {
		return
	}
	server := d.Tuple.Destination()
	p.pairs[pair{d.Tuple.Source().Addr(), server.Addr(), server.Port(), strings.Join(d.Encap, " ")}] = true
	if len(p.pairs) > maxPairs {
		p.pairs = nil
	}
}

func (p *picked) has(uid string) bool { return p == nil || p.now[uid] || p.before[uid] }

// concerned returns the incidents in whose scope there is something that was reported.
// They count all connections of their scope: what many show together is not to be seen
// on some of them.
func (p *picked) concerned(all []incident.Incident) (some []incident.Incident) {
	if p == nil || p.pairs == nil {
		return all
	}
	for i := range all {
		for x := range p.pairs {
			if inScope(&all[i].Scope, x) {
				some = append(some, all[i])
				break
			}
		}
	}
	return some
}

// inScope reports whether an incident may be about a client or listener.
func inScope(s *incident.Scope, x pair) bool {
	return (!s.Client.IsValid() || s.Client == x.client) && (!s.Server.IsValid() || s.Server == x.server) &&
		(s.Port == 0 || s.Port == x.port) && strings.Join(s.Encap, " ") == x.encap
}

// advance is told the time up to which late groups have been handed out.
func (p *picked) advance(clock wire.Time) {
	if p != nil && clock.Sub(p.turned) > p.span {
		p.now, p.before, p.turned = map[string]bool{}, p.now, clock
	}
}
