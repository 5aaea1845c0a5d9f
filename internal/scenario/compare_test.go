package scenario

import (
	"strings"
	"testing"
)

const compareScript = `A script for the comparison.
-- packets --
0.000    a > b     S   0:0(0)
+0.010   b > a     R.  0:0(0)         ack 1 {abs}
-- states --
a  SYN_SENT/sent@1 CLOSED  # by the RST
b  -
-- findings --
closed-port-reset any frames 1,2 H03
no late-data-reset
-- close --
reason refused
-- connections --
1 a > b 1-2 syn
`

// observed is what a right program says about compareScript.
func observed() *Observed {
	a, b := Endpoint{"a", 1}, Endpoint{"b", 1}
	return &Observed{Conns: []ObservedConn{{
		Client: a, Server: b, RoleBy: "syn", First: 1, Last: 2,
		Timelines: [2][]Step{{{"SYN_SENT", "sent", 1}, {"CLOSED", "passed", 2}}, nil},
		Findings: []ObservedFinding{
			{ID: "closed-port-reset", Catalogue: "H03", Severity: "warning", Confidence: "likely", Endpoint: "both", Frames: []int{1, 2}},
			{ID: "reset-provenance", Catalogue: "R01", Severity: "info", Confidence: "likely", Endpoint: "b", Frames: []int{2}},
		},
		Close: map[string][]string{"reason": {"refused"}},
	}}}
}

func TestCompare(t *testing.T) {
	s, err := Parse("t", []byte(compareScript))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*Observed)
		want   string // empty: no problem
	}{
		{"as expected", func(*Observed) {}, ""},
		{"other state", func(o *Observed) { o.Conns[0].Timelines[0][1].State = "ESTABLISHED" }, "t:6: states of a\nwant SYN_SENT/sent@1 CLOSED\ngot  SYN_SENT/sent@1 ESTABLISHED/passed@2"},
		{"other evidence", func(o *Observed) { o.Conns[0].Timelines[0][0].Evidence = "assumed" }, "t:6: states of a"},
		{"other frame", func(o *Observed) { o.Conns[0].Timelines[0][0].Frame = 2 }, "t:6: states of a"},
		{"evidence not asked for", func(o *Observed) { o.Conns[0].Timelines[0][1].Evidence = "acked" }, ""},
		{"states of nobody", func(o *Observed) { o.Conns[0].Timelines[1] = []Step{{"ESTABLISHED", "assumed", 1}} }, "t:7: states of b\nwant -\ngot  ESTABLISHED/assumed@1"},
		{"no connection", func(o *Observed) { o.Conns = nil }, "t:6: connection 1 with host a is expected, there are 0"},
		{"one more connection", func(o *Observed) { o.Conns = append(o.Conns, o.Conns[0]) }, "connection 2 (a > b, frames 1-2) is not expected"},
		{"other roles", func(o *Observed) { c := &o.Conns[0]; c.RoleBy = "guess" }, "want 1 a > b 1-2 syn\ngot  1 a > b 1-2 guess"},
		{"late segments", func(o *Observed) { o.Late = []ObservedLate{{First: 2, Last: 2}} }, "connections: want 1 and 0 late groups, got 1 and 1"},
		{"other reason", func(o *Observed) { o.Conns[0].Close["reason"] = []string{"abort"} }, "t:12: want reason refused\ngot  reason abort"},
		{"no finding", func(o *Observed) { o.Conns[0].Findings = nil }, "t:9: missing: closed-port-reset any frames 1,2 H03"},
		{"other frames", func(o *Observed) { o.Conns[0].Findings[0].Frames = []int{1} }, "t:9: missing"},
		{"unexpected warning", func(o *Observed) { o.Conns[0].Findings[1].Severity = "warning" }, "unexpected: 1 reset-provenance b frames 2 likely R01"},
		{"forbidden remark", func(o *Observed) { o.Conns[0].Findings[1].ID = "late-data-reset" }, "t:10: want no late-data-reset"},
		{"skipped frame", func(o *Observed) { o.Skipped = []string{"frame 1: malformed"} }, "no segment in frame 1: malformed"},
	} {
		o := observed()
		tc.change(o)
		got := strings.Join(s.Compare(o, true), "\n")
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

// TestUpdate rewrites only what was not met, and what it writes is met.
func TestUpdate(t *testing.T) {
	s, err := Parse("t", []byte(compareScript))
	if err != nil {
		t.Fatal(err)
	}
	o := observed()
	o.Conns[0].Timelines[0][1] = Step{"ESTABLISHED", "acked", 2}
	o.Conns[0].Findings[0].ID = "other-thing"
	o.Conns[0].Close["reason"] = []string{"abort"}
	out, err := s.Update([]byte(compareScript), o, true)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(
		"CLOSED  #", "ESTABLISHED/acked@2  #",
		"closed-port-reset any frames 1,2 H03\nno late-data-reset", "no late-data-reset\nother-thing both frames 1,2 likely H03",
		"refused", "abort").Replace(compareScript)
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	again, err := Parse("t", out)
	if err != nil {
		t.Fatal(err)
	}
	if p := again.Compare(o, true); len(p) > 0 {
		t.Error(p)
	}
}

// TestFailureReads keeps the message of a failure in the notation of the script.
func TestFailureReads(t *testing.T) {
	s, err := Parse("t", []byte(compareScript))
	if err != nil {
		t.Fatal(err)
	}
	f := &Failure{s, Variant{V6: true, ISN: ISNBelow32}, observed(), []string{"states of a\nwant X\ngot  Y"}, true}
	for _, want := range []string{
		"t [isn=2^32,ipv6]\n  states of a\n  want X\n  got  Y\n",
		"\n      1  0.000    a > b     S   0:0(0)",
		"\n  1 a > b 1-2 syn\n    a  SYN_SENT/sent@1 CLOSED/passed@2\n    b  -\n",
		"1 reset-provenance b frames 2 likely R01 (info)",
	} {
		if !strings.Contains(f.Error(), want) {
			t.Errorf("no %q in\n%s", want, f.Error())
		}
	}
}
