package check_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/check"
	"github.com/tcplife/tcplife/internal/scenario"
	"github.com/tcplife/tcplife/selection"
)

// surveyed is the population of n connections, each by its number.
func surveyed(t *testing.T, n int, of func(i int) string, filters ...string) *check.Population {
	t.Helper()
	var b strings.Builder
	b.WriteString(healthy)
	for i := 2; i <= n; i++ {
		packets := of(i)
		b.WriteString("+0.100" + strings.NewReplacer("a > b", fmt.Sprintf("a:%d > b", i), "b > a", fmt.Sprintf("b > a:%d", i)).Replace(packets[strings.Index(packets, " "):]))
	}
	run, p, err := check.Survey(&selection.Wish{Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	read(t, "a.pcap", script(t, b.String(), scenario.Variant{}), run)
	p.Name = run.Result("a.pcap").Capture
	return p
}

func well(int) string { return healthy }

// every n-th connection is otherwise.
func every(n int, packets string) func(i int) string {
	return func(i int) string {
		if i%n == 0 {
			return packets
		}
		return healthy
	}
}

func TestDiff(t *testing.T) {
	abortedA := strings.NewReplacer("d > b", "a > b", "b > d", "b > a").Replace(aborted)
	slow := strings.Replace(healthy, "+0.010   b > a  S.", "+0.020   b > a  S.", 1)
	for _, x := range []struct {
		name        string
		before      func(i int) string
		after       func(i int) string
		changed     []string // what must be beyond noise, among others; nil for nothing
		came, never string
	}{
		{"nothing", well, well, nil, "", ""},
		{"one abort is noise", well, func(i int) string { return every(40, abortedA)(i) }, nil, "finding abort: 1 connection", ""},
		{"a third is aborted", well, every(3, abortedA), []string{"close abort", "closed first by server, RST"}, "finding abort: 19 connections", "round trip of the handshake"},
		{"round trips doubled", well, func(int) string { return slow }, []string{"round trip of the handshake", "round trip between tap and server"}, "", "close"},
	} {
		d := check.Diff(surveyed(t, 59, x.before), surveyed(t, 59, x.after), 0.01)
		var changed []string
		for _, c := range d.Comparisons[:d.Changed()] {
			changed = append(append(changed, c.What), c.Others...)
		}
		all := strings.Join(changed, "; ")
		if (x.changed == nil) != (len(changed) == 0) {
			t.Errorf("%s: changed: %s", x.name, all)
		}
		for _, want := range x.changed {
			if !strings.Contains(all, want) {
				t.Errorf("%s: %q is not among what changed: %s", x.name, want, all)
			}
		}
		if x.never != "" && strings.Contains(all, x.never) {
			t.Errorf("%s: %q changed: %s", x.name, x.never, all)
		}
		if came := strings.Join(d.Came, "; "); !strings.Contains(came, x.came) || x.came == "" && came != "" {
			t.Errorf("%s: came: %s", x.name, came)
		}
		// Turned around it is as sure, and what came went.
		back := check.Diff(d.After, d.Before, 0.01)
		if back.Changed() != d.Changed() || strings.Join(back.Went, "; ") != strings.Join(d.Came, "; ") {
			t.Errorf("%s: turned around, %d changed in place of %d", x.name, back.Changed(), d.Changed())
		}
		var text, js bytes.Buffer
		if err := d.Text(&text, true); err != nil {
			t.Fatal(err)
		}
		if err := d.JSON(&js); err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Changed     int
			Comparisons []struct{ Changed bool }
		}
		if err := json.Unmarshal(js.Bytes(), &doc); err != nil || doc.Changed != d.Changed() || len(doc.Comparisons) != len(d.Comparisons) {
			t.Errorf("%s: %v: %s", x.name, err, js.String())
		}
		if strings.Contains(text.String(), "Nothing changed") != (len(changed) == 0) {
			t.Errorf("%s:\n%s", x.name, text.String())
		}
	}
}

// A filter chooses the population.
func TestSurveyOfSome(t *testing.T) {
	p := surveyed(t, 30, well, "client.port > 40009")
	if p.Connections != 20 {
		t.Errorf("%d connections", p.Connections)
	}
	if _, _, err := check.Survey(&selection.Wish{Filters: []string{"nonsense"}}); err == nil {
		t.Error("an expression that means nothing is taken")
	}
}
