package ui

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

// TestShortEndpoint keeps the port, and as much of the address as tells hosts apart.
func TestShortEndpoint(t *testing.T) {
	for _, x := range []struct {
		of   string
		n    int
		want string
	}{
		{"10.0.0.1:443", 12, "10.0.0.1:443"},
		{"192.168.100.200:50000", 21, "192.168.100.200:50000"},
		{"192.168.100.200:50000", 20, "..168.100.200:50000"},
		{"192.168.100.200:50000", 16, "..100.200:50000"},
		{"[2001:db8::1]:443", 17, "[2001:db8::1]:443"},
		{"[2001:db8:1:2:3:4:5:6]:50000", 20, "[2001:..:5:6]:50000"},
	} {
		if got := shortEndpoint(netip.MustParseAddrPort(x.of), x.n); got != x.want {
			t.Errorf("%s in %d columns: %s, want %s", x.of, x.n, got, x.want)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "address")
		a, _ := netip.AddrFromSlice(bytes)
		if rapid.Bool().Draw(r, "IPv4") {
			a, _ = netip.AddrFromSlice(bytes[:4])
		}
		p := netip.AddrPortFrom(a, rapid.Uint16().Draw(r, "port"))
		n := rapid.IntRange(1, 50).Draw(r, "columns")
		got := shortEndpoint(p, n)
		if width(got) > n {
			r.Errorf("%s in %d columns: %s", p, n, got)
		}
		if len(p.String()) <= n && got != p.String() {
			r.Errorf("%s fits into %d columns, and is %s", p, n, got)
		}
		if n >= 14 && !strings.HasSuffix(got, ":"+strconv.Itoa(int(p.Port()))) {
			r.Errorf("%s in %d columns lost its port: %s", p, n, got)
		}
	})
}

// TestShortSpan fits into its column whatever comes, and does not say another duration.
func TestShortSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0us", 850 * time.Microsecond: "850us", 1500 * time.Microsecond: "1.5ms", 322 * time.Millisecond: "322ms", 2 * time.Second: "2s",
		8500 * time.Millisecond: "8.5s", 127 * time.Second: "2m07s", 3725 * time.Second: "1h02m", 120 * time.Hour: "5d", -1: "-",
	} {
		if got := shortSpan(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(100*365*24*time.Hour)).Draw(r, "duration"))
		if s := shortSpan(d); len(s) > 6 {
			r.Errorf("%s: %s", d, s)
		}
	})
}

// TestWrapText loses no word, and keeps to the width where words do.
func TestWrapText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`( {0,4}([a-z]{1,9} ){1,12}\n){1,5}`).Draw(r, "text")
		n := rapid.IntRange(14, 60).Draw(r, "columns")
		lines := wrapText(text, n)
		for _, l := range lines {
			if width(l) > n {
				r.Errorf("%q is wider than %d", l, n)
			}
		}
		if got, want := strings.Fields(strings.Join(lines, " ")), strings.Fields(text); fmt.Sprint(got) != fmt.Sprint(want) {
			r.Errorf("%q became %q", want, got)
		}
	})
}

// TestPager searches forwards and backwards, round the end.
func TestPager(t *testing.T) {
	var p pager
	for i := range 100 {
		p.lines = append(p.lines, fmt.Sprintf("line %d", i))
	}
	p.view(10)
	p.find = "line 5"
	for _, want := range []int{5, 50, 51} {
		if !p.search(1) || p.top != want {
			t.Errorf("at %d, want %d", p.top, want)
		}
	}
	if !p.search(-1) || p.top != 50 {
		t.Errorf("backwards at %d", p.top)
	}
	p.find = "nowhere"
	if p.search(1) {
		t.Error("found what is not there")
	}
	p.key("G")
	p.view(10)
	if p.top != 90 || p.place() != "(END)" {
		t.Errorf("the end is at %d, %q", p.top, p.place())
	}
	// Who is at the end stays there when lines come.
	p.set(append(p.lines, "new"))
	if l := p.view(10); l[len(l)-1] != "new" {
		t.Errorf("the last line is %q", l[len(l)-1])
	}
	p.key("g")
	if p.top != 0 {
		t.Errorf("the beginning is at %d", p.top)
	}
}

// TestPrompt edits a line as shells do.
func TestPrompt(t *testing.T) {
	var history []string
	var got string
	p := newPrompt("> ", "", &history, func(s string) error {
		if s == "bad" {
			return errors.New("this is bad")
		}
		got = s
		return nil
	})
	keys := func(all ...string) (over bool) {
		for _, k := range all {
			text := ""
			if len(k) == 1 {
				text = k
			}
			over = p.key(k, text)
		}
		return over
	}
	keys("b", "a", "d")
	if keys("enter") || p.err == "" {
		t.Error("a wrong text closes the prompt")
	}
	if lines, _ := p.view(20); strings.Join(lines, "|") != "> bad|this is bad" {
		t.Errorf("%q", lines)
	}
	keys("left", "left", "delete", "o", "home", "x", "end", "ctrl+w")
	if string(p.text) != "" {
		t.Errorf("%q is left", string(p.text))
	}
	p.insert("a b\nc\x1b[31m")
	if want := "a b c[31m"; string(p.text) != want {
		t.Errorf("pasted: %q, want %q", string(p.text), want)
	}
	if !keys("ctrl+a", "right", "ctrl+k", "enter") || got != "a" || len(history) != 1 {
		t.Errorf("took %q, history %q", got, history)
	}
	p = newPrompt("> ", "", &history, p.done)
	keys("n", "up")
	if string(p.text) != "a" {
		t.Errorf("up gives %q", string(p.text))
	}
	keys("down")
	if string(p.text) != "n" {
		t.Errorf("down gives %q", string(p.text))
	}
	if !keys("backspace", "backspace") {
		t.Error("backspace in an empty line does not close it")
	}
	rapid.Check(t, func(r *rapid.T) {
		p := newPrompt("filter: ", rapid.String().Draw(r, "text"), nil, func(string) error { return errors.New(strings.Repeat("wrong ", 40)) })
		p.key("enter", "")
		p.column = rapid.IntRange(0, 10).Draw(r, "column")
		w := rapid.IntRange(1, 60).Draw(r, "columns")
		lines, cursor := p.view(w)
		if cursor < 0 || cursor >= w && w > 0 {
			r.Errorf("the cursor is at %d of %d", cursor, w)
		}
		if n := ansi.StringWidth(lines[0]); n > w {
			r.Errorf("%d columns of %d", n, w)
		}
	})
}
