package finding

// omitted is a phenomenon of the catalogue that no rule reports, and the reason.
type omitted struct{ number, why string }

// notGiven lists them. docs/findings.md and tcplife explain print from it; a test
// keeps it and the rules together complete.
var notGiven = []omitted{
	{"H01", "the ordinary case: handshake.outcome is complete, with its round trips"},
	{"H08", "on one connection it is slow-connect (H29); that the queue was full shows only beside other connections of the listener"},
	{"H11", "a matter of many connections: their number, sources and completion"},
	{"H12", "a matter of many connections: the ports and hosts that one source tries"},
	{"C01", "the ordinary case: close.reason is orderly"},
	{"C20", "a matter of many connections: those that one host closes in the same moment"},
	{"C21", "a matter of many connections: how one server's closes are spread"},
	{"W07", "a matter of many connections: the pairs of ports in TIME_WAIT towards one server"},
	{"W09", "a matter of many connections: which role closes first, counted; on one, close.closer says it"},
	{"R09", "the capture would have to hold both sides of the NAT; on one side it is no-socket-reset or reset-injected"},
	{"R10", "needs the payload of both copies, and tcplife keeps none: it holds numbers, lengths and times"},
	{"K02", "every capture ends: what was open then is open-at-end, and C05d where it matters; never a finding of its own"},
	{"K10", "needs two connections that are one, before and behind the NAT, to be joined; each is reported as it is"},
	{"K11", "the hop limits and round trips of one connection do not tell a proxy from a host that answers slowly"},
	{"K12", "needs the numbers of the second handshake, which are shifted and belong to another connection of the proxy"},
	{"K13", "on one connection it is hop-limit-changed (D17), which the findings about resets heed"},
	{"K14", "no finding is needed: the encapsulation path is part of a connection's key, so equal addresses do not mix"},
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
