package finding

// omitted is a phenomenon of the catalogue that no rule reports, and the reason.
type omitted struct{ number, why string }

// notGiven lists them. docs/findings.md and tcplife explain print from it; a test
// keeps it and the rules together complete.
var notGiven = []omitted{
	{"H01", "the ordinary case: handshake.outcome is complete, with its round trips"},
	{"C01", "the ordinary case: close.reason is orderly"},
	{"R09", "the capture would have to hold both sides of the NAT; on one side it is no-socket-reset or reset-injected"},
	{"R10", "needs the payload of both copies, and tcplife keeps none: it holds numbers, lengths and times"},
	{"K02", "every capture ends: what was open then is open-at-end, and C05d where it matters; never a finding of its own"},
	{"K11", "the hop limits and round trips of one connection do not tell a proxy from a host that answers slowly"},
	{"K12", "needs the numbers of the second handshake, which are shifted and belong to another connection of the proxy"},
	{"K13", "on one connection it is hop-limit-changed (D17), which the findings about resets heed"},
	{"K14", "no finding is needed: the encapsulation path is part of a connection's key, so equal addresses do not mix"},
	{"G01", "a count and no finding: --census, at any instant and over time; the summary's census has it at the end"},
	{"G11", "needs a second capture to compare with: that is a check against a baseline, not an analysis of one"},
}

// NotGiven says why no rule reports a number of the catalogue; empty if one does, or
// the catalogue has no such number.
func NotGiven(number string) string {
	for _, o := range notGiven {
		if o.number == number {
			return o.why
		}
	}
	return ""
}
