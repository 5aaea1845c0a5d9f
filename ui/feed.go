package ui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Bounds of what a Feed keeps of connections that are over.
const (
	// feedRows is how many of them are listed.
	feedRows = 10_000
	// feedLives is how many of them are kept whole, to be drawn: the latest, and as many
	// of the latest that have a warning or an error. Each takes a few kilobytes.
	feedLives = 500
)

// mostSeen bounds the connections that wait for their number. One that nobody asked for
// never gets it.
const mostSeen = 1 << 14

// judgeEvery is how often the rules look at what many connections show together: that
// takes longer the more hosts there are, and nobody's trouble begins and ends sooner.
const judgeEvery = 5 * time.Second

// Feed is a Source over a run that goes on. The run tells it what happens: Seen and
// Settled of the connections that are over, Now of those that are open. All methods may
// be called on any goroutine.
type Feed struct {
	o FeedOptions

	mu sync.Mutex
	// What is over.
	kinds     map[string][]Row // the latest of each kind, in the order of their settling
	kept      int
	left      uint64
	listeners listeners
	summary   report.Summary
	seen      map[string]*Life // between Seen and Settled, by uid
	latest    keeper           // lives to be drawn
	warned    keeper
	// What is open.
	now    State
	any    bool
	series Series
	every  int // how many snapshots make a point of series
	points int // in the last point
	// follow is the connection that is drawn; come is closed when there is a new State.
	follow uint64
	come   chan struct{}
	over   bool

	// What many connections show.
	judging   sync.Mutex
	sums      *incident.Sums
	encaps    map[wire.EncapID][]string
	incidents []incident.Incident
	judged    time.Time
	fresh     bool
}

// FeedOptions say what a Feed shows.
type FeedOptions struct {
	// Title names the source, Every is the time between two states.
	Title string
	Every time.Duration
	// Match returns what says for which connections a filter holds, or what is wrong with
	// it. It may ask for what a Row has.
	Match func(filter string) (func(r *Row) bool, error)
	// Hosts are the timers of hosts, Grades say which findings are told.
	Hosts  incident.Config
	Grades *finding.Grades
}

// State is how things stand.
type State struct {
	// At is the time, if Started: there was a frame at all.
	At      wire.Time
	Started bool
	// Open are connections that are open, with their findings so far; Left counts those
	// that are not among them.
	Open []Row
	Left uint64
	// Census counts the endpoints by state.
	Census census.Counts
	// Inputs is what reading has shown so far.
	Inputs []report.Input
	// Note is a sentence about the reading, empty for none.
	Note string
	// Lives are connections that are open with all that is known, by number.
	Lives map[uint64]*report.Connection
}

// NewFeed returns one to which nothing has happened.
func NewFeed(o FeedOptions) *Feed {
	return &Feed{o: o, kinds: map[string][]Row{}, seen: map[string]*Life{}, come: make(chan struct{}), every: 1, sums: incident.New(o.Hosts), encaps: map[wire.EncapID][]string{}}
}

// Every is how often there is a new State.
func (f *Feed) Every() time.Duration { return f.o.Every }

// Seen takes a connection that is over, before its number is known. It is called where
// the connection is encoded.
func (f *Feed) Seen(c *report.Connection) {
	if c.Provisional {
		return
	}
	l := &Life{Connection: *c}
	l.Conn = c.Conn.Clone()
	l.UID = strings.Clone(c.UID)
	f.judging.Lock()
	f.sums.Add(c.Conn, c.Findings, c.Encap)
	if len(c.Encap) > 0 {
		f.encaps[c.Tuple.Encap] = c.Encap
	}
	f.fresh = true
	f.judging.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) > mostSeen {
		clear(f.seen)
	}
	f.seen[l.UID] = l
	f.summary.Durations.Add(l.Conn)
}

// Settled gives a connection that was Seen its number.
func (f *Feed) Settled(id uint64, d *report.Digest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.seen[d.UID]
	rtt, open := time.Duration(0), false
	if l != nil {
		delete(f.seen, d.UID)
		l.ID = id
		rtt, open = l.Handshake.RTT, openField.Get(&l.Connection).N != 0
		f.latest.keep(l)
	}
	f.summary.Add(id, d)
	r := NewRow(id, d, rtt, open)
	if l != nil && r.warned() {
		f.warned.keep(l)
	}
	f.listeners.add(&r)
	kind := r.kind()
	f.kinds[kind] = append(f.kinds[kind], r)
	if f.kept++; f.kept >= 2*feedRows {
		f.kept = 0
		most := share(f.kinds, feedRows)
		for kind, rows := range f.kinds {
			if len(rows) > most {
				f.left += uint64(len(rows) - most)
				f.kinds[kind] = slices.Clone(rows[len(rows)-most:])
			}
			f.kept += len(f.kinds[kind])
		}
	}
}

// keeper holds the last few lives.
type keeper struct {
	lives []*Life
	next  int
}

func (k *keeper) keep(l *Life) {
	if len(k.lives) < feedLives {
		k.lives = append(k.lives, l)
		return
	}
	k.lives[k.next] = l
	k.next = (k.next + 1) % feedLives
}

func (k *keeper) find(uid string) *Life {
	for _, l := range k.lives {
		if l.UID == uid {
			return l
		}
	}
	return nil
}

// Now takes how things stand. Nobody may change s afterwards.
func (f *Feed) Now(s State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.any = s, true
	if s.Started {
		f.series.add(s.At, s.Census, &f.every, &f.points)
	}
	close(f.come)
	f.come = make(chan struct{})
}

// Over says that there will be nothing new.
func (f *Feed) Over() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.over = true
		close(f.come)
	}
}

// Wanted returns the number of the connection of which the next State should hold all;
// 0 for none.
func (f *Feed) Wanted() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.follow
}

// add puts counts at the end. When there are too many points, two become one.
func (s *Series) add(at wire.Time, n census.Counts, every, in *int) {
	s.Peak = highest(s.Peak, n)
	if k := len(s.At) - 1; k >= 0 && *in < *every {
		s.Counts[k] = highest(s.Counts[k], n)
		*in++
		return
	}
	if len(s.At) == 2*seriesPoints {
		for i := range seriesPoints {
			s.At[i], s.Counts[i] = s.At[2*i], highest(s.Counts[2*i], s.Counts[2*i+1])
		}
		s.At, s.Counts = s.At[:seriesPoints], s.Counts[:seriesPoints]
		*every *= 2
	}
	s.At, s.Counts = append(s.At, at), append(s.Counts, n)
	*in = 1
}

// clone returns a copy that ends with what is now.
func (s *Series) clone(at wire.Time, n census.Counts) Series {
	c := Series{At: slices.Clone(s.At), Counts: slices.Clone(s.Counts), Peak: s.Peak}
	if k := len(c.At) - 1; k >= 0 && c.At[k] == at {
		return c
	}
	c.At, c.Counts = append(c.At, at), append(c.Counts, n)
	return c
}

// Check says what is wrong with a filter.
func (f *Feed) Check(filter string) error {
	if filter == "" {
		return nil
	}
	_, err := f.o.Match(filter)
	return err
}

// Load returns how things stand now; the first time, when they stand at all.
func (f *Feed) Load(ctx context.Context, filter string, p *Progress) (*Snapshot, error) {
	match := func(*Row) bool { return true }
	if filter != "" {
		m, err := f.o.Match(filter)
		if err != nil {
			return nil, err
		}
		match = m
	}
	p.Say(func() string { return "waiting for " + f.o.Title })
	f.mu.Lock()
	for !f.any && !f.over {
		come := f.come
		f.mu.Unlock()
		select {
		case <-come:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	s := &Snapshot{Title: f.o.Title, Now: f.now.At, Note: f.now.Note, Left: f.left + f.now.Left}
	s.First = s.Now
	for _, in := range f.now.Inputs {
		if in.Frames > 0 && in.First < s.First {
			s.First = in.First
		}
	}
	s.Any = f.now.Started
	if f.over {
		s.Note = "the source has ended"
	}
	s.Rows = append(s.Rows, f.now.Open...)
	for _, rows := range f.kinds {
		s.Rows = append(s.Rows, rows...)
	}
	slices.SortFunc(s.Rows, byID)
	// One that has settled since the last State is in both: it is over.
	s.Rows = slices.CompactFunc(s.Rows, func(a, b Row) bool { return a.ID == b.ID })
	if filter == "" {
		s.Summary = f.summary.Clone()
		s.Listeners, s.OtherListeners = f.listeners.clone()
		count := listeners{list: s.Listeners, others: s.OtherListeners}
		count.index()
		for i := range s.Rows {
			if r := &s.Rows[i]; r.going {
				d := r.digest()
				s.Summary.Add(r.ID, &d)
				count.add(r)
			}
		}
		s.Summary.Connections += f.now.Left
		s.Summary.Outcomes[reassembly.OutcomeUnknown] += f.now.Left
		s.Listeners, s.OtherListeners = count.all()
		if f.now.Started {
			s.Census = f.series.clone(f.now.At, f.now.Census)
		}
		s.Summary.Incidents = f.judge()
	} else {
		s.Summary = &report.Summary{Selection: []string{"--filter " + filter}}
		var count listeners
		rows := s.Rows
		s.Rows = nil
		for i := range rows {
			r := &rows[i]
			d := r.digest()
			if !match(r) {
				s.Summary.Pass(&d)
				continue
			}
			s.Summary.Add(r.ID, &d)
			count.add(r)
			s.Rows = append(s.Rows, *r)
		}
		s.Listeners, s.OtherListeners = count.all()
		if f.now.Started {
			s.Census = censusOf(s.Rows, f.now.At)
		}
	}
	s.Summary.Inputs = f.now.Inputs
	return s, nil
}

// censusOf counts the endpoints of rows as they are now: how they were before nobody
// knows.
func censusOf(rows []Row, at wire.Time) (s Series) {
	var n census.Counts
	for i := range rows {
		for side, st := range rows[i].States {
			if rows[i].HasState[side] && rows[i].Open {
				n[st]++
			}
		}
	}
	return Series{At: []wire.Time{at}, Counts: []census.Counts{n}, Peak: n}
}

// judge returns what the connections that are over show together, as of some seconds
// ago at most.
func (f *Feed) judge() []incident.Incident {
	f.judging.Lock()
	defer f.judging.Unlock()
	if f.fresh && time.Since(f.judged) >= judgeEvery {
		all := f.sums.Incidents(incident.All(), func(id wire.EncapID) []string { return f.encaps[id] })
		f.incidents = incident.Grade(all, f.o.Grades)
		f.judged, f.fresh = time.Now(), false
	}
	return f.incidents
}

// Life returns a connection that is open as it stands, one that is over if it was kept.
func (f *Feed) Life(ctx context.Context, r *Row, p *Progress) (*Life, error) {
	p.Say(func() string { return fmt.Sprintf("waiting for connection %d", r.ID) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follow = r.ID
	for tries := 0; ; tries++ {
		if l := cmp.Or(f.latest.find(r.UID), f.warned.find(r.UID)); l != nil {
			return l, nil
		}
		if c := f.now.Lives[r.ID]; c != nil && tries > 0 || c != nil && f.over {
			return &Life{Connection: *c, ID: r.ID, Note: "It has not settled: what is said of it may change."}, nil
		}
		// What was wanted comes with the State after the next.
		if tries > 3 || f.over {
			return nil, fmt.Errorf("connection %d is over. A live run keeps the last %d connections whole, and the last %d with a warning; this one was not among them",
				r.ID, feedLives, feedLives)
		}
		come := f.come
		f.mu.Unlock()
		select {
		case <-come:
		case <-ctx.Done():
			f.mu.Lock()
			return nil, ctx.Err()
		}
		f.mu.Lock()
	}
}

// digest is what the summary needs of a row.
func (r *Row) digest() report.Digest {
	d := report.Digest{Outcome: r.Outcome, Handshake: r.Handshake, Reason: r.Reason, Closer: r.Closer, HasCloser: r.HasCloser, By: r.By, Final: r.States,
		HasState: r.HasState, Tuple: r.Tuple, Encap: r.Encap, Start: r.Start, End: r.End, Packets: r.Packets, Bytes: r.Bytes, Findings: r.found, UID: r.UID}
	if r.going {
		d.Ended = reassembly.EndedInput
	}
	return d
}

// OpenRow returns the row of a connection that has not settled, with its findings so far:
// what its states say of how it began and of how it ended is filled in. roleBy says how
// its client is known.
func OpenRow(r Row, roleBy reassembly.RoleBy, found []finding.Finding) Row {
	r.going, r.Open = true, false
	r.Handshake, r.Reason, r.Outcome = reassembly.HandshakePending, reassembly.CloseOpenAtEnd, reassembly.OutcomeUnknown
	for side, st := range r.States {
		if !r.HasState[side] {
			continue
		}
		r.Open = r.Open || st != reassembly.Closed && st != reassembly.TimeWait
		if st == reassembly.TimeWait {
			// Both FINs were there and have been acknowledged.
			r.Reason, r.Outcome = reassembly.CloseOrderly, reassembly.OutcomeSuccess
		}
		switch {
		case r.RTT > 0 || st.Synchronized() && roleBy <= reassembly.RoleBySYNACK:
			r.Handshake = reassembly.HandshakeComplete
		case st.Synchronized():
			r.Handshake = reassembly.HandshakeUnseen
		}
	}
	if !r.Open && r.Reason == reassembly.CloseOpenAtEnd {
		r.Reason = reassembly.CloseUnknown // it will be told when it has settled
	}
	r.tell(found)
	return r
}

// Connection returns a connection that has what the row has, for filters. FieldsOfRows
// are the fields that are right on it.
func (r *Row) Connection() *report.Connection {
	c := &reassembly.Conn{Tuple: r.Tuple, Start: r.Start, End: r.End, Until: r.End, Outcome: r.Outcome}
	c.Handshake = reassembly.Handshake{Outcome: r.Handshake, RTT: r.RTT}
	c.Close = reassembly.Close{Reason: r.Reason, Closer: r.Closer, HasCloser: r.HasCloser, By: r.By}
	if r.Open {
		c.Ended = reassembly.EndedInput
	}
	for side := range c.Ends {
		e := &c.Ends[side]
		e.Packets, e.Bytes = r.Packets[side], r.Bytes[side]
		if r.HasState[side] {
			e.Timeline = []reassembly.Transition{{State: r.States[side], At: r.End}}
		}
	}
	return &report.Connection{Conn: c, UID: r.UID, Encap: r.Encap, Findings: r.found}
}

// FieldsOfRows are what a filter may ask for in a run that goes on: fields of the
// contract, and functions.
var FieldsOfRows = []string{"bytes.client", "bytes.server", "cidr", "client.ip", "client.port", "close.by", "close.closer", "close.reason", "duration", "encap", "end",
	"final.client", "final.server", "finding", "findings", "handshake.outcome", "handshake.rtt", "host", "id", "net", "open", "outcome", "packets.client", "packets.server",
	"port", "server.ip", "server.port", "start", "uid"}
