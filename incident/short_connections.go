package incident

import (
	"fmt"
	"math"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "short-connections",
	Example:   "incidents/ports-run-out.pcap",
	Catalogue: []string{"G02"},
	Title:     "Short connections where keep-alive would serve",
	Severity:  finding.Info,
	RFC:       "9112 9.3; 9293 3.6",
	Folds:     []string{"three-segment-close"},
	Check:     checkShortConnections,
	Meaning: `A client opens and closes connections to one listener all the time, and most of them could
have been one: when a connection ended another had ended a short time before, which need not have
been closed. The message says how many connections would have remained had each been kept open for
5, 15 and 60 seconds after its end: a new one may take over one that ended at most that long before,
and each is taken over once. Every connection saved is a round trip or two less for a request (with
TLS one or two more), and one TIME_WAIT less.`,
	Signature: `    A                     B:80
    | SYN ... FIN           |  one request each
    |        SYN ... FIN    |  begins when the one before has ended
    |               SYN ... |`,
	Alternatives: `A protocol that ends with its connection, such as FTP's data, or a health check, which
is meant to connect. Requests of different users that must not share a connection.`,
	Advice: `HTTP/1.1: let both sides keep connections open (no Connection: close; nginx needs
proxy_http_version 1.1 and an empty Connection header towards its upstreams, and keepalive there).
Databases: a pool. In programs: one client object for all requests, and read each answer to its
end, or the connection cannot be used again. The client's idle timeout must be shorter than the
server's (keepalive-race).`,
	Settings: `None of the hosts: it is the programs' matter. nginx keepalive_timeout (75 s) and
keepalive_requests (1000), Apache KeepAliveTimeout (5 s), Node.js http.Agent keepAlive (on since
19), Go http.Transport.MaxIdleConnsPerHost (2) and IdleConnTimeout (90 s).`,
})

// fewConnections is the number of connections below which saving some is no matter.
const fewConnections = 50

// keepAlives are the times for which connections might be kept open: Apache's default,
// a short and the longest common setting of servers and load balancers.
var keepAlives = [...]time.Duration{5 * time.Second, 15 * time.Second, 60 * time.Second}

func checkShortConnections(s *Sums, report func(Incident)) {
	var ended []ending // used again and again
	for _, i := range s.pairs.sorted() {
		k, p := s.pairs.keys[i], s.pairs.rec(i)
		over := uint64(0)
		for _, n := range p.closed {
			over += uint64(n)
		}
		if p.opened < fewConnections || over == 0 {
			continue
		}
		times := &s.pairs.series[i]
		if half := (uint64(p.opened) + 1) / 2; takenOver(times, keepAlives[1], half, &ended) < half {
			continue // more than half would remain
		}
		in := Incident{
			key: k, Catalogue: "G02", Severity: finding.Info, Confidence: finding.Likely, Count: uint64(p.opened), First: p.first, Last: p.last,
			Falsify: "A protocol that needs a connection for each request.",
			Reason:  "counted from the times between each end and the next start, up to the capture's end: what comes then may need more at a time",
		}
		in.rest = func(in *Incident) {
			var remain [len(keepAlives)]uint64
			for j, keep := range keepAlives {
				remain[j] = uint64(p.opened) - takenOver(times, keep, math.MaxUint64, &ended)
			}
			most, from := busiestSecond(times)
			in.Message = fmt.Sprintf("%s opened %s connections to %s in %s; with keep-alive of 5, 15 and 60 s, %s, %s and %s of them would have remained.",
				k.scope().Client, num(p.opened), k.listener().scope(), span(p.last.Sub(p.first)), num(remain[0]), num(remain[1]), num(remain[2]))
			in.Message += fmt.Sprintf(" They were open for %s on average, up to %s began within a second (at %s).", span(time.Duration(p.lived/over)), num(most), clock(from))
			if w := times.width(); w > time.Millisecond {
				in.Reason = "counted from the times between each end and the next start, which are known to " + span(w)
			}
			in.show(&p.some)
		}
		report(in)
	}
}

// ending is how many connections ended in the ordinary way, and when.
type ending struct {
	at wire.Time
	n  uint64
}

// takenOver returns how many connections need not have been opened, had each that ended in the
// ordinary way stayed open for so long: the most starts that find an end of their own at most
// so long before; or any number from enough on, if there are as many. Oldest first is how to
// find the most. Within an interval ends count as before starts. The memory of ended is used.
func takenOver(c *chronicle, keep time.Duration, enough uint64, memory *[]ending) (n uint64) {
	ended := (*memory)[:0]
	// The first of ended that may still be taken over, and how many of it were.
	first, gone := 0, uint64(0)
	points := c.points
	for i := 0; i < len(points) && n < enough; {
		from := c.from(points[i])
		var ends, starts uint64
		for at := points[i].at(); i < len(points) && points[i].at() == at; i++ {
			switch points[i].what() {
			case softClient, softServer:
				ends += uint64(points[i].n())
			case opened, met:
				starts += uint64(points[i].n())
			}
		}
		if ends > 0 {
			ended = append(ended, ending{from, ends})
		}
		if starts == 0 {
			continue
		}
		for first < len(ended) && ended[first].at < from.Add(-keep) {
			first, gone = first+1, 0
		}
		for starts > 0 && first < len(ended) {
			taken := min(starts, ended[first].n-gone)
			n, starts, gone = n+taken, starts-taken, gone+taken
			if gone == ended[first].n {
				first, gone = first+1, 0
			}
		}
	}
	*memory = ended
	return n
}

// busiestSecond returns the most connections that began within a second, and when that
// began.
func busiestSecond(c *chronicle) (n uint64, from wire.Time) {
	n, at := busiest(c, time.Second, opened)
	return n, at.Add(-time.Second)
}
