package ui

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/selection"
)

// wants fails unless the screen holds all texts, in that order.
func (s *screens) wants(texts ...string) {
	s.t.Helper()
	rest := ansi.Strip(s.screen())
	for _, text := range texts {
		i := strings.Index(rest, text)
		if i < 0 {
			s.t.Fatalf("the screen lacks %q (or has it before the one before):\n%s", text, ansi.Strip(s.screen()))
		}
		rest = rest[i+len(text):]
	}
}

func (s *screens) lacks(text string) {
	s.t.Helper()
	if strings.Contains(ansi.Strip(s.screen()), text) {
		s.t.Fatalf("the screen has %q:\n%s", text, ansi.Strip(s.screen()))
	}
}

// TestFirstScreenAnswers looks at the first screen as somebody in a hurry does: on the
// smallest terminal in use it must say what is wrong, where, when, how sure that is and
// what to do, without a key.
func TestFirstScreenAnswers(t *testing.T) {
	s := show(t, captured{path: mixed}, 80, 24)
	s.wants("178 connections", "143 ended well, 21 failed, 14 still open",
		"> error   close-wait-leak", "10.0.0.2:8080 does not close", "error   closed-all-at-once", "warning lossy-path", "warning service-unreachable",
		"A program does not close its connections", "Who ", "10.0.0.2:8080", "When ", "12:02:09", "What ", "How sure ", "likely", "What to do ", "? help")
	s.press("down")
	s.wants("> error   closed-all-at-once", "A host ended all its connections at once", "Who ", "10.0.0.3:5432")
	s.press("enter")
	s.wants("closed-all-at-once (error)", "With it", "service-unreachable 10", "q back")
	s.press("e")
	s.wants("tcplife explain closed-all-at-once", "what is to be said of closed-all-at-once")
	s.press("q", "q")
	s.wants("[1 What happened]")
}

// TestNothingWentWrong says so, and what there is to know all the same.
func TestNothingWentWrong(t *testing.T) {
	s := show(t, captured{path: "../testdata/pcaps/clean-close-three.pcap"}, 80, 24)
	s.wants("1 connection", "1 ended well", "Nothing went wrong that tcplife knows of.", "Worth knowing:", "three-segment-close")
}

// TestConcerned follows every matter of the captures of incidents to its connections:
// there must be some, and no more than the capture has.
func TestConcerned(t *testing.T) {
	paths, _ := filepath.Glob("../testdata/pcaps/incidents/*.pcap")
	more, _ := filepath.Glob("../testdata/pcaps/*.pcap.gz")
	if len(paths) == 0 || len(more) == 0 {
		t.Fatal("no captures of incidents")
	}
	for _, path := range append(paths, more...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			s := show(t, captured{path: path}, 80, 24)
			all := s.snap.Summary.Connections
			for i := range s.matters.all {
				x := &s.matters.all[i]
				filter := concerned(x)
				if _, err := selection.New(&selection.Wish{Filters: []string{filter}}); err != nil {
					t.Fatalf("%s: %v", x.ID, err)
				}
				snap, err := captured{path: path}.Load(t.Context(), filter, nil)
				if err != nil {
					t.Fatal(err)
				}
				if n := snap.Summary.Connections; n == 0 || n > all {
					t.Errorf("%s: %s gives %d connections of %d", x.ID, filter, n, all)
				}
			}
		})
	}
}

// TestFilter types a filter, sees what is wrong with it in place, mends it, and takes it
// away again.
func TestFilter(t *testing.T) {
	s := show(t, captured{path: mixed}, 80, 24)
	s.press("2")
	s.wants("1/178")
	s.press("/")
	s.typed(`server.prt == 5432`)
	s.press("enter")
	s.wants("filter: server.prt == 5432", "did you mean server.port?")
	if s.prompt == nil {
		t.Fatal("the prompt is gone though the filter is wrong")
	}
	s.press("ctrl+e", "ctrl+u")
	s.typed(`server.port == 5432 && close.reason == "refused"`)
	s.press("enter")
	s.wants(`only: server.port == 5432 && close.reason == "refused"`, "10.0.0.3:5432", "1/10")
	for _, r := range s.snap.Rows {
		if r.Tuple.DstPort != 5432 || r.Reason.String() != "refused" {
			t.Errorf("connection %d does not fit the filter: port %d, %s", r.ID, r.Tuple.DstPort, r.Reason)
		}
	}
	s.press("1")
	s.wants("10 of 178: 10 failed")
	// What was typed before comes again.
	s.press("/", "ctrl+u", "up")
	s.wants(`filter: server.port == 5432 && close.reason == "refused"`)
	s.press("esc", "esc")
	s.lacks("only:")
	s.press("2")
	s.wants("1/178")
	// A filter that nothing fits.
	s.press("/")
	s.typed("duration > 100000")
	s.press("enter")
	s.wants("None of the 178 connections fits.")
	for _, k := range []string{"1", "3", "4", "5", "2", "enter", "e", "s", "r", "down"} {
		s.press(k)
		s.wants("only: duration > 100000")
	}
}

// TestWords says what a word alone stands for.
func TestWords(t *testing.T) {
	for word, want := range map[string]string{
		"10.0.0.1": `host("10.0.0.1")`, "2001:db8::1": `host("2001:db8::1")`, "10.0.0.0/8": `net("10.0.0.0/8")`,
		"10.0.0.1:443": `host("10.0.0.1") && port(443)`, "[2001:db8::1]:443": `host("2001:db8::1") && port(443)`, "443": "port(443)",
		"abort": `finding("abort")`, "Warning": `finding("warning")`, "refused": `close.reason == "refused"`,
		"time-wait": `final.client == "TIME_WAIT" || final.server == "TIME_WAIT"`, "": "", "duration > 5": "duration > 5", "70000": "70000",
	} {
		got := expand(word)
		if got != want {
			t.Errorf("%q stands for %s, want %s", word, got, want)
		}
		if got != word {
			if _, err := selection.New(&selection.Wish{Filters: []string{got}}); err != nil {
				t.Errorf("%q stands for %s: %v", word, got, err)
			}
		}
	}
}

// TestLife goes into a connection, to the explanation of its findings, and to its
// neighbours.
func TestLife(t *testing.T) {
	s := show(t, captured{path: mixed}, 80, 24)
	s.press("/")
	s.typed("5432")
	s.press("enter", "2")
	s.wants("only: port(5432)", "> W  74 10.0.0.2:35028 10.0.0.3:5432", "abort (warning)")
	s.press("enter")
	s.wants("Connection #74: 10.0.0.2:35028 > 10.0.0.3:5432  [abort]", "Close:", "abort-unread")
	s.press("G")
	s.wants("server", "Flags:", "(END)")
	s.press("/")
	s.typed("established")
	s.press("enter")
	s.wants("---- established")
	s.press("tab")
	s.wants("[unacknowledged-tail]")
	s.press("e")
	s.wants("tcplife explain unacknowledged-tail")
	s.press("esc", "]")
	s.wants("Connection #76: 10.0.0.2:42947 > 10.0.0.3:5432")
	s.press("[", "[")
	s.wants("no further connection")
	s.press("esc")
	s.wants("[2 Connections]", "> W  74")
	s.press("e")
	s.wants("tcplife explain abort")
}

// TestOrder puts the connections in the order of every column, and turns it round.
func TestOrder(t *testing.T) {
	s := show(t, captured{path: mixed}, 200, 50)
	s.press("2")
	worth := func(a, b *Row) int { return cmp.Compare(a.worth(), b.worth()) }
	if !slices.IsSortedFunc(s.connections.order, worth) {
		t.Error("what is worth a look does not come first")
	}
	seen := map[int]bool{}
	for range colCount {
		s.press("s")
		by := s.connections.by
		seen[by] = true
		for _, turned := range []bool{false, true} {
			order := func(a, b *Row) int {
				n := columns[by].compare(s.snap.Now, a, b)
				if columns[by].largest != turned {
					n = -n
				}
				return n
			}
			if !slices.IsSortedFunc(s.connections.order, order) {
				t.Errorf("by %s, turned %t: not in order", columns[by].head, turned)
			}
			s.wants(columns[by].head + map[bool]string{true: "v", false: "^"}[columns[by].largest != turned])
			s.press("r")
		}
	}
	if len(seen) != colCount {
		t.Errorf("s came to %d columns of %d", len(seen), colCount)
	}
	s.press("s")
	if s.connections.by != byWorth {
		t.Error("behind the last column, s does not come back to what is worth a look")
	}
}

// TestListenersAndCensus compares with what the script of the capture says
// (testdata/traffic/mixed.txt).
func TestListenersAndCensus(t *testing.T) {
	s := show(t, captured{path: mixed}, 120, 30)
	of := map[string]*Listener{}
	for i := range s.snap.Listeners {
		of[s.snap.Listeners[i].Server.String()] = &s.snap.Listeners[i]
	}
	for _, x := range []struct {
		server                      string
		conns, refused, resets, out uint64
		byClient, byServer          uint64
	}{
		{"10.0.0.1:443", 64, 0, 0, 0, 44, 20},
		{"10.0.0.2:8080", 47, 0, 0, 14, 47, 0},
		{"10.0.0.3:5432", 42, 10, 6, 0, 26, 6},
		{"10.0.0.4:25", 20, 0, 0, 0, 20, 0},
		{"10.0.0.5:6379", 5, 5, 0, 0, 0, 0},
	} {
		l := of[x.server]
		if l == nil {
			t.Fatalf("no listener %s", x.server)
		}
		if l.Connections != x.conns || l.Refused != x.refused || l.Resets != x.resets || l.Open != x.out || l.ClosedBy != [2]uint64{x.byClient, x.byServer} {
			t.Errorf("%s: %d connections, %d refused, %d resets, %d open, closed by %v; want %+v", x.server, l.Connections, l.Refused, l.Resets, l.Open, l.ClosedBy, x)
		}
		if l.Answered+l.Refused+l.Unanswered != l.Connections {
			t.Errorf("%s: %d answered, %d refused and %d unanswered of %d", x.server, l.Answered, l.Refused, l.Unanswered, l.Connections)
		}
	}
	s.press("3")
	s.wants("> 10.0.0.1:443")
	s.press("s", "s")
	s.wants("refusedv", "> 10.0.0.3:5432")
	s.press("enter")
	s.wants(`only: server.ip == "10.0.0.3" && server.port == 5432`, "1/42")
	s.press("esc", "4")
	s.wants("12:02:09.026", "all endpoints", "CLOSE_WAIT        14      15")
	s.press("L")
	s.wants("the endpoints of 10.0.0.1:443")
	s.press("left")
	s.lacks("12:02:09.026:")
	s.press("right", "end")
	s.wants("12:02:09.026:")
}

// TestCensusEnd compares the census's last point with the summary's count of final
// states, which the report prints.
func TestCensusEnd(t *testing.T) {
	paths, _ := filepath.Glob("../testdata/pcaps/*.pcap*")
	for _, path := range paths {
		snap, err := captured{path: path}.Load(t.Context(), "", nil)
		if err != nil || !snap.Any {
			continue
		}
		end := snap.Census.Counts[len(snap.Census.Counts)-1]
		for _, st := range censusStates[1:] {
			if want := snap.Summary.Census[0][st] + snap.Summary.Census[1][st]; end[st] != want {
				t.Errorf("%s: %d endpoints in %s at the end, and the summary has %d", path, end[st], st, want)
			}
		}
		if !slices.IsSorted(snap.Census.At) {
			t.Errorf("%s: the census's instants are not in order", path)
		}
	}
}

// TestCollectorKeepsEachKind keeps few connections of many: some of each kind.
func TestCollectorKeepsEachKind(t *testing.T) {
	all, err := captured{path: mixed}.Load(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for i := range all.Rows {
		kinds[all.Rows[i].kind()]++
	}
	for _, limit := range []int{len(kinds), 20, 50, 177, 178, 1000} {
		some, err := captured{path: mixed, limit: limit}.Load(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(some.Rows); n > limit || uint64(n)+some.Left != 178 || n < min(limit, 178)-len(kinds) {
			t.Errorf("limit %d: %d rows and %d left of 178", limit, n, some.Left)
		}
		left := map[string]int{}
		for i := range some.Rows {
			left[some.Rows[i].kind()]++
		}
		if len(left) != len(kinds) {
			t.Errorf("limit %d: %d kinds of %d are left: %v", limit, len(left), len(kinds), left)
		}
	}
}

// slow is a Source that answers when it is told to.
type slow struct {
	captured
	go_  chan struct{}
	fail error
}

func (s *slow) Load(ctx context.Context, filter string, p *Progress) (*Snapshot, error) {
	p.Say(func() string { return "half of it is read" })
	select {
	case <-s.go_:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.fail != nil {
		return nil, s.fail
	}
	return s.captured.Load(ctx, filter, p)
}

// TestReading says how far the reading is, and stops it when the user asks.
func TestReading(t *testing.T) {
	src := &slow{captured: captured{path: mixed}, go_: make(chan struct{})}
	s := &screens{t, New(src, Options{}), make(chan tea.Msg, 100)}
	s.do(s.Init())
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	for !strings.Contains(s.screen(), "half of it is read") {
		time.Sleep(time.Millisecond) // the goroutine that reads has not begun
	}
	for _, k := range []string{"2", "enter", "/", "tab", "down", "esc", "e"} {
		s.Update(keyOf(k)) // nothing to show yet
	}
	s.wants("half of it is read")
	src.go_ <- struct{}{}
	s.settle()
	s.wants("178 connections")
	// Another filter, given up before it is there; its answer comes too late.
	s.Update(keyOf("/"))
	for _, r := range "443" {
		s.Update(keyOf(string(r)))
	}
	_, c := s.Update(keyOf("enter"))
	s.do(c)
	s.lacks("only:")
	s.press("esc")
	s.wants("178 connections", "stopped")
	// An error of a later reading is told; what there was stays.
	src.fail = errors.New("the disk is gone")
	s.Update(keyOf("/"))
	s.Update(keyOf("4"))
	_, c = s.Update(keyOf("enter"))
	s.do(c)
	src.go_ <- struct{}{}
	s.settle()
	s.wants("178 connections", "the disk is gone")
	if s.Err() != nil {
		t.Error("a later error ends the program")
	}
}

// TestFirstReadingFails ends the program with the source's error.
func TestFirstReadingFails(t *testing.T) {
	s := show(t, captured{path: "no such file"}, 80, 24)
	if s.Err() == nil || !s.quit {
		t.Errorf("error %v, quit %t", s.Err(), s.quit)
	}
}

// TestQuit ends from everywhere.
func TestQuit(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"Q"}, {"ctrl+c"}, {"2", "enter", "e", "Q"}, {"/", "a", "ctrl+c"}, {"?", "q", "q"}, {"2", "enter", "q", "q"}} {
		s := show(t, captured{path: "../testdata/pcaps/abort.pcap"}, 80, 24)
		for i, k := range keys {
			if s.quit {
				t.Fatalf("%q: over before key %d", keys, i)
			}
			s.press(k)
		}
		if !s.quit {
			t.Errorf("%q: not over", keys)
		}
	}
}

// TestWithoutColors draws every screen without a colour, with letters of ASCII alone, and
// with the cursor to be seen all the same.
func TestWithoutColors(t *testing.T) {
	s := show(t, captured{path: mixed}, 80, 24)
	s.o.Report.ASCII = true
	for _, k := range []string{"1", "enter", "e", "q", "q", "2", "enter", "q", "3", "4", "5", "?"} {
		s.press(k)
		screen := s.screen()
		plain := strings.ReplaceAll(strings.ReplaceAll(screen, "\x1b[7m", ""), "\x1b[0m", "")
		if i := strings.IndexFunc(plain, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
			t.Errorf("after %s: %q", k, plain[i:min(i+20, len(plain))])
		}
	}
	s.press("q", "2")
	s.wants("\n> ")
}

// TestHelpNamesEveryKey opens the help from everywhere, and finds the keys in it.
func TestHelpNamesEveryKey(t *testing.T) {
	s := show(t, captured{path: mixed}, 200, 100)
	s.press("2", "enter", "?")
	for _, x := range Keys {
		s.wants(x.Title)
		for _, k := range x.Keys {
			s.wants(k[0])
		}
	}
	s.press("esc")
	s.wants("Connection #")
}

// still is a Source that has everything already.
type still struct {
	captured
	snap *Snapshot
	life *Life
}

func (s still) Load(_ context.Context, filter string, _ *Progress) (*Snapshot, error) {
	if filter == "" {
		return s.snap, nil
	}
	return &Snapshot{Title: s.snap.Title, Summary: s.snap.Summary}, nil
}
func (s still) Life(context.Context, *Row, *Progress) (*Life, error) { return s.life, nil }

// TestAnyKeys presses keys at random in terminals of any size: nothing panics, no line is
// wider than the terminal, and there are no more lines than it has.
func TestAnyKeys(t *testing.T) {
	var sources []still
	for _, path := range []string{mixed, "../testdata/pcaps/abort.pcap", "../testdata/pcaps/incidents/syn-flood.pcap", "../testdata/pcaps/kernel-v6-simultaneous-open.pcap"} {
		snap, err := captured{path: path}.Load(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		life, err := captured{path: path}.Life(t.Context(), &snap.Rows[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, still{captured{path: path}, snap, life})
	}
	keys := []string{"q", "Q", "?", "/", "n", "N", "e", "c", "s", "S", "r", "L", "[", "]", "1", "2", "3", "4", "5", "j", "k", "g", "G", "a", "(", `"`, "ü", "世"}
	for k := range names {
		if k != "ctrl+c" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	rapid.Check(t, func(r *rapid.T) {
		src := rapid.SampledFrom(sources).Draw(r, "source")
		s := &screens{t, New(src, Options{Explain: explain}), make(chan tea.Msg, 100)}
		s.o.Report.Color = rapid.Bool().Draw(r, "color")
		s.do(s.load("", true))
		s.settle()
		size := func() {
			s.Update(tea.WindowSizeMsg{Width: rapid.IntRange(0, 230).Draw(r, "width"), Height: rapid.IntRange(0, 60).Draw(r, "height")})
		}
		size()
		for range rapid.IntRange(1, 30).Draw(r, "keys") {
			switch rapid.IntRange(0, 12).Draw(r, "what") {
			case 0:
				size()
			case 1:
				s.Update(tea.PasteMsg{Content: rapid.String().Draw(r, "pasted")})
			default:
				_, c := s.Update(keyOf(rapid.SampledFrom(keys).Draw(r, "key")))
				if m := s.loading; m != nil {
					m.quiet = true // nobody waits for the clock
				}
				s.do(c)
				s.settle()
			}
			v := s.View()
			if s.w == 0 || s.h == 0 || s.quit {
				continue
			}
			lines := strings.Split(v.Content, "\n")
			if len(lines) > s.h {
				r.Fatalf("%d lines in a terminal of %d:\n%s", len(lines), s.h, v.Content)
			}
			for _, l := range lines {
				if n := ansi.StringWidth(l); n > s.w {
					r.Fatalf("a line of %d columns in a terminal of %d: %q", n, s.w, l)
				}
			}
			if c := v.Cursor; c != nil && (c.X < 0 || c.X >= s.w || c.Y < 0 || c.Y >= s.h) {
				r.Fatalf("the cursor is at %d, %d in a terminal of %d columns and %d lines", c.X, c.Y, s.w, s.h)
			}
		}
	})
}
