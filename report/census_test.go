package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/wire"
)

// censusWish has an instant before the capture, one in it, one after it, and steps.
func censusWish() *CensusOptions {
	return &CensusOptions{At: []wire.Time{testStart - 1, testStart.Add(25 * time.Millisecond), testStart.Add(time.Hour)}, Every: 10 * time.Millisecond, Top: 1}
}

// printCensus prints the document of all kinds of connections, but for the hours
// without an event that its second input has.
func printCensus(t *testing.T, name string, wish *CensusOptions, o Options) []byte {
	t.Helper()
	all := documents()
	d := all[len(all)-1]
	d.inputs = d.inputs[:1]
	d.options.Width, d.options.Color, d.options.Dwell, d.options.RTT = o.Width, o.Color, o.Dwell, o.RTT
	f, err := NewCensus(name, wish)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := d.print(&out, f); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGoldenCensus(t *testing.T) {
	for _, name := range CensusFormats() {
		t.Run(name, func(t *testing.T) {
			golden(t, "census."+name, printCensus(t, name, censusWish(), Options{}))
			golden(t, "census-end."+name, printCensus(t, name, &CensusOptions{Top: 10}, Options{Width: 80, Dwell: true}))
		})
	}
}

func TestCensusMatchesSchema(t *testing.T) {
	whole := compileSchema(t, "")
	for _, wish := range []*CensusOptions{censusWish(), {Top: 10}} {
		for l := range bytes.Lines(printCensus(t, "ndjson", wish, Options{})) {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(l))
			if err == nil {
				err = whole.Validate(v)
			}
			if err != nil {
				t.Errorf("%v in %s", err, l)
			}
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(printCensus(t, "json", wish, Options{})))
		if err == nil {
			err = whole.Validate(v)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// A capture without a frame has no instant, and nothing to divide.
func TestCensusOfNothing(t *testing.T) {
	empty := documents()[0]
	for _, name := range CensusFormats() {
		f, err := NewCensus(name, censusWish())
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := empty.print(&out, f); err != nil {
			t.Fatal(err)
		}
		if name == "text" && !strings.Contains(out.String(), "Nothing was read") {
			t.Errorf("the text does not say that there is nothing:\n%s", &out)
		}
		if name == "csv" && strings.Count(out.String(), "\n") != 1 {
			t.Errorf("the table has lines of nothing:\n%s", &out)
		}
	}
}

// What cannot be written must not stop the count, and must be said at its end.
func TestCensusSaysWhatFailed(t *testing.T) {
	for _, name := range CensusFormats() {
		all := documents()
		f, err := NewCensus(name, &CensusOptions{Every: 100 * time.Millisecond, Top: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := all[len(all)-1].print(failingWriter{}, f); !errors.Is(err, errFull) {
			t.Errorf("%s: %v, want the writer's error", name, err)
		}
	}
}

var errFull = errors.New("full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestCensusRefuses(t *testing.T) {
	if _, err := NewCensus("svg", &CensusOptions{}); err == nil || !strings.Contains(err.Error(), "csv, json, ndjson, text, tsv") {
		t.Errorf("%v does not say which formats there are", err)
	}
	if _, err := NewCensus("text", &CensusOptions{At: make([]wire.Time, census.MaxMoments+1)}); err == nil {
		t.Error("too many instants are taken")
	}
}

func TestSpark(t *testing.T) {
	s := newSpark(60, 8)
	for _, v := range []uint64{0, 1, 2, 4, 8, 8, 3, 0} {
		s.add(v)
	}
	if got, want := s.line(), " ▁▂▄██▃ "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// More values than columns: the highest is shown.
	s = newSpark(2, 8)
	for _, v := range []uint64{0, 1, 0, 0, 0, 0, 8, 0} {
		s.add(v)
	}
	if got, want := s.line(), "▁█"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
