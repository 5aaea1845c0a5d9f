package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "slow-readers",
	Catalogue: []string{"D02", "D03"},
	Title:     "A program does not read what it is sent",
	Severity:  finding.Error,
	RFC:       "9293 3.8.6.1; 6429",
	Folds:     []string{"zero-window", "unacknowledged-tail"},
	Check:     checkSlowReaders,
	Meaning: `At one listener, on several connections the same side closed its window for long: its kernel's
buffer was full, because its program did not read.

- D02: the windows opened again: the program is too slow.
- D03: they did not: it hangs, or has forgotten these connections.`,
	Signature: `    A                      B
    | data -------------->  |
    | <---- ACK, window 0   |  for seconds, on many connections`,
	Alternatives: `A program that means to slow its peer down (flow control up to the user). A host without
memory for its buffers.`,
	Advice: `On the side named: ss -tm shows Recv-Q grow. Look at what the program does instead of
reading: a full queue behind it, a lock, a slow disk or database, a paused process. Larger buffers
only put it off.`,
	Settings: `Linux: tcp_rmem (4096 131072 6291456 or by memory), tcp_adv_win_scale, SO_RCVBUF. FreeBSD:
net.inet.tcp.recvbuf_max (2097152). Windows: receive window auto-tuning (netsh int tcp show global).`,
})

// readersLeast: one or two are told on their connections.
const readersLeast = 3

func checkSlowReaders(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		for side := range l.zero {
			stalled, dead := uint64(l.zero[side]), uint64(l.dead[side])
			if stalled+dead < readersLeast {
				continue
			}
			in := Incident{
				key: k, Catalogue: "D02", Severity: finding.Warning, Confidence: finding.Certain, Count: stalled + dead, First: l.firstOK, Last: l.heard,
				Falsify: "A device on the path that rewrites windows.",
				Reason:  "the windows of 0 are in the capture",
				tolds:   []*told{l.told},
			}
			who := k.scope().String() + " does not read what its clients send"
			if reassembly.Side(side) == reassembly.Client {
				who = "The clients of " + k.scope().String() + " do not read what it sends"
			}
			in.Message = fmt.Sprintf("%s: %s had their window closed for long", who, count(stalled+dead, "connection"))
			if dead > 0 {
				in.Catalogue, in.Severity, in.Confidence = "D03", finding.Error, finding.Likely
				in.Reason = "the windows of 0 are in the capture; whether they open later is not"
				in.Message += fmt.Sprintf(", and of %s it never opened again", num(dead))
			}
			if lost := uint64(l.lost[side]); lost > 0 {
				in.Message += fmt.Sprintf(", and in the end %s did not answer the other side's probes any more: their host or the path to it is gone", num(lost))
			}
			in.Message += "."
			in.show(l.stalled)
			report(in)
		}
	}
}
