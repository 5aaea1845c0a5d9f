package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

func groupsOf(t testing.TB, format string, d *testDocument, o GroupOptions, names ...string) string {
	t.Helper()
	var err error
	if o.Keys, err = ParseGroup(names); err != nil {
		t.Fatal(err)
	}
	f, err := NewGroups(format, &o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := d.print(&out, f); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGoldenGroups(t *testing.T) {
	all := documents()
	everything := &all[len(all)-1]
	everything.options.Width = 100
	for _, format := range GroupFormats() {
		golden(t, "groups-reason."+format, []byte(groupsOf(t, format, everything, GroupOptions{}, "service", "reason")))
	}
	golden(t, "groups-finding.text", []byte(groupsOf(t, "text", everything, GroupOptions{Sort: "-duration_max"}, "finding", "closer")))
	golden(t, "groups-empty.text", []byte(groupsOf(t, "text", &all[0], GroupOptions{}, "second")))
	everything.options.Width = 30
	golden(t, "groups-30.text", []byte(groupsOf(t, "text", everything, GroupOptions{Limit: 1}, "second")))
}

func TestGroupsMatchSchema(t *testing.T) {
	whole := compileSchema(t, "")
	for _, d := range documents() {
		for _, keys := range [][]string{{"service"}, {"finding", "open", "first_frame"}, {"second", "handshake.rtt", "id", "client.ip"}, {"states.client"}} {
			for l := range strings.Lines(groupsOf(t, "ndjson", &d, GroupOptions{}, keys...)) {
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(l))
				if err == nil {
					err = whole.Validate(v)
				}
				if err != nil {
					t.Errorf("%v: %v in %s", keys, err, l)
				}
			}
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(groupsOf(t, "json", &d, GroupOptions{}, keys...)))
			if err == nil {
				err = whole.Validate(v)
			}
			if err != nil {
				t.Errorf("%v: %v", keys, err)
			}
		}
	}
}

func TestGroupMistakes(t *testing.T) {
	for names, want := range map[string]string{
		"reson":           "there is nothing reson to group by; did you mean reason?",
		"close.reson":     "there is no field close.reson; did you mean close.reason? (or one of client, server,",
		"close":           "close holds several fields: close.reason, close.closer, close.by and more",
		"reason,reason":   "reason is named twice",
		"server,nonsense": "there is no field nonsense (or one of",
	} {
		if _, err := ParseGroup(strings.Split(names, ",")); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", names, err, want)
		}
	}
	keys, err := ParseGroup([]string{"reason"})
	if err != nil {
		t.Fatal(err)
	}
	for sort, want := range map[string]string{
		"conections": "groups have no column conections; did you mean connections?",
		"zzzzzzzzzz": "groups have no column zzzzzzzzzz: there are connections, failed,",
	} {
		if _, err := NewGroups("text", &GroupOptions{Keys: keys, Sort: sort}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", sort, err, want)
		}
	}
	if _, err := NewGroups("pdf", &GroupOptions{Keys: keys}); err == nil {
		t.Error("groups as pdf")
	}
	if _, err := NewGroups("csv", &GroupOptions{Keys: keys, Sort: "-reason"}); err != nil {
		t.Error(err)
	}
}

// A sample's percentiles are exact as long as it is small, and never far off.
func TestSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "durations")
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		var s, rest sample
		for _, d := range all[:cut] {
			s.add(time.Duration(d))
		}
		for _, d := range all[cut:] {
			rest.add(time.Duration(d))
		}
		s.merge(&rest)
		slices.Sort(all)
		if s.count() != uint64(len(all)) {
			t.Fatalf("%d of %d", s.count(), len(all))
		}
		for _, p := range []uint64{1, 50, 90, 99, 100} {
			want := all[max((len(all)*int(p)+99)/100, 1)-1]
			got := int64(s.percentile(p))
			if len(all) <= sampleFew && got != want || got < want || got > want+want/32+1 {
				t.Fatalf("percentile %d of %d is %d, want %d", p, len(all), got, want)
			}
		}
	})
}

// However many groups there are, what is kept is bounded and sums stay right.
func TestManyGroups(t *testing.T) {
	keys, err := ParseGroup([]string{"client.port", "uid"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewGroups("csv", &GroupOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := f.Begin(&out, &Options{}); err != nil {
		t.Fatal(err)
	}
	const n = 3*maxGroups + 5
	var s Summary
	c := refused()
	for i := range n {
		c.UID = fmt.Sprint(i)
		if i%10 == 0 {
			c.UID = "one" // the largest must not be folded
		}
		var b Buffer
		f.Encode(&b, c)
		d := NewDigest(c)
		if err := f.Add(uint64(i), &d, &b); err != nil {
			t.Fatal(err)
		}
		if kept := len(f.(*groups).all); kept > 2*maxGroups {
			t.Fatalf("%d groups are kept", kept)
		}
	}
	if err := f.End(&s); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, r := range rows[1:] {
		var k int
		fmt.Sscan(r[2], &k)
		sum += k
	}
	if sum != n || rows[1][1] != "one" || rows[1][2] != fmt.Sprint((n+9)/10) || rows[len(rows)-1][0] != "*" {
		t.Errorf("%d connections of %d; first %v, last %v", sum, n, rows[1], rows[len(rows)-1])
	}
}
