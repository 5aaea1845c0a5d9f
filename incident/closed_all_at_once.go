package incident

import (
	"fmt"
	"math"
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

// burstOf finds the second in which the most connections ended in the given ways.
func burstOf(c *chronicle, ways ...kind) (b burst) {
	of, ending := kindsOf(ways...), kindsOf(ends[:]...)
	points := c.points
	// The window goes from the point at first to the moment that is looked at; bestFirst
	// is where the best one began.
	sum, first, bestFirst := uint64(0), 0, 0
	wide := max(atOnce, c.width())
	for i := 0; i < len(points); {
		ended := uint64(0)
		at := points[i].at
		for ; i < len(points) && points[i].at == at; i++ {
			if of.has(points[i].what) {
				ended += uint64(points[i].n)
			}
		}
		if ended == 0 {
			continue
		}
		sum += ended
		for until := c.to(points[i-1]).Add(-wide); c.from(points[first]) < until; first++ {
			if of.has(points[first].what) {
				sum -= uint64(points[first].n)
			}
		}
		if sum > b.n {
			b.n, b.to, bestFirst = sum, c.to(points[i-1]), first
		}
	}
	if b.n == 0 {
		return b
	}
	for !of.has(points[bestFirst].what) {
		bestFirst++
	}
	b.from, b.some, b.tooCoarse = c.from(points[bestFirst]), true, c.width() > atOnce
	open := int64(0)
	for _, p := range points {
		n := uint64(p.n)
		if p.what == met { // they were there before anything was captured
			open += int64(n)
		}
		switch from := c.from(p); {
		case c.to(p) < b.from:
			if ending.has(p.what) {
				open -= int64(n)
			}
			if p.what == opened {
				open += int64(n)
				b.before, b.lastOK = b.before+n, c.to(p)
			}
		case from <= b.to:
			b.by[p.what] += n
			if p.what == opened {
				b.fresh += n
			}
		case p.what == opened:
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

func checkClosedAllAtOnce(s *Sums, report func(Incident)) {
	// Where both ends close everything, who begins is the cause.
	var clients, servers []Incident
	var j joiner
	byHost := map[key][]key{}
	for _, k := range s.listeners.keys {
		byHost[k.server()] = append(byHost[k.server()], k)
	}
	for _, host := range sortedKeys(byHost) {
		s.serverAtOnce(&j, host, byHost[host], func(in Incident) { servers = append(servers, in) })
	}
	byClient := map[key][]key{}
	for _, k := range s.pairs.keys {
		byClient[k.client()] = append(byClient[k.client()], k)
	}
	for _, host := range sortedKeys(byClient) {
		s.clientAtOnce(&j, host, byClient[host], func(in Incident) { clients = append(clients, in) })
	}
	for _, in := range servers {
		report(in)
	}
	for _, in := range clients {
		cause := slices.ContainsFunc(servers, func(s Incident) bool {
			d := in.First.Sub(s.First)
			return d >= 0 && d <= atOnce && s.key.server() == in.key.server()
		})
		if !cause {
			report(in)
		}
	}
}

func (s *Sums) serverAtOnce(j *joiner, host key, all []key, report func(Incident)) {
	scope := host
	var times *chronicle
	if len(all) == 1 {
		scope, times = all[0], s.listeners.times(all[0])
	} else {
		var parts []*chronicle
		for _, k := range all {
			parts = append(parts, s.listeners.times(k))
		}
		times = j.join(parts, kindsOf(softServer, hardServer, device, tooServer, tooHardServer, idled, opened, met)|kindsOf(ends[:]...))
	}
	b := burstOf(times, softServer, hardServer, device, tooServer, tooHardServer)
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
		if len(all) > 1 {
			// One of several services of the host may have ended.
			for _, k := range all {
				s.serverAtOnce(j, host, []key{k}, report)
			}
		}
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

// softAtMost reports whether one can say without joining chronicles that in the second in
// which a client ended the most connections too few were reset to be told (onceHarm). It
// counts in half seconds: the best second holds at least as many ends as the best of them,
// and lies in three.
func softAtMost(all []*chronicle) bool {
	const half, most = int64(atOnce / 2), 1 << 16
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for _, c := range all {
		if c.width() > atOnce/4 {
			return false // an interval that lies in two half seconds would not fit into a second
		}
		if n := len(c.points); n > 0 {
			low, high = min(low, int64(c.from(c.points[0]))), max(high, int64(c.from(c.points[n-1])))
		}
	}
	if low > high || low < 0 || high/half-low/half >= most {
		return false
	}
	from := low / half
	type ended struct{ all, hard uint64 }
	counts := make([]ended, high/half-from+3)
	for _, c := range all {
		for i := range c.points {
			p := &c.points[i]
			switch p.what {
			case hardClient, tooHardClient:
				counts[int64(c.from(*p))/half-from].hard += uint64(p.n)
				fallthrough
			case softClient, tooClient:
				counts[int64(c.from(*p))/half-from].all += uint64(p.n)
			}
		}
	}
	best := uint64(0)
	for _, n := range counts {
		best = max(best, n.all)
	}
	for i := range counts[2:] {
		a, b, c := counts[i], counts[i+1], counts[i+2]
		if a.all+b.all+c.all >= best && (a.hard+b.hard+c.hard)*onceHarm >= best {
			return false
		}
	}
	return true
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
	if softAtMost(parts) {
		return
	}
	b := burstOf(j.join(parts, kindsOf(tooClient, tooHardClient, opened, met)|kindsOf(ends[:]...)), softClient, hardClient, tooClient, tooHardClient)
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
