package finding

import "fmt"

var _ = registerCapture(CaptureRule{
	ID:        "capture-began-later",
	Catalogue: "K01",
	Title:     "The capture begins inside connections",
	Severity:  Info,
	Check:     checkBeganLater,
	Meaning: `Connections were already open when the capture began, or when their first segment came
past. Their handshake is unknown: who is the client is inferred from ports, both sides are assumed
to be ESTABLISHED, and window scale and MSS are not known.`,
	Signature: `    (before the capture)    | SYN, SYN-ACK, ACK  |
    first frame ----------> | data, ACK or FIN   |`,
	Effect: `handshake.outcome is unseen, role_by is port or guess, and states begin with the evidence
"assumed". Nothing is said about the handshake, and findings that need it are not given.`,
	Alternatives: `A connection that begins without SYN later in the capture may lack its SYN by capture
loss; a probe (ACK or FIN scan) has no SYN because it never opens anything.`,
	Advice: `Start the capture first, then the connections: restart the application, or let it
reconnect. For connections that live long, keep a ring of files running (tcpdump -G 3600 -W 24 -w
FILE) so that their beginning is still there when something goes wrong.`,
})

func checkBeganLater(c *Capture) (f CaptureFinding, ok bool) {
	n := &c.MidStream
	if n.Count == 0 {
		return f, false
	}
	f = CaptureFinding{Severity: Info, Connections: n.Count, Frames: n.Frames,
		Message: fmt.Sprintf("%s of %d without a handshake in the capture.", plural(int(n.Count), "connection"), c.Connections)}
	f.Confidence, f.Reason = n.grade("both sides exchange data without having opened the connection", "a single probe needs no handshake either")
	return f, true
}
