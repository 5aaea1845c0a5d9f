package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "fin-repeated-with-data",
	Catalogue: []string{"C17"},
	Title:     "A repeated FIN took the last data along",
	Severity:  Info,
	RFC:       "9293 3.8.1",
	Triggers:  reassembly.SeenRepeatFIN,
	Check:     checkFINRepeatedWithData,
	Meaning: `The FIN was sent again, this time together with data that had been sent before it: the
sender put its last segments together. It is the same FIN with the same number, not a second close;
the FIN and the end of the data had both not been acknowledged.`,
	Signature: `    data, seq x, n octets   ->
    FIN, seq x+n            ->
    FIN, seq x, n octets    ->   the two in one, after the timeout`,
	Alternatives: `None: the numbers are equal.`,
	Advice:       `Nothing to do but to look for the loss on the path.`,
	Settings:     `Linux: tcp_retrans_collapse (1) allows it.`,
})

func checkFINRepeatedWithData(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		fin := firstFIN(c, side)
		if fin < 0 {
			continue
		}
		again := next(c, fin+1, func(e *reassembly.Event) bool {
			return e.From == side && genuine(e) && e.Kind == reassembly.KindFIN && e.End == c.Events[fin].End && e.Len > c.Events[fin].Len
		})
		if again < 0 {
			continue
		}
		e := &c.Events[again]
		report(Finding{
			Catalogue: "C17", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
			Frames:  frames(c, fin, again),
			Message: fmt.Sprintf("The %s repeated its FIN at %s together with %s of data sent before.", side, since(c, e.At), plural(int(e.Len-c.Events[fin].Len), "octet")),
			Falsify: "Another number of either FIN.",
			Reason:  "both FINs have the same number",
		})
	}
}
