package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "reset-with-data",
	Catalogue: []string{"R06"},
	Title:     "A RST with payload",
	Severity:  Info,
	RFC:       "9293 3.5.3; 1122 4.2.2.12",
	Triggers:  reassembly.SeenRST,
	resets:    hasOctets,
	Check:     checkResetWithData,
	Meaning: `The RST carries octets behind its header. The standard allows a text there that says why
the connection was reset; a few systems and devices send one ("Go away"). The hosts' stacks ignore
it.`,
	Signature: `    RST, seq y, n octets       tshark: tcp.reset_cause`,
	Alternatives: `Padding of a short frame that was counted as payload; the end of a data segment on which a
device set the RST flag.`,
	Advice: `Read the text in the frame (tshark -Y tcp.reset_cause): it often names the device or the
reason. tcplife keeps no payload and does not print it.`,
	Settings: `None: Linux, FreeBSD and Windows never send one.`,
})

func checkResetWithData(c *Case, report func(Finding)) {
	for s := range c.Ends {
		var shown []int
		for _, r := range c.resets() {
			if r.from == reassembly.Side(s) && r.event.Len > 0 {
				shown = append(shown, r.at)
			}
		}
		if len(shown) == 0 {
			continue
		}
		e := &c.Events[shown[0]]
		report(Finding{
			Catalogue: "R06", Severity: Info, Confidence: Certain, Endpoint: Endpoint(s),
			Frames:  frames(c, first(shown, groupMax)...),
			Message: fmt.Sprintf("The %s's RST at %s carries %s.", e.From, since(c, e.At), plural(int(e.Len/e.Count), "octet")),
			Falsify: "An IP length that says otherwise.",
			Reason:  "the length is in the IP header",
		})
	}
}
