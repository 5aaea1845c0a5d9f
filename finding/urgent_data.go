package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "urgent-data",
	Catalogue: []string{"D14"},
	Title:     "Urgent data",
	Severity:  Info,
	RFC:       "6093; 9293 3.8.5",
	Triggers:  reassembly.SeenUrgent,
	Check:     checkUrgentData,
	Meaning: `A side set the URG flag. The octet that it marks is taken out of the stream on most
systems and read apart (MSG_OOB), and hosts and devices do not agree on which octet that is: the
one before the pointer, or the one at it. Telnet, rlogin and FTP use it; new protocols must not.`,
	Signature: `    URG, pointer p         the marked octet is seq + p - 1 (every stack), or
                           seq + p (as some older standards say)`,
	Alternatives: `Old programs that use it as they always did. An attempt to make a filter see another
stream than the host: then the connection carries a protocol that knows no urgent data.`,
	Advice: `Nothing for Telnet and FTP. For others find out who sends it; a program that never reads
urgent data loses the octet, and one that closes with it unread resets the connection. Middleboxes
may clear the flag (Cisco ASA does by default).`,
	Settings: `Linux: tcp_stdurg (0: the pointer is the octet after the urgent one), SO_OOBINLINE per
socket. Windows: TcpUseRFC1122UrgentPointer (registry, 0). FreeBSD: SO_OOBINLINE.`,
})

func checkUrgentData(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var shown []int
		for i := range c.Events {
			if e := &c.Events[i]; e.From == side && e.Flags.Has(wire.URG) && e.Kind != reassembly.KindOdd {
				shown = append(shown, i)
			}
		}
		if len(shown) == 0 {
			continue
		}
		f := Finding{
			Catalogue: "D14", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
			Frames:  frames(c, first(shown, groupMax)...),
			Message: fmt.Sprintf("The %s sent urgent data at %s.", side, since(c, c.Events[shown[0]].At)),
			Falsify: "A damaged header: a wrong checksum in the frame.",
			Reason:  "the flag is set in the frame",
		}
		if !genuine(&c.Events[shown[0]]) {
			f.Confidence, f.Reason = Likely, "the segment's numbers are not the connection's"
		}
		report(f)
	}
}
