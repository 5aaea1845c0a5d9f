package incident_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// truthDir holds captures of which is known what happened in them: a few connections
// each, most of them with one thing gone wrong.
const truthDir = "../../shared/truth"

// truths are the incidents of severity warning or above in them. What happens to one
// connection is no incident, and nothing may be said about what went well.
var truths = map[string][]string{
	"icmp_unreach-1":    {"service-unreachable H04"},
	"listener_closed-1": {"closed-all-at-once C20"}, // its queue was reset
	"loss_5pct-1":       {"slow-connects H29"},
	"v6_loss_5pct-1":    {"slow-connects H29"},
}

func TestTruth(t *testing.T) {
	all, err := filepath.Glob(truthDir + "/*-1/capture.pcap*")
	if err != nil || len(all) == 0 {
		t.Skipf("wants captures with the kernels' own changes of state in %s", truthDir)
	}
	f, err := report.New("ndjson")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		name := filepath.Base(filepath.Dir(path))
		source, err := capture.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := pipeline.Run(context.Background(), &pipeline.Config{Source: source, Name: name, Jobs: 2, Profile: reassembly.Linux, Format: f, Output: io.Discard})
		source.Close()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var got []string
		for i := range s.Incidents {
			in := &s.Incidents[i]
			whole(t, in)
			if in.Severity > finding.Info {
				got = append(got, fmt.Sprintf("%s %s", in.Rule.ID, in.Catalogue))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(truths[name], got); diff != "" {
			t.Errorf("%s: %s", name, strings.TrimSpace(diff))
		}
	}
}
