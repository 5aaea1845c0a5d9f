package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
)

var _ = register(Rule{
	ID:        "gave-up-waiting",
	Catalogue: []string{"C13"},
	Title:     "Clients give up before the answer comes",
	Severity:  finding.Warning,
	RFC:       "9293 3.6.1; 1122 4.2.2.13",
	Folds:     []string{"late-data-reset", "no-socket-reset", "reset-provenance", "unacknowledged-tail", "lost-final-ack", "fin-unanswered"},
	Explains:  []string{"reset-share", "stuck-closes", "slow-to-close"},
	Check:     checkGaveUpWaiting,
	Meaning: `At one listener clients sent a request, waited a second or longer, and closed the
connection; the answer came afterwards and met RST. Their timeout is shorter than the server takes.
The work was done and thrown away, and mostly the client asks again: so a slow server gets more to do.
The message gives for how long the clients waited and how late the answers were.`,
	Signature: `    client                     server
    | request -------------> |
    |   (1.0 s: gives up)    |  (at work)
    | FIN -----------------> |
    | <-------------- answer |  1.6 s after the request
    | RST -----------------> |`,
	Alternatives: `A client that half-closes behind its request (shutdown) reads the answer and sends no RST,
and does so at once. A user who stops a page from loading closes after different times; a timeout is
the same for all.`,
	Advice: `Find out why the server needs so long: its log, its database, its queue (accept-queue-full).
Only then make the clients' timeout longer. Let the server notice that the client is gone (read()
returns 0, the request's context is cancelled) and stop the work; let clients wait longer from try to
try, and not ask again at once.`,
	Settings: `No sysctl: the timeouts are the programs'. curl --max-time, Python requests timeout=,
Go http.Client.Timeout (0, none), Node.js axios timeout (0, none), JDBC socketTimeout; nginx
proxy_read_timeout (60 s) and proxy_ignore_client_abort (off), HAProxy timeout server.`,
})

const (
	// gaveUpLeast: some user always stops a page from loading.
	gaveUpLeast = 5
	// gaveUpWait: timeouts are set in seconds, and up to a round trip of one passes
	// elsewhere than at the tap.
	gaveUpWait = 900 * time.Millisecond
)

func checkGaveUpWaiting(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		if l.gaveUp == nil || l.gaveUp.count < gaveUpLeast {
			continue
		}
		n := l.gaveUp.count
		in := Incident{
			key: k, Catalogue: "C13", Severity: finding.Warning, Confidence: finding.Likely, Count: uint64(n), First: l.firstOK, Last: l.heard,
			Falsify: "An answer, in the capture or lost to it, before the client's FIN.",
			Reason:  "the client had the last word, waited, and closed; why it did is not in the capture",
			tolds:   []*told{l.told},
		}
		in.Message = fmt.Sprintf("Clients of %s gave up waiting after %s: on %s they closed without an answer, and met the late one by RST; it came %s after the request.",
			k.scope(), idleLimit(l.gaveUp), count(n, "connection"), idleLimit(l.tooLate))
		in.Message += fmt.Sprintf(" The listener had %s in all.", count(l.opened(), "connection"))
		in.doubted(finding.Possible, l.gaps())
		in.show(l.hasty)
		report(in)
	}
}
