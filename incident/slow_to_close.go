package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
)

var _ = register(Rule{
	ID:        "slow-to-close",
	Catalogue: []string{"G06"},
	Title:     "A server takes its time to close",
	Severity:  finding.Info,
	RFC:       "9293 3.6",
	Folds:     []string{"half-close", "half-closed-for-long"},
	Check:     checkSlowToClose,
	Meaning: `From a client's FIN to the server's own a second or more passes in most connections to one
listener: the server stands in CLOSE_WAIT for so long, and the client in FIN_WAIT_2. The message gives
the median, the slowest tenth and the longest. Times in all states, of all connections together,
stand in the summary (--dwell).`,
	Signature: `    A                      B:80
    | FIN ---------------> |
    | <----------------ACK |
    |      (seconds)       |
    | <--------------- FIN |`,
	Alternatives: `A half-close on purpose: the server still works on the answer.`,
	Advice: `Where the client has nothing more to say, the server should see the end of file at once:
let it read while it works, and close. Behind a proxy look whether it passes the close on.`,
	Settings: `Linux: tcp_fin_timeout (60 s): a client that closed its socket forgets it by then, and answers
what comes later by RST. nginx lingering_close and lingering_timeout (5 s). FreeBSD:
net.inet.tcp.finwait2_timeout (60000 ms). Windows: TcpFinWait2Delay (registry).`,
})

const (
	slowCloseLeast = 20
	slowCloseFrom  = time.Second
)

func checkSlowToClose(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		x := l.closing.lags
		if x == nil || x.count < slowCloseLeast || x.percentile(50) < slowCloseFrom {
			continue
		}
		in := Incident{
			key: k, Catalogue: "G06", Severity: finding.Info, Confidence: finding.Certain, Count: uint64(x.count), First: l.firstOK, Last: l.heard,
			Message: fmt.Sprintf("%s takes %s (median), %s (slowest tenth) and up to %s to close after its client has, in %s.",
				k.scope(), span(x.percentile(50)), span(x.percentile(90)), span(x.max), count(x.count, "connection")),
			Falsify: "FINs of the server that the capture lacks, with repetitions that it holds.",
			Reason:  "measured between the two FINs at the capture point",
			tolds:   []*told{l.told},
		}
		in.doubted(finding.Likely, l.gaps())
		in.show(l.some)
		report(in)
	}
}
