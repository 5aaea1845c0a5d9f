package incident

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
)

const (
	// scanLeast is how many ports or hosts must have been tried in vain: Zeek's policy
	// for scans takes 25 hosts and 15 ports within five minutes.
	scanLeast = 25
	// scanFails: and nine of ten of what was tried.
	scanFailsOf, scanFails = 10, 9
	// portsShown is how many ports or hosts a message names.
	portsShown = 8
)

// tried sums up what one client tried: how many listeners it never reached, and those that it
// did.
type tried struct {
	failed   int
	reached  []key
	attempts attempt
	some     examples
}

// targetsOf returns what each client tried in vain, by what group tells apart, as far as it
// tried enough for a scan. A listener that the client reached once counts as reached.
func (s *Sums) targetsOf(group func(k key) key) map[key]*tried {
	// Most tried one thing or two. Counting all of them by what some share finds out who may
	// have tried enough without a list of who did not.
	many := make([]uint32, 1<<bits.Len(uint(2*len(s.attempts.keys))))
	of := func(k *key) *uint32 {
		g := group(*k)
		return &many[g.hash()&uint64(len(many)-1)]
	}
	for i := range s.attempts.keys {
		*of(&s.attempts.keys[i])++
	}
	by := map[key]*tried{}
	for i, k := range s.attempts.keys {
		if *of(&k) < scanLeast {
			continue
		}
		a := s.attempts.rec(int32(i))
		g := by[group(k)]
		if g == nil {
			g = &tried{}
			by[group(k)] = g
		}
		// An open port of a half-open scan is one that it reached.
		if s.pairs.get(k) != nil || a.half > 0 {
			g.reached = append(g.reached, k)
		} else {
			g.failed++
		}
		g.attempts.merge(a)
		g.some.insert(a.shown)
	}
	if len(by) == 0 {
		return by
	}
	for i, k := range s.pairs.keys {
		if g := by[group(k)]; g != nil && s.attempts.get(k) == nil {
			g.reached = append(g.reached, k)
			if p := s.pairs.rec(int32(i)); p.some.n > 0 {
				g.attempts.first, g.attempts.last = earliest(g.attempts.first, p.first), max(g.attempts.last, p.first)
			}
		}
	}
	for _, g := range by {
		slices.SortFunc(g.reached, key.compare)
	}
	return by
}

// scanned reports whether so much failed, and so little did not, as in a scan.
func (g *tried) scanned() bool {
	return g.failed >= scanLeast && g.failed*scanFailsOf >= (g.failed+len(g.reached))*scanFails
}

// sortedKeys returns the keys of a map in order: nothing may depend on its own.
func sortedKeys[V any](m map[key]V) []key {
	keys := make([]key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, key.compare)
	return keys
}

// scan begins an incident about what one client tried; its message is a remark to put
// into one.
func (s *Sums) scan(k key, g *tried) Incident {
	a := &g.attempts
	in := Incident{
		key: k, Catalogue: "H12", Severity: finding.Warning, Confidence: finding.Likely, Count: uint64(s.fan(g.failed + len(g.reached))), First: a.first, Last: a.last,
		Falsify: "A list of these targets that the source was meant to try.",
		Reason:  "monitoring that somebody wants does the same",
	}
	in.show(&g.some)
	switch {
	case uint64(a.odd)*2 > a.count():
		in.Catalogue, in.Message = "H14", " with segments of no connection"
	case a.half > 0 && a.given > 0 && a.given*2 >= a.half:
		in.Catalogue, in.Message = "H13", " without completing a handshake"
	}
	if x := s.clients.get(k.client()); x != nil {
		in.tolds = append(in.tolds, x.told)
	}
	return in
}

// fan returns a number of attempts' keys, as many as there were when all are counted.
func (s *Sums) fan(n int) uint64 { return uint64(n) * of(&s.attempts) }

// outcomes says what became of attempts, the most frequent first.
func outcomes(a *attempt) string {
	type part struct {
		n    uint32
		what string
	}
	parts := []part{{a.refused, "refused"}, {a.unanswered, "not answered"}, {a.unreachable, "answered by ICMP"}, {a.half, "answered and not completed"}, {a.odd, "no SYN"}}
	slices.SortStableFunc(parts, func(x, y part) int { return cmp.Compare(y.n, x.n) })
	var words []string
	for _, p := range parts {
		if p.n > 0 {
			words = append(words, num(p.n)+" "+p.what)
		}
	}
	return strings.Join(words, ", ")
}
