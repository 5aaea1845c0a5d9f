package metrics

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// read runs a capture of the repository and returns what was counted of it, and the
// summary of the same run.
func read(t *testing.T, name string) (*Recorder, *report.Summary) {
	t.Helper()
	source, err := capture.Open(filepath.Join("../testdata/pcaps", name))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	r := NewRecorder()
	// Every connection goes through the summary, its durations too.
	sum, err := pipeline.Run(context.Background(), &pipeline.Config{Source: source, Name: name, Format: all{}, Observe: r.Observe})
	if err != nil {
		t.Fatal(err)
	}
	return r, sum
}

// all is a format that prints nothing and needs everything.
type all struct{ pipeline.Discard }

func (all) Needs() report.Needs { return report.Needs{Durations: true} }

var someBuild = Build{Version: "v0.0.1", Revision: "abc", Go: "go1.26", Schema: 1}

// gathered collects everything once and returns the series by "name{label="value"}".
func gathered(t *testing.T, c *Collector) map[string]*dto.Metric {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*dto.Metric{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			got[name] = m
		}
	}
	return got
}

// number returns the value of a counter or gauge; -1 if there is none.
func number(m *dto.Metric) float64 {
	switch {
	case m == nil:
		return -1
	case m.Counter != nil:
		return m.Counter.GetValue()
	}
	return m.Gauge.GetValue()
}

func nothing() *Snapshot { return nil }

// Clock of the tests.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// both are those of a client and a server.
func both(client, server reassembly.State) [2]reassembly.State {
	return [2]reassembly.State{client, server}
}

func port(addr string, n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(n))
}
