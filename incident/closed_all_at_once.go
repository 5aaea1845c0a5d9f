package incident

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "closed-all-at-once",
	Example:   "incidents/kill-of-busy-server.pcap",
	Catalogue: []string{"C20", "G10"},
	Title:     "A host ended all its connections at once",
	Severity:  finding.Error,
	RFC:       "9293 3.10.4, 3.6",
	Folds:     []string{"abort", "late-data-reset", "closed-port-reset", "unacknowledged-tail", "reset-provenance", "no-socket-reset", "reset-injected", "fin-answered-by-reset", "request-crossed-close"},
	Explains:  []string{"service-unreachable", "reset-share", "reset-flood", "graceful-drain", "keepalive-race", "slow-readers", "close-wait-leak/C08", "closed-unread"},
	Check:     checkClosedAllAtOnce,
	Meaning: `Within one second a host closed or reset nearly all connections that it had open, which had
been opened one by one before.

- C20: its process ended: exit, crash, kill, restart or deployment. The kernel closes all its
  sockets: those with data that nobody had read by RST, the others by FIN; what clients send after
  that is answered by RST, and so are new SYNs until something listens again.
- G10: the RSTs come from a device on the path, by their hop limits: it flushed its table, or its
  rules were changed.

Error where connections were reset, and warning where new ones were refused afterwards; info where
all were closed by FIN, and for clients.`,
	Signature: `    A, C, D ...                B:8080
    | (connections at work)      |
    | <------------------- RST   |  all within milliseconds
    | <------------------- FIN   |
    | SYN ---------------------> |
    | <-------------- RST, ACK   |  nothing listens`,
	Alternatives: `Connections that were opened together and are idle run into the same idle timeout at the
same time: then all are closed by FIN, after an equal silence. A load test that comes to its end
closes all its connections from the client's side.`,
	Advice: `Look what happened to the process at that time: its log, journalctl, dmesg (out of memory),
the deployment. To restart without loss: stop accepting, let running requests end, close idle
connections, then exit (SIGTERM and not SIGKILL; a drain in the balancer). Clients should retry what
may be retried. G10: ask whoever runs the device with that hop limit.`,
	Settings: `No sysctl. systemd TimeoutStopSec (90 s) and KillSignal (SIGTERM), Kubernetes
terminationGracePeriodSeconds (30 s) and a preStop hook; nginx worker_shutdown_timeout; Linux:
conntrack -F and a reload of rules flush a firewall's table.`,
})

const (
	// atOnce is the time within which a process's sockets are closed.
	atOnce = time.Second
	// onceLeast connections of one host that close within a second by chance, with
	// none left, are rare; three if they are reset.
	onceLeast, onceLeastHard = 5, 3
	// onceShare: of those open before, four of five.
	onceShareOf, onceShare = 5, 4
	// onceFresh: no more than a quarter may have been opened within that second: else it
	// is the way of this host to close soon.
	onceFresh = 4
	// onceClients: a client's ends are told from so many on, and if one of onceHarm was
	// a RST.
	onceClients, onceHarm = 10, 4
)

// burst is the second in which the most connections ended in some ways.
type burst struct {
	n, open, fresh  uint64 // ended, open before, opened meanwhile
	by              [kinds]uint64
	from, to        wire.Time
	before, after   uint64 // opened before and after
	nextOK, lastOK  wire.Time
	tooCoarse, some bool
}

// burstOf finds the second in which the most connections ended in the given ways, if at least
// so many did.
func burstOf(c *chronicle, least uint64, ways ...kind) (b burst) {
	of, ending := kindsOf(ways...), kindsOf(ends[:]...)
	points := c.points
	// The window goes from the point at first to the moment that is looked at; bestFirst
	// is where the best one began.
	sum, most, first, bestFirst, bestLast := uint64(0), uint64(0), 0, 0, 0
	wide := max(atOnce, c.width())
	for i := range points {
		p := &points[i]
		if !of.has(p.what()) {
			continue
		}
		sum += uint64(p.n())
		for until := c.to(*p).Add(-wide); c.from(points[first]) < until; first++ {
			if of.has(points[first].what()) {
				sum -= uint64(points[first].n())
			}
		}
		if sum > most {
			most, bestFirst, bestLast = sum, first, i
		}
	}
	if most < max(least, 1) {
		return b
	}
	b.n, b.to = most, c.to(points[bestLast])
	for !of.has(points[bestFirst].what()) {
		bestFirst++
	}
	b.from, b.some, b.tooCoarse = c.from(points[bestFirst]), true, c.width() > atOnce
	open := int64(0)
	for _, p := range points {
		n := uint64(p.n())
		if p.what() == met { // they were there before anything was captured
			open += int64(n)
		}
		switch from := c.from(p); {
		case c.to(p) < b.from:
			if ending.has(p.what()) {
				open -= int64(n)
			}
			if p.what() == opened {
				open += int64(n)
				b.before, b.lastOK = b.before+n, c.to(p)
			}
		case from <= b.to:
			b.by[p.what()] += n
			if p.what() == opened {
				b.fresh += n
			}
		case p.what() == opened:
			if b.after == 0 {
				b.nextOK = from
			}
			b.after += n
		}
	}
	b.open = uint64(max(open, 0))
	return b
}

// all reports whether nearly all connections ended that were open, and hardly any that
// were opened in the same second.
func (b *burst) all(least uint64) bool {
	old := b.n - min(b.fresh, b.n)
	return !b.tooCoarse && old >= least && old*onceShareOf >= b.open*onceShare && b.fresh*onceFresh <= b.n
}

func checkClosedAllAtOnce(s *Sums, report func(Incident)) { s.closedAllAtOnce(false, report) }

// onceParts is into how many parts hosts are put that are looked at side by side: no other rule
// reads as much, and at the end of a run all wait for the last one.
const onceParts = 4

func (s *Sums) closedAllAtOnce(exact bool, report func(Incident)) {
	// Where both ends close everything, who begins is the cause.
	byHost := map[key][]key{}
	for _, k := range s.listeners.keys {
		byHost[k.server()] = append(byHost[k.server()], k)
	}
	byClient := map[key][]key{}
	for _, k := range s.pairs.keys {
		byClient[k.client()] = append(byClient[k.client()], k)
	}
	var parts [2 * onceParts][]*Incident
	var looks []func()
	look := func(hosts []key, into [][]*Incident, at func(j *joiner, host key, report func(Incident))) {
		for i := range into {
			some := hosts[len(hosts)*i/len(into) : len(hosts)*(i+1)/len(into)]
			looks = append(looks, func() {
				j := &joiner{exact: exact}
				for _, host := range some {
					at(j, host, func(in Incident) { into[i] = append(into[i], &in) })
				}
			})
		}
	}
	look(sortedKeys(byClient), parts[:onceParts], func(j *joiner, host key, report func(Incident)) { s.clientAtOnce(j, host, byClient[host], report) })
	look(sortedKeys(byHost), parts[onceParts:], func(j *joiner, host key, report func(Incident)) { s.serverAtOnce(j, host, byHost[host], report) })
	s.together(looks...)
	clients, servers := slices.Concat(parts[:onceParts]...), slices.Concat(parts[onceParts:]...)
	for _, in := range servers {
		report(*in)
	}
	for _, in := range clients {
		cause := slices.ContainsFunc(servers, func(s *Incident) bool {
			d := in.First.Sub(s.First)
			return d >= 0 && d <= atOnce && s.key.server() == in.key.server()
		})
		if !cause {
			report(*in)
		}
	}
}

func (s *Sums) serverAtOnce(j *joiner, host key, all []key, report func(Incident)) {
	scope := host
	parts := j.parts[:0]
	for _, k := range all {
		parts = append(parts, s.listeners.times(k))
	}
	j.parts = parts
	if len(all) > 1 && !j.mayBurst(parts, kindsOf(softServer, hardServer, device, tooServer, tooHardServer), kindsOf(hardServer, tooHardServer, device), serverBurst) && !s.mayIdle(all) {
		s.eachAtOnce(j, host, all, report)
		return
	}
	times := parts[0]
	if len(all) == 1 {
		scope = all[0]
	} else {
		times = j.join(parts, kindsOf(softServer, hardServer, device, tooServer, tooHardServer, idled, opened, met)|kindsOf(ends[:]...))
	}
	b := burstOf(times, onceLeastHard, softServer, hardServer, device, tooServer, tooHardServer)
	if !b.some {
		return
	}
	if s.idleLimitOf(all, &b) {
		return
	}
	hard := b.by[hardServer] + b.by[tooHardServer] + b.by[device]
	least := uint64(onceLeast)
	if hard*2 >= b.n {
		least = onceLeastHard
	}
	if !b.all(least) {
		s.eachAtOnce(j, host, all, report)
		return
	}
	in := Incident{
		key: scope, Catalogue: "C20", Severity: finding.Info, Confidence: finding.Likely, Count: b.n, First: b.from, Last: b.to,
		Falsify: "Connections of that host that went on, on the same port.",
		Reason:  "they had been opened one by one and ended together; what ended them is not in the capture",
	}
	refused := uint64(0)
	lastRefused := wire.Time(0)
	var shown []*examples
	for _, k := range all {
		l := s.listeners.get(k)
		in.tolds = append(in.tolds, l.told)
		shown = append(shown, l.held, l.reset)
		if t := s.targets.get(k); t != nil && t.refused > 0 && t.firstRefused >= b.from.Add(-atOnce) {
			refused += uint64(t.refused)
			lastRefused = max(lastRefused, t.lastRefused)
			in.tolds = append(in.tolds, t.told)
		}
	}
	in.show(shown...)
	what := "its process ended or was restarted"
	if b.by[device]*2 > b.n {
		in.Catalogue, what = "G10", "a device on the path reset them, by its hop limit"
	}
	then := ""
	if refused > 0 {
		then = fmt.Sprintf(", and refused %s after that", count(refused, "new connection"))
	}
	in.Message = fmt.Sprintf("%s ended %s of its %s open connections within %s at %s, %s of them by RST%s: %s.",
		scope.scope(), num(b.n-min(b.fresh, b.n)), num(max(b.open, b.n-min(b.fresh, b.n))), span(b.to.Sub(b.from)), clock(b.from), num(hard), then, what)
	if refused > 0 {
		in.Message += fmt.Sprintf(" It refused up to %s.", clock(lastRefused))
	}
	if b.after > 0 {
		in.Message += fmt.Sprintf(" The next connection was opened at %s.", clock(b.nextOK))
	}
	switch {
	case hard*2 >= b.n, hard > 0 && refused > 0, refused >= downMany:
		in.Severity = finding.Error
	case hard > 0, refused >= downLeast:
		in.Severity = finding.Warning
	default:
		in.Reason = "connections opened together run into one idle timeout together too"
	}
	for _, k := range all {
		// Who gives up on a peer that vanished does the same, and where the peers are not
		// captured that does not show.
		if l := s.listeners.get(k); uint64(l.oneWay)*2 > l.opened() {
			in.doubted(finding.Possible, l.gaps())
			in.Severity = min(in.Severity, finding.Warning)
		}
	}
	report(in)
}

// eachAtOnce looks at several services of a host one by one: one of them may have ended.
func (s *Sums) eachAtOnce(j *joiner, host key, all []key, report func(Incident)) {
	if len(all) > 1 {
		for i := range all {
			s.serverAtOnce(j, host, all[i:i+1], report)
		}
	}
}

// mayIdle reports whether there may be closes after a silence (see idleLimitOf).
func (s *Sums) mayIdle(all []key) bool {
	for _, k := range all {
		if l := s.listeners.get(k); l.idle[reassembly.Server] != nil || l.races[reassembly.Server] != nil {
			return true
		}
	}
	return false
}

// idleLimitOf reports whether the closes of a burst are those of an idle timeout: most
// came after a silence, all such closes of these listeners came after one and the same,
// and there were others.
func (s *Sums) idleLimitOf(all []key, b *burst) bool {
	if b.by[idled]*2 < b.n {
		return false
	}
	var silences spread
	raced := false
	for _, k := range all {
		l := s.listeners.get(k)
		if x := l.idle[reassembly.Server]; x != nil {
			silences.merge(x)
		}
		for _, x := range []*spread{l.races[reassembly.Server], l.stales[reassembly.Server]} {
			if x != nil {
				silences.merge(x)
				raced = true
			}
		}
		if t := s.targets.get(k); t != nil && t.refused > 0 && t.firstRefused >= b.from.Add(-atOnce) {
			return false
		}
	}
	lo, hi := silences.percentile(10), silences.percentile(90)
	return hi <= lo*13/10 && (raced || uint64(silences.count) >= 2*b.by[idled])
}

func (s *Sums) clientAtOnce(j *joiner, host key, all []key, report func(Incident)) {
	parts := make([]*chronicle, 0, len(all))
	n, harms := 0, uint64(0)
	for _, k := range all {
		times := s.pairs.times(k)
		parts = append(parts, times)
		n += int(s.pairs.get(k).opened)
		if harms*onceHarm < onceClients {
			harms += times.count(hardClient) + times.count(tooHardClient)
		}
	}
	if n < onceClients || harms*onceHarm < onceClients {
		return // programs that come to their end close what they have
	}
	if !j.mayBurst(parts, kindsOf(softClient, hardClient, tooClient, tooHardClient), kindsOf(hardClient, tooHardClient), clientBurst) {
		return
	}
	b := burstOf(j.join(parts, kindsOf(tooClient, tooHardClient, opened, met)|kindsOf(ends[:]...)), onceClients, softClient, hardClient, tooClient, tooHardClient)
	hard := b.by[hardClient] + b.by[tooHardClient]
	if !b.some || !b.all(onceClients) || hard*onceHarm < b.n {
		return // programs that come to their end close what they have
	}
	servers := shared(all, func(k key) key { return k.server() })
	host[serverHigh], host[serverLow] = servers[serverHigh], servers[serverLow]
	in := Incident{
		key: host, Catalogue: "C20", Severity: finding.Info, Confidence: finding.Likely, Count: b.n, First: b.from, Last: b.to,
		Message: fmt.Sprintf("The client %s ended %s of its %s open connections within %s at %s, %s of them by RST: its process ended.",
			host.scope().Client, num(b.n-min(b.fresh, b.n)), num(max(b.open, b.n-min(b.fresh, b.n))), span(b.to.Sub(b.from)), clock(b.from), num(hard)),
		Falsify: "Connections of that client that went on.",
		Reason:  "a load test or a batch that comes to its end does the same",
	}
	if len(all) == 1 {
		in.key = all[0]
	}
	if x := s.clients.get(host.client()); x != nil {
		in.tolds = append(in.tolds, x.told)
	}
	var shown []*examples
	for _, k := range all {
		shown = append(shown, &s.pairs.get(k).some)
	}
	in.show(shown...)
	report(in)
}
