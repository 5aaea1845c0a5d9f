package report

import (
	"bytes"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                           "plain",
		"":                                "",
		"a\x1b[31mb":                      `a\x1b[31mb`,
		"a\r\nb\tc":                       `a\r\nb\tc`,
		"\u009b31m":                       `\u009b31m`,
		"\x9b31m":                         `\x9b31m`,
		"\u202egnp.exe":                   `\u202egnp.exe`,
		"\u2066\u200b\ufeff":              `\u2066\u200b\ufeff`,
		"\U000e0041":                      `\U000e0041`,
		"日本語.pcap":                        "日本語.pcap",
		"é e\u0301":                       "é e\u0301",
		"e" + strings.Repeat("\u0301", 9): "e" + strings.Repeat("\u0301", 4) + strings.Repeat(`\u0301`, 5),
		"\x7f\x00":                        `\x7f\x00`,
		"\ufffd\xff":                      "\ufffd" + `\xff`,
		"\u2028":                          `\u2028`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestShortName(t *testing.T) {
	long := strings.Repeat("long/", 100) + "end.pcap"
	got := shortName(long)
	if columns(got) > maxName || !strings.HasPrefix(got, "long/") || !strings.HasSuffix(got, "end.pcap") || !strings.Contains(got, " ... ") {
		t.Errorf("%q has %d columns", got, columns(got))
	}
	if wide := shortName(strings.Repeat("語", 200)); columns(wide) > maxName {
		t.Errorf("%d columns", columns(wide))
	}
	if got := shortName("a.pcap"); got != "a.pcap" {
		t.Error(got)
	}
}

// ownColors are the escape sequences that reports use.
var ownColors = regexp.MustCompile("\x1b\\[(0|1|2|33|36|94|1;31)m")

// steers returns what in a report would steer a terminal, break a line or turn its
// direction; nil for nothing.
func steers(out []byte, color bool, tabs bool) []byte {
	if color {
		out = ownColors.ReplaceAll(out, nil)
	}
	for i := 0; i < len(out); {
		r, n := utf8.DecodeRune(out[i:])
		if r == utf8.RuneError && n == 1 || control(r) && r != '\n' && !(tabs && r == '\t') {
			return out[max(i-20, 0):min(i+20, len(out))]
		}
		i += n
	}
	return nil
}

// hostile is a document in which every text that a capture, a name or a damaged file
// can carry is s.
func hostile(s string) *testDocument {
	d := documents()[3]
	d.steps = nil
	c := lostFinalACK()
	c.Capture, c.Encap, c.CommunityID = s, []string{s, "vlan:1"}, s
	c.Findings = []finding.Finding{{Rule: ruleLostACK, Catalogue: "C05b", Severity: finding.Warning, Message: s, Falsify: s, Frames: c.Findings[0].Frames}}
	d.steps = append(d.steps, step{1, c, nil}, step{0, nil, &Late{Capture: s, UID: s, Encap: []string{s}, Tuple: c.Tuple}})
	for i := range d.inputs {
		in := &d.inputs[i]
		in.Name = s
		in.Interfaces = []capture.Interface{{Name: s, Description: s, Resolution: 1e9}}
		in.Damage = []*capture.DamageError{{Name: s, What: s, Remedy: s, Packing: s}}
	}
	for i := range d.incidents {
		in := &d.incidents[i]
		in.Message, in.Reason, in.Falsify, in.UIDs, in.Scope.Encap = s, s, s, []string{s}, []string{s, "vlan:1"}
	}
	d.options.Inputs = []string{s, s}
	d.options.Name = s
	return &d
}

// hostileTexts are what the fuzzing begins with.
var hostileTexts = []string{
	"\x1b[2J\x1b]0;title\x07", "\x9b31m\u009b0m", "\u202eabc\u2066", "\r\n\v\f\b\x00", "e\u0301\u0301\u0301\u0301\u0301\u0301", "日本語", "\xff\xfe", "\U000e0001\ufeff\u200d",
	`","x":"`, "a|b`c\\", "=cmd()", strings.Repeat("x", 700), "\x1b[31m" + strings.Repeat("語", 100),
}

// outlet is one way to print a document in which every text is hostile.
type outlet struct {
	name        string
	color, tabs bool // whether it has colours, whether tabs part its columns
	print       func(out *bytes.Buffer, s string, o *Options) error
}

func outlets(t testing.TB) (all []outlet) {
	add := func(name, format string, open func(o *Options) (Format, error)) {
		all = append(all, outlet{name + format, format == "text", format == "tsv", func(out *bytes.Buffer, s string, o *Options) error {
			fm, err := open(o)
			if err != nil {
				return err
			}
			d := hostile(s)
			d.options.Color, d.options.Width, d.options.ASCII, d.options.All = o.Color, o.Width, o.ASCII, true
			return d.printInto(out, fm, &Summary{Selection: []string{s}, Unread: []capture.Unread{{Name: s, Err: errors.New(s)}}})
		}})
	}
	for _, f := range Formats() {
		add("", f, func(*Options) (Format, error) { return New(f) })
	}
	keys, err := ParseGroup([]string{"capture", "encap"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range GroupFormats() {
		add("groups as ", f, func(*Options) (Format, error) { return NewGroups(f, &GroupOptions{Keys: keys}) })
	}
	for _, f := range CensusFormats() {
		add("census as ", f, func(*Options) (Format, error) { return NewCensus(f, &CensusOptions{Top: 3}) })
	}
	for _, f := range []string{"text", "json"} {
		add("inventory as ", f, func(*Options) (Format, error) { return NewInventory(f) })
	}
	return append(all, outlet{"timeline", true, false, func(out *bytes.Buffer, s string, o *Options) error {
		d := hostile(s)
		o.Inputs = d.options.Inputs
		return Timeline(out, d.steps[0].c, 1, nil, o)
	}})
}

// FuzzHostileText puts a text into every string that a capture can carry, and looks at
// all that is printed: it may be shown, and nothing in it may be obeyed. which chooses
// the output and the terminal: to print all of them each time would leave few tries.
func FuzzHostileText(f *testing.F) {
	all := outlets(f)
	screens := []Options{{}, {Color: true, Width: 80}, {ASCII: true, Width: 30}}
	for _, s := range hostileTexts {
		for which := range len(all) * len(screens) {
			f.Add(s, byte(which))
		}
	}
	f.Fuzz(func(t *testing.T, s string, which byte) {
		if len(s) > 1000 {
			return // names are cut long before
		}
		o := screens[int(which)%len(screens)]
		p := all[int(which)/len(screens)%len(all)]
		var out bytes.Buffer
		if err := p.print(&out, s, &o); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if bad := steers(out.Bytes(), p.color && o.Color, p.tabs); bad != nil {
			t.Fatalf("%s with %q: %q", p.name, s, bad)
		}
		if p.name == "text" && o.ASCII && bytes.ContainsFunc(out.Bytes(), func(r rune) bool { return r >= utf8.RuneSelf }) {
			t.Fatalf("%s with %q is not ASCII", p.name, s)
		}
	})
}

// The colours are told apart by all eyes: as people with either kind of red-green
// blindness, or blue-yellow blindness, see them, no two are alike. Words say the same in
// any case.
func TestColorsAreToldApart(t *testing.T) {
	// Those of xterm and of the Linux console, in both of which bold is bright, too.
	palettes := map[string]map[string][3]float64{
		"xterm": {red: {255, 0, 0}, yellow: {205, 205, 0}, cyan: {0, 205, 205}, blue: {92, 92, 255}, "": {229, 229, 229}},
		"vga":   {red: {255, 85, 85}, yellow: {170, 85, 0}, cyan: {0, 170, 170}, blue: {85, 85, 255}, "": {170, 170, 170}},
	}
	// Machado, Oliveira and Fernandes (2009), severity 1.0.
	eyes := map[string][9]float64{
		"ordinary":     {1, 0, 0, 0, 1, 0, 0, 0, 1},
		"protanopia":   {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
		"deuteranopia": {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
		"tritanopia":   {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900},
	}
	for p, colors := range palettes {
		for eye, m := range eyes {
			for a, x := range colors {
				for b, y := range colors {
					if a >= b || a == "" && b == cyan || b == "" {
						continue // info and plain text may look alike: neither is a warning
					}
					if d := distanceLab(see(m, x), see(m, y)); d < 15 {
						t.Errorf("%s: to eyes with %s %q and %q are %.0f apart, want 15", p, eye, a, b, d)
					}
				}
			}
		}
	}
}

// see returns a colour as eyes see it, in linear light.
func see(m [9]float64, c [3]float64) (out [3]float64) {
	var lin [3]float64
	for i, v := range c {
		v /= 255
		if v <= 0.04045 {
			lin[i] = v / 12.92
		} else {
			lin[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	for i := range out {
		out[i] = max(0, min(1, m[3*i]*lin[0]+m[3*i+1]*lin[1]+m[3*i+2]*lin[2]))
	}
	return out
}

// distanceLab is the distance of two colours in CIE L*a*b* (1976), where 2 can just be
// seen.
func distanceLab(x, y [3]float64) float64 {
	lab := func(c [3]float64) [3]float64 {
		f := func(v float64) float64 {
			if v > 0.008856 {
				return math.Cbrt(v)
			}
			return 7.787*v + 16.0/116
		}
		X := f((0.4124*c[0] + 0.3576*c[1] + 0.1805*c[2]) / 0.95047)
		Y := f(0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2])
		Z := f((0.0193*c[0] + 0.1192*c[1] + 0.9505*c[2]) / 1.08883)
		return [3]float64{116*Y - 16, 500 * (X - Y), 200 * (Y - Z)}
	}
	a, b := lab(x), lab(y)
	return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
}
