package pipeline

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// nobody picks no connection.
type nobody struct{}

func (nobody) Pick(*report.Connection) (bool, func(id, stream uint64) bool) { return false, nil }

// TestObserve: every connection that settles is seen once, asked for or not, with its log
// and its findings as they are told.
func TestObserve(t *testing.T) {
	for _, selected := range []bool{false, true} {
		source, err := capture.Open("../testdata/pcaps/mixed.pcap.gz")
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		var seen, events, told atomic.Uint64
		cfg := &Config{Source: source, Format: Discard{}, Output: io.Discard, Grades: &finding.Grades{Only: []string{"reset-provenance"}},
			Observe: func(c *report.Connection) {
				seen.Add(1)
				if len(c.Events) > 0 || c.Seen == 0 {
					events.Add(1)
				}
				for _, f := range c.Findings {
					if f.Rule.ID != "reset-provenance" {
						t.Errorf("%s is told", f.Rule.ID)
					}
					told.Add(1)
				}
				if (c.Seen&reassembly.SeenRST != 0) != (len(c.Findings) > 0) {
					t.Errorf("%v with %d findings", c.Tuple, len(c.Findings))
				}
			}}
		if selected {
			cfg.Select = func() report.Picker { return nobody{} }
		}
		sum, err := Run(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if all := sum.Connections + sum.Passed; seen.Load() != all || events.Load() != all || told.Load() == 0 || selected != (sum.Connections == 0) {
			t.Errorf("of %d connections %d were seen, %d with their log; %d findings", all, seen.Load(), events.Load(), told.Load())
		}
	}
}
