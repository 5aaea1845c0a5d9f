package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "unacknowledged-tail",
	Catalogue: []string{"D11"},
	Title:     "The connection ended with data that nobody acknowledged",
	Severity:  Info,
	RFC:       "9293 3.6.1 SHLD-3, 3.10.7.4",
	Triggers:  reassembly.SeenRST | reassembly.SeenRepeatData,
	Check:     checkUnacknowledgedTail,
	Meaning: `When the connection ended, by RST or in silence, a side had sent data that the other had
not acknowledged. The sending application cannot know whether it was received; what the kernel
still held is thrown away. The number of octets is what may be missing.`,
	Signature: `    A                          B
    | data, n octets --------> |
    | <------------------- RST |  no ACK of those n octets`,
	Alternatives: `The data arrived, and the RST (or the host's end) came before its ACK. The capture lost
the ACK.`,
	Advice: `An application protocol that must know needs its own confirmation: TCP's ACK says that
the host has the data, not that anybody read it. See the finding that says how the connection
ended for its cause.`,
	Settings: `Linux: SO_LINGER (off), TCP_USER_TIMEOUT; SIOCOUTQ tells a program what is not
acknowledged yet. FreeBSD: SO_LINGER, FIONWRITE. Windows: SO_LINGER.`,
})

func checkUnacknowledgedTail(c *Case, report func(Finding)) {
	rst := next(c, 0, func(e *reassembly.Event) bool { return e.Kind == reassembly.KindRST && genuine(e) })
	for s := range c.Ends {
		side := reassembly.Side(s)
		n, known := unacked(c, side, len(c.Events))
		if !known || n == 0 || n > 1<<30 || !opened(c) {
			continue
		}
		_, vain := unansweredData(c, side)
		if rst < 0 && vain == nil {
			continue
		}
		sent, _ := sentBefore(c, side, len(c.Events))
		acked := sent.Add(-n) // but for a FIN, which carries nothing
		from := next(c, 0, func(e *reassembly.Event) bool {
			return e.From == side && genuine(e) && e.Len > 0 && e.Kind != reassembly.KindRST && e.End.After(acked)
		})
		if from < 0 || rst >= 0 && goesOn(c, rst) {
			continue
		}
		f := Finding{
			Catalogue: "D11", Severity: Info, Confidence: Likely, Endpoint: Endpoint(side),
			Frames:  frames(c, append(first(vain, groupMax), from, rst)...),
			Falsify: "An ACK of them in another capture, or one that comes later.",
			Reason:  "they may have arrived without the ACK coming back",
		}
		if c.Words() {
			f.Message = fmt.Sprintf("At the end %s that the %s had sent were not acknowledged.", plural(int(n), "octet"), side)
		}
		if why := gaps(c); why != "" {
			doubted(&f, Possible, why)
		}
		report(f)
	}
}
