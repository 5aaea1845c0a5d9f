package pipeline

import (
	"bytes"
	"context"
	"testing"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// The logs of ordinary connections are not written where nobody prints them. Incidents make
// do without: what is told is the same as where somebody looks at every log.
func TestUnreadLogsChangeNothing(t *testing.T) {
	frames := generate(5, taste{Frames: 30_000, Active: 300, Hosts: 40})
	tell := func(observe bool) (string, int) {
		var out bytes.Buffer
		cfg := config(t, play(frames), "text", &out)
		cfg.Jobs = 1
		without := 0
		if observe {
			cfg.Observe = func(c *report.Connection) {
				if c.Unlogged.Is {
					without++
				}
			}
		}
		if _, err := run(context.Background(), cfg, reassembly.Seed{A: 1, B: 2}); err != nil {
			t.Fatal(err)
		}
		return out.String(), without
	}
	read, without := tell(true)
	if without != 0 {
		t.Errorf("%d connections have no log although somebody reads them", without)
	}
	if unread, _ := tell(false); unread != read {
		t.Errorf("nobody reads logs:\n%s\nsomebody does:\n%s", unread, read)
	}
}
