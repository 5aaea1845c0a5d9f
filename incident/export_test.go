package incident

// Update reports whether expected outputs are to be written anew.
func Update() bool { return *update }

// NewSmall returns empty sums whose bounds are smaller by a divisor.
func NewSmall(cfg Config, by int) *Sums { return newSums(cfg, by) }

// Sizes returns how many keys each table holds, and how many instants those that are
// timed do; Bounds the most there may be of them.
func (s *Sums) Sizes() [9]int {
	return [9]int{len(s.listeners.keys), len(s.targets.keys), len(s.clients.keys), len(s.pairs.keys), len(s.attempts.keys), len(s.paths.keys), len(s.hosts.keys),
		s.listeners.points, s.pairs.points}
}

func (s *Sums) Bounds() [9]int {
	return [9]int{s.listeners.keep, s.targets.keep, s.clients.keep, s.pairs.keep, s.attempts.keep, s.paths.keep, s.hosts.keep, s.listeners.room, s.pairs.room}
}
