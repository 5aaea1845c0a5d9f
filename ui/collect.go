package ui

import (
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Bounds of what is kept. Nobody pages through more, and a filter brings others.
const (
	// MaxRows is how many connections a snapshot lists, each below a kilobyte.
	MaxRows = 20_000
	// MaxListeners is how many listeners are told apart. Each may take some 9 kB, most of
	// it for round trips.
	MaxListeners = 4096
	// seriesPoints is how many points of a census are kept: more than a terminal has
	// columns.
	seriesPoints = 512
	// listenerSeries is how many listeners have a census of their own.
	listenerSeries = 100
)

// censusStep is what the census's instants are multiples of. It is coarsened where
// that would be too many.
const censusStep = time.Millisecond

// Collector is a report.Format that prints nothing and keeps what a Snapshot needs.
// When there are more connections than it keeps, of each kind (how they ended, what was
// found) the first are kept, so that a host that resets everything does not hide the
// one connection that failed for another reason.
type Collector struct {
	limit     int
	kinds     map[string][]Row
	kept      int
	left      uint64
	listeners listeners
	census    *census.Census
	life      census.Life
	summary   *report.Summary
}

// NewCollector returns one that keeps up to limit connections, MaxRows for 0.
func NewCollector(limit int) *Collector {
	if limit <= 0 {
		limit = MaxRows
	}
	return &Collector{limit: limit, kinds: map[string][]Row{}, census: census.New(census.Config{Every: censusStep, Top: listenerSeries})}
}

// Begin does nothing: there is nothing to write to.
func (k *Collector) Begin(io.Writer, *report.Options) error { return nil }

// Needs is what is read of connections.
func (k *Collector) Needs() report.Needs {
	return report.Needs{Names: true, Durations: true, Events: true}
}

// openField tells whether a connection is open.
var openField = report.LookupField("open")

// Encode keeps what the digest does not have.
func (k *Collector) Encode(b *report.Buffer, c *report.Connection) {
	b.B = binary.LittleEndian.AppendUint64(b.B, uint64(c.Handshake.RTT))
	b.B = append(b.B, byte(openField.Get(c).N))
	b.B = census.AppendLife(b.B, c.Conn)
}

// Add keeps a connection.
func (k *Collector) Add(id uint64, d *report.Digest, b *report.Buffer) error {
	rtt, open := time.Duration(binary.LittleEndian.Uint64(b.B)), b.B[8] != 0
	k.life.ReadLife(b.B[9:], &d.Tuple)
	k.census.Add(&k.life)
	r := NewRow(id, d, rtt, open)
	k.listeners.add(&r)
	kind := r.kind()
	k.kinds[kind] = append(k.kinds[kind], r)
	if k.kept++; k.kept >= 2*k.limit {
		k.trim()
	}
	return nil
}

// NewRow takes from a digest what a list shows.
func NewRow(id uint64, d *report.Digest, rtt time.Duration, open bool) Row {
	r := Row{ID: id, UID: strings.Clone(d.UID), Tuple: d.Tuple, Encap: d.Encap, Start: d.Start, End: d.End, Open: open, States: d.Final, HasState: d.HasState,
		RTT: rtt, Packets: d.Packets, Bytes: d.Bytes, Outcome: d.Outcome, Handshake: d.Handshake, Reason: d.Reason, Closer: d.Closer, HasCloser: d.HasCloser, By: d.By}
	r.tell(d.Findings)
	return r
}

// tell notes the findings.
func (r *Row) tell(found []finding.Finding) {
	r.Findings, r.found = nil, slices.Clone(found)
	for i := range found {
		f := &found[i]
		at := slices.IndexFunc(r.Findings, func(t Told) bool { return t.Rule == f.Rule })
		if at < 0 {
			r.Findings = append(r.Findings, Told{f.Rule, f.Severity})
		} else {
			r.Findings[at].Severity = max(r.Findings[at].Severity, f.Severity)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Told) int { return int(b.Severity) - int(a.Severity) })
}

// kind is what connections have in common that tell the same story: how they ended,
// and the gravest finding.
func (r *Row) kind() string {
	if len(r.Findings) == 0 {
		return r.Reason.String()
	}
	return r.Reason.String() + " " + r.Findings[0].Rule.ID
}

// trim leaves as many rows as the limit says: the first of each kind, of all kinds
// equally many where there are enough.
func (k *Collector) trim() {
	most := share(k.kinds, k.limit)
	k.kept = 0
	for kind, rows := range k.kinds {
		if len(rows) > most {
			// Those that settled late have earlier numbers than some that are kept.
			slices.SortFunc(rows, byID)
			k.left += uint64(len(rows) - most)
			rows = slices.Clip(rows[:most])
			k.kinds[kind] = rows
		}
		k.kept += len(rows)
	}
}

// share returns how many rows of each kind may stay, so that all together are no more
// than limit: those that are few stay whole.
func share(kinds map[string][]Row, limit int) (most int) {
	sizes := make([]int, 0, len(kinds))
	for _, rows := range kinds {
		sizes = append(sizes, len(rows))
	}
	slices.Sort(sizes)
	for i, n := range sizes {
		if most = limit / (len(sizes) - i); n > most {
			break
		}
		limit -= n
		most = n
	}
	return most
}

func byID(a, b Row) int {
	switch {
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return 0
}

// Late does nothing.
func (k *Collector) Late(*report.Late) error { return nil }

// End keeps the summary.
func (k *Collector) End(s *report.Summary) error {
	k.summary = s
	return nil
}

// Snapshot returns what was collected, once, after End; the summary is the one that
// the run returned. The first and the last time are those of the inputs.
func (k *Collector) Snapshot(title string) *Snapshot {
	if k.kept > k.limit {
		k.trim()
	}
	s := &Snapshot{Title: title, Summary: k.summary, Left: k.left}
	for _, rows := range k.kinds {
		s.Rows = append(s.Rows, rows...)
	}
	slices.SortFunc(s.Rows, byID)
	s.First, s.Now, s.Any = k.summary.Span()
	s.Listeners, s.OtherListeners = k.listeners.all()
	if !s.Any {
		return s
	}
	r := k.census.Result(s.First, s.Now)
	s.Census = newSeries(&r.All, s.First, s.Now)
	for i := range r.States {
		// Exact, also of states that lasted less than a step.
		s.Census.Peak[i] = max(s.Census.Peak[i], r.States[i].Count)
	}
	apart := map[netip.AddrPort]*census.Listener{}
	for i := range r.Listeners {
		apart[r.Listeners[i].Addr] = &r.Listeners[i]
	}
	for i := range s.Listeners {
		if l := apart[s.Listeners[i].Server]; l != nil {
			s.Listeners[i].Census = newSeries(&l.Tally, s.First, s.Now)
		}
	}
	return s
}

// newSeries reads the counts over time from a tally.
func newSeries(t *census.Tally, first, last wire.Time) (s Series) {
	step := max(int64(last-first)/seriesPoints+1, 1)
	t.Rows(first, last, func(at wire.Time, n *census.Counts) {
		if k := len(s.At) - 1; k >= 0 && int64(at-s.At[k]) < step {
			s.Counts[k] = highest(s.Counts[k], *n)
			return
		}
		s.At, s.Counts = append(s.At, at), append(s.Counts, *n)
	})
	// The last point is the end itself, and nothing but it.
	s.At, s.Counts = append(s.At, last), append(s.Counts, t.At[len(t.At)-1])
	for i := range s.Counts {
		s.Peak = highest(s.Peak, s.Counts[i])
	}
	return s
}

func highest(a, b census.Counts) census.Counts {
	for i := range a {
		a[i] = max(a[i], b[i])
	}
	return a
}

// listeners counts connections by what they were made to.
type listeners struct {
	at     map[listenerKey]int
	list   []Listener
	others uint64
}

type listenerKey struct {
	server netip.AddrPort
	encap  string
}

func (k *listeners) add(r *Row) {
	key := listenerKey{r.Tuple.Destination(), strings.Join(r.Encap, " ")}
	i, ok := k.at[key]
	if !ok {
		if k.at == nil {
			k.at = map[listenerKey]int{}
		}
		if len(k.list) >= MaxListeners {
			// A scan shows thousands of ports that refuse; one that answers takes the
			// place of one of those.
			i = -1
			if r.answered() {
				i = slices.IndexFunc(k.list, func(l Listener) bool { return l.Answered == 0 })
			}
			if i < 0 {
				k.others++
				return
			}
			old := &k.list[i]
			k.others += old.Connections
			delete(k.at, listenerKey{old.Server, strings.Join(old.Encap, " ")})
			k.list[i] = Listener{Server: key.server, Encap: r.Encap}
		} else {
			i = len(k.list)
			k.list = append(k.list, Listener{Server: key.server, Encap: r.Encap})
		}
		k.at[key] = i
	}
	k.list[i].count(r)
}

func (r *Row) answered() bool {
	return r.Handshake == reassembly.HandshakeComplete || r.Handshake == reassembly.HandshakeUnseen
}

// reset reports whether a RST ended it after it had come about.
func (r *Row) reset() bool {
	switch r.Reason {
	case reassembly.CloseAbort, reassembly.CloseAbortUnread, reassembly.CloseLateDataReset, reassembly.CloseNoSocketReset, reassembly.CloseDeviceReset:
		return r.answered()
	}
	return false
}

func (l *Listener) count(r *Row) {
	l.Connections++
	switch r.Handshake {
	case reassembly.HandshakeRefused, reassembly.HandshakeICMP:
		l.Refused++
	case reassembly.HandshakeUnanswered:
		l.Unanswered++
	}
	if r.answered() {
		l.Answered++
	}
	if r.Open {
		l.Open++
	}
	if r.HasCloser && r.answered() {
		l.ClosedBy[r.Closer]++
	}
	if r.reset() {
		l.Resets++
	}
	if r.Outcome == reassembly.OutcomeFailure {
		l.Failed++
	}
	if r.warned() {
		l.Warned++
	}
	if r.RTT > 0 {
		l.RTT.Record(r.RTT)
	}
}

// clone returns a copy of the list.
func (k *listeners) clone() ([]Listener, uint64) {
	list := slices.Clone(k.list)
	for i := range list {
		var own census.Histogram
		own.Merge(&k.list[i].RTT)
		list[i].RTT = own
	}
	return list, k.others
}

// index finds the listeners of a list that was made elsewhere.
func (k *listeners) index() {
	k.at = map[listenerKey]int{}
	for i := range k.list {
		k.at[listenerKey{k.list[i].Server, strings.Join(k.list[i].Encap, " ")}] = i
	}
}

func (k *listeners) all() ([]Listener, uint64) { return k.list, k.others }
