package metrics

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Kind is what a metric is to Prometheus.
type Kind uint8

// The kinds.
const (
	Counter Kind = iota
	Gauge
	Histogram
)

var kindNames = [...]string{"counter", "gauge", "histogram"}

// String returns the word of the exposition format.
func (k Kind) String() string { return kindNames[k] }

// Label is one label of a metric.
type Label struct {
	Name string
	// Values are all that there can be; nil if the run decides, in which case there are
	// Max of what Bound says, or, if Max is 0, as many as Bound says.
	Values func() []string
	Max    int
	Bound  string
}

// Metric is one metric as a value: the collector and docs/metrics.md are made of it.
type Metric struct {
	Name   string
	Kind   Kind
	Labels []Label
	// Unit is what is counted or measured.
	Unit string
	// Help is the line of the exposition format. More says what else its readers should
	// know; may be empty.
	Help, More string
}

// The labels.
var (
	byRole     = Label{Name: "role", Values: roles}
	byState    = Label{Name: "state", Values: states}
	bySource   = Label{Name: "source", Bound: "the inputs of the command line"}
	byListener = Label{Name: "listener", Max: namedListeners, Bound: "at a time, and " + other}
	byClient   = Label{Name: "client", Max: namedPairs, Bound: "pairs of client and server at a time, and " + other}
	byServer   = Label{Name: "server", Bound: "see client"}
)

// other is the value of a label that stands for all that is not named.
const other = "other"

// The metrics, in the order of the page.
var (
	buildInfo = Metric{Name: "tcplife_build_info", Kind: Gauge, Unit: "1",
		Labels: []Label{{Name: "version", Bound: "one"}, {Name: "revision", Bound: "one"}, {Name: "goversion", Bound: "one"}, {Name: "schema", Bound: "one"}},
		Help:   "The program that runs; always 1."}

	endpoints = Metric{Name: "tcplife_endpoints", Kind: Gauge, Unit: "endpoints", Labels: []Label{byRole, byState},
		Help: "Endpoints of connections in each state now, as far as packets show (provisional).",
		More: "Both ends of a connection count, each in its own role. CLOSED and LISTEN are left out: an endpoint in them has no connection."}
	openConnections = Metric{Name: "tcplife_connections_open", Kind: Gauge, Unit: "connections",
		Help: "Connections that are followed now, those in TIME_WAIT included.",
		More: "A connection leaves when it has settled: closed, and 2MSL of its profile over; its tuple opened anew; or evicted."}
	opened = Metric{Name: "tcplife_connections_opened_total", Kind: Counter, Unit: "connections",
		Help: "Connections that began, with their first captured segment, refused attempts included.",
		More: "Counted at once; all other counters of connections when they have settled."}
	closed = Metric{Name: "tcplife_connections_closed_total", Kind: Counter, Unit: "connections",
		Labels: []Label{{Name: "reason", Values: reassembly.CloseReasons}},
		Help:   "Connections that have settled, by how they ended (close.reason).",
		More:   "Settled: an orderly close counts 2MSL after it (60 s of the profile linux), when nothing can take it back any more."}
	closers = Metric{Name: "tcplife_closes_total", Kind: Counter, Unit: "connections",
		Labels: []Label{{Name: "closer", Values: func() []string { return closerNames[:] }}, {Name: "by", Values: func() []string { return byNames[:] }}},
		Help:   "Settled connections by who began to close and with what; none where nobody did or it cannot be told.",
		More:   "Who closes first holds TIME_WAIT. closer none goes with by none alone."}
	evicted = Metric{Name: "tcplife_connections_evicted_total", Kind: Counter, Unit: "connections",
		Help: "Connections that had to leave early for --max-connections or --max-memory."}
	handshakes = Metric{Name: "tcplife_handshakes_total", Kind: Counter, Unit: "connections",
		Labels: []Label{{Name: "outcome", Values: handshakeOutcomes}},
		Help:   "Settled connections by how their opening ended (handshake.outcome)."}
	rtt = Metric{Name: "tcplife_handshake_rtt_seconds", Kind: Histogram, Unit: "seconds",
		Labels: []Label{{Name: "part", Values: func() []string { return rttParts[:] }}},
		Help:   "Round trip times of handshakes: the whole, and the parts on both sides of the tap.",
		More:   "Only where the segments were not repeated: a repeated SYN does not tell which copy was answered."}
	dwell = Metric{Name: "tcplife_state_dwell_seconds", Kind: Histogram, Unit: "seconds", Labels: []Label{byRole, byState},
		Help: "Time that endpoints spent in a state which was seen to begin and to end.",
		More: "What a timer of the host profile ended is no measurement and not in it: TIME_WAIT seldom is."}
	unmeasured = Metric{Name: "tcplife_state_dwell_unmeasured_total", Kind: Counter, Unit: "stays",
		Labels: []Label{byRole, byState, {Name: "why", Values: func() []string { return whyNames[:] }}},
		Help:   "Stays in a state of which one end was not seen.",
		More:   "unfinished: it lasted when the connection went out of sight. assumed: a timer of the profile ended it, or it had begun before the capture."}
	packets = Metric{Name: "tcplife_connection_packets_total", Kind: Counter, Unit: "frames", Labels: []Label{byRole},
		Help: "Captured frames of settled connections by the role of their sender, repeated and doubled ones too."}
	payload = Metric{Name: "tcplife_connection_payload_bytes_total", Kind: Counter, Unit: "bytes", Labels: []Label{byRole},
		Help: "TCP payload in captured frames of settled connections, by the role of its sender."}
	repeats = Metric{Name: "tcplife_retransmitted_segments_total", Kind: Counter, Unit: "segments", Labels: []Label{byRole},
		Help: "Segments of settled connections that repeat sequence numbers already sent, by the role of their sender."}
	findings = Metric{Name: "tcplife_findings_total", Kind: Counter, Unit: "findings",
		Labels: []Label{{Name: "id", Values: findingIDs}, {Name: "severity", Values: severities}},
		Help:   "Findings on settled connections; tcplife explain ID says what each means."}
	resets = Metric{Name: "tcplife_resets_total", Kind: Counter, Unit: "segments",
		Labels: []Label{{Name: "class", Values: finding.ResetClasses}, byRole},
		Help:   "RSTs of settled connections, by where their form says that they come from and whose name they bear.",
		More:   "refusal: of a SYN. reply: a host without that socket. abort: a socket's. foreign: perhaps a device on the path. See tcplife explain reset-provenance."}

	listeners = Metric{Name: "tcplife_listener_endpoints", Kind: Gauge, Unit: "endpoints", Labels: []Label{byListener, byState},
		Help: "Servers' endpoints in each state now, of the busiest listeners and of all others together (provisional).",
		More: "A listener is an address and port that clients connect to."}

	portsHeld = Metric{Name: "tcplife_client_ports_held", Kind: Gauge, Unit: "ports", Labels: []Label{byClient, byServer},
		Help: "Local ports that a client holds towards a listener now, those in TIME_WAIT included (provisional).",
		More: "One for each of its connections there whose client's endpoint is not CLOSED. Pairs with 64 ports or more are named."}
	portsWaiting = Metric{Name: "tcplife_client_ports_time_wait", Kind: Gauge, Unit: "ports", Labels: []Label{byClient, byServer},
		Help: "Those of the ports held whose endpoint is in TIME_WAIT (provisional)."}
	portsLeft = Metric{Name: "tcplife_client_ports_left", Kind: Gauge, Unit: "ports", Labels: []Label{byClient, byServer},
		Help: "Local ports that a client has left for new connections to a listener (provisional).",
		More: "The range of the client's host profile (--profile; linux: ip_local_port_range 32768 to 60999, 28232 ports), widened to the ports seen where the host uses others, less those held. Ports that are reserved or taken by connections that the capture does not show are not known."}
	portsLeast = Metric{Name: "tcplife_client_ports_left_least", Kind: Gauge, Unit: "ports",
		Help: "The least tcplife_client_ports_left of all pairs, named or not; absent while no client has a port (provisional)."}

	frames = Metric{Name: "tcplife_capture_frames_total", Kind: Counter, Unit: "frames", Labels: []Label{bySource},
		Help: "Frames read from a source."}
	octets = Metric{Name: "tcplife_capture_bytes_total", Kind: Counter, Unit: "bytes", Labels: []Label{bySource},
		Help: "Octets read from a source."}
	drops = Metric{Name: "tcplife_capture_drops_total", Kind: Counter, Unit: "frames",
		Help: "Frames that the kernel dropped because they were not fetched in time.",
		More: "Absent where no source counts them, such as a file."}
	freezes = Metric{Name: "tcplife_capture_freezes_total", Kind: Counter, Unit: "times",
		Help: "How often a kernel's ring was full and froze.",
		More: "Absent where no source counts them."}
	gaps = Metric{Name: "tcplife_capture_gaps_total", Kind: Counter, Unit: "gaps",
		Help: "Stretches of time of which a source says that it saw nothing of them, such as an interface that was down."}
	skipped = Metric{Name: "tcplife_frames_skipped_total", Kind: Counter, Unit: "frames",
		Labels: []Label{bySource, {Name: "reason", Values: skipReasons}},
		Help:   "Frames that gave no TCP segment, by reason."}
	lastFrame = Metric{Name: "tcplife_capture_last_frame_timestamp_seconds", Kind: Gauge, Unit: "seconds since 1970", Labels: []Label{bySource},
		Help: "Time of the newest frame of a source; absent before the first."}
)

// All returns every metric of tcplife's own, in the order of the page.
func All() []*Metric {
	return []*Metric{
		&buildInfo,
		&endpoints, &openConnections, &opened, &closed, &closers, &evicted,
		&handshakes, &rtt, &dwell, &unmeasured,
		&packets, &payload, &repeats, &findings, &resets,
		&listeners, &portsHeld, &portsWaiting, &portsLeft, &portsLeast,
		&frames, &octets, &skipped, &lastFrame, &drops, &freezes, &gaps,
	}
}

var (
	roleNames   = [...]string{reassembly.Client: reassembly.Client.String(), reassembly.Server: reassembly.Server.String()}
	closerNames = [...]string{reassembly.Client: "client", reassembly.Server: "server", 2: "none"}
	byNames     = [...]string{"fin", "rst", "none"}
	whyNames    = [...]string{"unfinished", "assumed"}
	rttParts    = [census.RTTParts]string{census.RTTWhole: "whole", census.RTTClientSide: "client_side", census.RTTServerSide: "server_side"}
)

func roles() []string { return roleNames[:] }

// told reports whether endpoints in a state are counted.
func told(s reassembly.State) bool { return s != reassembly.Closed && s != reassembly.Listen }

func states() (names []string) {
	for s := range reassembly.State(reassembly.StateCount) {
		if told(s) {
			names = append(names, s.String())
		}
	}
	return names
}

// The last of their lists.
const (
	handshakeCount = int(reassembly.HandshakeAbandoned) + 1
	severityCount  = int(finding.Error) + 1
)

func handshakeOutcomes() (names []string) {
	for h := range handshakeCount {
		names = append(names, reassembly.HandshakeOutcome(h).String())
	}
	return names
}

func severities() (names []string) {
	for s := range severityCount {
		names = append(names, finding.Severity(s).String())
	}
	return names
}

func findingIDs() (ids []string) {
	for _, r := range finding.All() {
		ids = append(ids, r.ID)
	}
	return ids
}

func skipReasons() (names []string) {
	for s := range wire.SkipCount {
		if reason := wire.Skip(s); reason != wire.SkipNone {
			names = append(names, reason.String())
		}
	}
	return names
}

// Markdown returns the table of docs/metrics.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| name | kind, unit | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range All() {
		var labels []string
		for _, l := range m.Labels {
			text := "`" + l.Name + "`"
			if l.Values == nil {
				bound := l.Bound
				if l.Max > 0 {
					bound = strconv.Itoa(l.Max) + " " + bound
				}
				text += " (" + bound + ")"
			}
			labels = append(labels, text)
		}
		meaning := m.Help
		if m.More != "" {
			meaning += " " + m.More
		}
		fmt.Fprintf(&b, "| `%s` | %s, %s | %s | %s |\n", m.Name, m.Kind, m.Unit, strings.Join(labels, ", "), meaning)
	}
	return b.String()
}

// MarkdownLabels returns the list of the labels' values of docs/metrics.md.
func MarkdownLabels() string {
	var b strings.Builder
	b.WriteString("| label | of | values |\n| --- | --- | --- |\n")
	seen := map[string]bool{}
	for _, m := range All() {
		for _, l := range m.Labels {
			if l.Values == nil {
				continue
			}
			values := strings.Join(l.Values(), " ")
			if seen[l.Name+values] {
				continue
			}
			seen[l.Name+values] = true
			of := "`" + m.Name + "`"
			switch l.Name {
			case byRole.Name, byState.Name, "severity":
				of = "all that have it"
			case "id":
				values = "the findings of [findings.md](findings.md)"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", l.Name, of, values)
		}
	}
	return b.String()
}
