package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
	"github.com/tcplife/tcplife/wire"
)

// matchRows is how the command evaluates a filter on what a list has.
func matchRows(filter string) (func(*Row) bool, error) {
	made, err := selection.New(&selection.Wish{Filters: []string{filter}})
	if err != nil {
		return nil, err
	}
	for _, name := range made.Reads() {
		if !slices.Contains(FieldsOfRows, name) {
			return nil, errors.New("no " + name)
		}
	}
	p := made.Picker()
	return func(r *Row) bool {
		yes, later := p.Pick(r.Connection())
		return yes && (later == nil || later(r.ID, 0))
	}, nil
}

// fedFormat hands a run's connections to a Feed.
type fedFormat struct {
	pipeline.Discard
	feed *Feed
}

func (f fedFormat) Needs() report.Needs { return report.Needs{Names: true, Events: true} }

func (f fedFormat) Encode(_ *report.Buffer, c *report.Connection) { f.feed.Seen(c) }

// feed runs a capture into a Feed as if it were live and over.
func feed(t *testing.T, path string) *Feed {
	t.Helper()
	cfg, err := captured{path: path}.config()
	if err != nil {
		t.Fatal(err)
	}
	defer cfg.Source.Close()
	f := NewFeed(FeedOptions{Title: "eth0", Match: matchRows})
	cfg.Format, cfg.Output, cfg.Each = fedFormat{feed: f}, io.Discard, f.Settled
	sum, err := pipeline.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, last, _ := sum.Span()
	f.Now(State{At: last, Started: true, Inputs: sum.Inputs})
	return f
}

// TestFeedSaysWhatAFileSays compares what a run has told with what the same capture is
// when it is read: connections, listeners, sums and incidents.
func TestFeedSaysWhatAFileSays(t *testing.T) {
	file, err := captured{path: mixed}.Load(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := feed(t, mixed)
	live, err := f.Load(t.Context(), "", &Progress{})
	if err != nil {
		t.Fatal(err)
	}
	if len(live.Rows) != len(file.Rows) {
		t.Fatalf("%d rows, the file has %d", len(live.Rows), len(file.Rows))
	}
	for i := range live.Rows {
		if a, b := fmt.Sprintf("%+v", live.Rows[i]), fmt.Sprintf("%+v", file.Rows[i]); a != b {
			t.Fatalf("row %d:\n%s\nthe file has\n%s", i, a, b)
		}
	}
	for _, l := range live.Listeners {
		i := slices.IndexFunc(file.Listeners, func(x Listener) bool { return x.Server == l.Server })
		if i < 0 || file.Listeners[i].Connections != l.Connections || file.Listeners[i].RTT.Percentile(95) != l.RTT.Percentile(95) {
			t.Errorf("listener %s: %d connections", l.Server, l.Connections)
		}
	}
	if a, b := fmt.Sprint(live.Summary.Outcomes, live.Summary.Reasons, live.Summary.Census), fmt.Sprint(file.Summary.Outcomes, file.Summary.Reasons, file.Summary.Census); a != b {
		t.Errorf("counts %s, the file has %s", a, b)
	}
	texts := func(s *Snapshot) (all []string) {
		for _, m := range append(s.Summary.Matters(), s.Summary.Minor()...) {
			all = append(all, m.ID+": "+m.Text)
		}
		return all
	}
	if a, b := texts(live), texts(file); !slices.Equal(a, b) {
		t.Errorf("what happened:\n%s\nthe file has\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	// And each connection is drawn alike, but for its segments, of which a run keeps the
	// log alone.
	life, err := f.Life(t.Context(), &live.Rows[73], &Progress{})
	if err != nil || life.UID != live.Rows[73].UID || len(life.Findings) != len(live.Rows[73].found) {
		t.Errorf("life of connection %d: %v, %v", live.Rows[73].ID, life, err)
	}
}

// TestFeedFilters compares filters over rows with the same over the file.
func TestFeedFilters(t *testing.T) {
	f := feed(t, mixed)
	for _, filter := range []string{"server.port == 5432", `close.reason == "refused"`, `finding("warning")`, `final.server == "CLOSE_WAIT"`, "duration > 5", "id < 10",
		`host("10.0.0.7") && outcome == "success"`, `close.closer == "server" && close.by == "fin"`, "handshake.rtt > 0.1", "open", `known(handshake.rtt)`,
		"len(findings) > 1", "bytes.client + bytes.server > 600", `cidr(client.ip, "10.0.0.0/29")`, "duration > 100000"} {
		t.Run(filter, func(t *testing.T) {
			if err := f.Check(filter); err != nil {
				t.Fatal(err)
			}
			file, err := captured{path: mixed}.Load(t.Context(), filter, nil)
			if err != nil {
				t.Fatal(err)
			}
			live, err := f.Load(t.Context(), filter, &Progress{})
			if err != nil {
				t.Fatal(err)
			}
			ids := func(s *Snapshot) (all []uint64) {
				for i := range s.Rows {
					all = append(all, s.Rows[i].ID)
				}
				return all
			}
			if a, b := ids(live), ids(file); !slices.Equal(a, b) {
				t.Errorf("connections %v, the file has %v", a, b)
			}
			if live.Summary.Connections != file.Summary.Connections || live.Summary.All() != file.Summary.All() {
				t.Errorf("%d of %d, the file has %d of %d", live.Summary.Connections, live.Summary.All(), file.Summary.Connections, file.Summary.All())
			}
		})
	}
	for _, filter := range []string{`dwell("server", "CLOSE_WAIT") > 1`, "retransmits.client > 0"} {
		if f.Check(filter) == nil {
			t.Errorf("%s is taken, and rows cannot know", filter)
		}
	}
}

// TestFeedGoesOn watches a connection that is open, closes and is over.
func TestFeedGoesOn(t *testing.T) {
	file, err := captured{path: mixed}.Load(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := captured{path: mixed}.Life(t.Context(), &file.Rows[73], nil)
	if err != nil {
		t.Fatal(err)
	}
	row := file.Rows[73]
	f := NewFeed(FeedOptions{Title: "eth0", Match: matchRows, Every: time.Hour})
	s := &screens{t, New(f, Options{}), make(chan tea.Msg, 100)}
	s.do(s.load("", false))
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	open := row
	open.States, open.HasState = [2]reassembly.State{reassembly.Established, reassembly.Established}, [2]bool{true, true}
	open = OpenRow(open, reassembly.RoleBySYN, nil)
	at := row.Start + wire.Time(time.Second)
	state := func(rows ...Row) State {
		at += wire.Time(time.Second)
		return State{At: at, Started: true, Open: rows, Inputs: []report.Input{{Info: capture.Info{Frames: 10}, First: row.Start, Last: at}}}
	}
	f.Now(state(open))
	s.settle()
	s.wants("1 still open")
	s.press("2")
	s.wants("ESTABLISHED ESTABLISHED", "2s", "unknown, open-at-end, handshake complete")
	// Into its life, which comes with a later state.
	_, c := s.Update(keyOf("enter"))
	s.do(c)
	for f.Wanted() == 0 {
		time.Sleep(time.Millisecond) // the goroutine that asks has not begun
	}
	if f.Wanted() != row.ID {
		t.Fatalf("wanted is %d, not %d", f.Wanted(), row.ID)
	}
	with := state(open)
	with.Lives = map[uint64]*report.Connection{row.ID: &whole.Connection}
	f.Now(with)
	s.settle()
	s.wants("Connection #74", "It has not settled: what is said of it may change.")
	// It has settled.
	f.Seen(&whole.Connection)
	d := row.digest()
	f.Settled(row.ID, &d)
	f.Now(state())
	if r := s.top().(*lifePage).renew(s.Model); r != nil {
		s.do(r)
	}
	s.settle()
	s.lacks("It has not settled")
	s.wants("Close:", "abort-unread")
	s.press("q")
	s.do(s.load("", true))
	s.settle()
	s.wants("CLOSED", "1/1")
	f.Over()
	s.do(s.load("", true))
	s.settle()
	s.wants("the source has ended")
	// One of which nothing was kept is not drawn.
	if _, err := f.Life(context.Background(), &Row{ID: 5, UID: "gone"}, &Progress{}); err == nil || !strings.Contains(err.Error(), "connection 5 is over") {
		t.Errorf("a life that was not kept: %v", err)
	}
}

// TestFeedIsBounded settles many connections of few kinds: as many are kept as the
// bounds say, the latest of each.
func TestFeedIsBounded(t *testing.T) {
	f := NewFeed(FeedOptions{})
	const n = 5 * feedRows
	for id := uint64(1); id <= n; id++ {
		d := report.Digest{UID: fmt.Sprint(id), Reason: reassembly.CloseOrderly}
		if id%1000 == 0 {
			d.Reason = reassembly.CloseRefused
		}
		f.Settled(id, &d)
	}
	f.Now(State{})
	s, err := f.Load(t.Context(), "", &Progress{})
	if err != nil {
		t.Fatal(err)
	}
	if k := len(s.Rows); k > 2*feedRows || uint64(k)+s.Left != n || s.Summary.Connections != n {
		t.Errorf("%d rows and %d left of %d", k, s.Left, s.Summary.Connections)
	}
	refused := 0
	for i := range s.Rows {
		if s.Rows[i].Reason == reassembly.CloseRefused {
			refused++
		}
	}
	if refused != n/1000 {
		t.Errorf("%d of %d refused ones are left", refused, n/1000)
	}
	if last := s.Rows[len(s.Rows)-1].ID; last != n {
		t.Errorf("the last one is %d", last)
	}
}

// TestSeriesCoarsens adds counts for a long time: the points stay few, in order, and no
// peak is lost.
func TestSeriesCoarsens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var s Series
		every, in := 1, 0
		n := rapid.IntRange(1, 20*seriesPoints).Draw(r, "points")
		high := rapid.IntRange(0, n-1).Draw(r, "peak")
		for i := range n {
			var c census.Counts
			c[reassembly.Established] = uint64(i % 7)
			if i == high {
				c[reassembly.CloseWait] = 99
			}
			s.add(wire.Time(i), c, &every, &in)
		}
		if len(s.At) > 2*seriesPoints || !slices.IsSorted(s.At) || s.Peak[reassembly.CloseWait] != 99 {
			r.Fatalf("%d points, peak %d", len(s.At), s.Peak[reassembly.CloseWait])
		}
		i, found := slices.BinarySearch(s.At, wire.Time(high))
		if !found {
			i--
		}
		if s.Counts[i][reassembly.CloseWait] != 99 {
			r.Errorf("the peak at %d is not in the point from %d", high, s.At[i])
		}
	})
}
