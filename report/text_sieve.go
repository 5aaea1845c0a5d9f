package report

import (
	"slices"

	"github.com/tcplife/tcplife/finding"
)

// Needs says what the text report prints: a line for few connections, and for those
// nothing that the digest does not hold.
func (f *text) Needs() Needs {
	n := columnNeeds(f.columns)
	n.Durations = f.o.Dwell || f.o.RTT
	if len(f.peers) > 0 {
		n.Peers, n.Events = true, true // read from the log
	}
	// What lists other connections than those worth a look sees them all.
	if !f.o.All && f.o.Order == "" && f.o.Limit == 0 {
		n.Sieve = func() Sieve { return &textSieve{} }
	}
	return n
}

// textSieve picks the connections that may be listed. What text.Add would leave out
// because of others that the same worker has settled never comes to it.
type textSieve struct {
	seen  int
	kinds []textKind
}

// textKind is what rows have in common that are alike, and the lowest stamps of those
// picked.
type textKind struct {
	rank   rank
	reason uint8
	rules  []*finding.Rule // of the findings, in their order
	first  []uint64
}

// maxKinds bounds the kinds that are told apart; of others every connection is picked.
const maxKinds = 256

// Pick implements Sieve.
func (s *textSieve) Pick(stamp uint64, c *Connection) bool {
	s.seen++
	rank := rankOf(c.Outcome, c.Findings)
	if rank == rankRest {
		// They are listed only where all are.
		return s.seen <= maxRows
	}
	k := s.kind(rank, c)
	switch {
	case k == nil:
		return true
	case len(k.first) < maxAlike:
	case stamp > k.first[maxAlike-1]:
		return s.seen <= maxRows
	default:
		k.first = k.first[:maxAlike-1]
	}
	at, _ := slices.BinarySearch(k.first, stamp)
	k.first = slices.Insert(k.first, at, stamp)
	return true
}

// kind returns the kind of a connection, nil if there are too many.
func (s *textSieve) kind(rank rank, c *Connection) *textKind {
	for i := range s.kinds {
		if s.kinds[i].of(rank, c) {
			return &s.kinds[i]
		}
	}
	if len(s.kinds) == maxKinds {
		return nil
	}
	k := textKind{rank: rank, reason: uint8(c.Close.Reason)}
	for i := range c.Findings {
		k.rules = append(k.rules, c.Findings[i].Rule)
	}
	s.kinds = append(s.kinds, k)
	return &s.kinds[len(s.kinds)-1]
}

func (k *textKind) of(rank rank, c *Connection) bool {
	return k.rank == rank && k.reason == uint8(c.Close.Reason) && slices.EqualFunc(k.rules, c.Findings, func(r *finding.Rule, f finding.Finding) bool { return r == f.Rule })
}
