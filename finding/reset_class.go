package finding

import "github.com/tcplife/tcplife/reassembly"

// resetClasses are the names of the origins, indexed by them.
var resetClasses = [...]string{0: "unknown", refusal: "refusal", reply: "reply", abort: "abort", foreign: "foreign"}

// ResetClasses returns the classes of RSTs by their form, as the finding
// reset-provenance explains them: unknown (no form that a host gives it), refusal (a
// refused SYN), reply (of a host without that socket), abort (of a socket) and foreign
// (perhaps not the host at all).
func ResetClasses() []string { return resetClasses[:] }

// CountResets calls do for the RSTs of a connection: who sent them as far as their
// addresses say, the index of their class in ResetClasses, and how many they were. It
// reads c.Events.
func CountResets(c *reassembly.Conn, do func(from reassembly.Side, class int, n uint32)) {
	if c.Seen&reassembly.SeenRST == 0 {
		return
	}
	all := Case{Conn: c}
	for _, r := range all.resets() {
		do(r.from, int(r.origin), r.event.Count)
	}
}
