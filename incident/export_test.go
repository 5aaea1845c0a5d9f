package incident

import "github.com/tcplife/tcplife/wire"

// Update reports whether expected outputs are to be written anew.
func Update() bool { return *update }

// NewSmall returns empty sums whose bounds are smaller by a divisor.
func NewSmall(cfg Config, by int) *Sums { return newSums(cfg, by) }

// Sizes returns how many keys each table holds, and how many instants those that are
// timed do; Bounds the most there may be of them.
func (s *Sums) Sizes() [9]int {
	return [9]int{len(s.listeners.keys), len(s.targets.keys), len(s.clients.keys), len(s.pairs.keys), len(s.attempts.keys), len(s.paths.keys), len(s.hosts.keys),
		s.listeners.held(), s.pairs.held()}
}

func (s *Sums) Bounds() [9]int {
	return [9]int{s.listeners.keep, s.targets.keep, s.clients.keep, s.pairs.keep, s.attempts.keep, s.paths.keep, s.hosts.keep, s.listeners.room, s.pairs.room}
}

// held returns how many instants a table holds, those not yet put in order too.
func (t *table[R, P]) held() int { return len(t.store) + len(t.fresh) }

// add counts one happening.
func (c *chronicle) add(at wire.Time, what kind, most int) {
	c.mergeInto(make([]point, len(c.points)+1), []point{{at: int64(at), n: 1, what: what}})
	c.settle(most)
}
