package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMetricsOfARun: what a run serves is what happens in it.
func TestMetricsOfARun(t *testing.T) {
	t.Parallel()
	run := watchLeak(t, t.TempDir())
	read := func(url string) (string, int) {
		t.Helper()
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b), answer.StatusCode
	}
	value := func(text, series string) float64 {
		for line := range strings.Lines(text) {
			if v, ok := strings.CutPrefix(line, series+" "); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		return -1
	}
	const held, left = `tcplife_client_ports_held{client="10.1.0.1",server="10.2.0.1:8080"}`, `tcplife_client_ports_left{client="10.1.0.1",server="10.2.0.1:8080"}`
	const leaked = `tcplife_listener_endpoints{listener="10.2.0.1:8080",state="CLOSE_WAIT"}`
	text := ""
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		text, _ = read(run.metrics)
		// Eighty to begin with; refusals settle at once, closes after half a second. A
		// port that is held and not in CLOSE_WAIT is that of a connection whose FIN has
		// not come yet: there is a moment without one.
		if value(text, leaked) >= 100 && value(text, held) == value(text, leaked) && value(text, `tcplife_connections_closed_total{reason="refused"}`) > 0 &&
			value(text, `tcplife_connections_closed_total{reason="orderly"}`) > 0 && value(text, `tcplife_resets_total{class="abort",role="client"}`) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute:\n%s", text)
		}
	}
	if n := value(text, held) + value(text, left); n != 28232 {
		t.Errorf("%v ports are held and left together: Linux gives 28232", n)
	}
	for series, least := range map[string]float64{
		`tcplife_frames_skipped_total{reason="not-tcp",source="` + run.file + `"}`: 1,
		`tcplife_capture_frames_total{source="` + run.file + `"}`:                  700,
		`tcplife_endpoints{role="client",state="FIN_WAIT_2"}`:                      100,
		`process_resident_memory_bytes`:                                            1 << 20,
	} {
		if n := value(text, series); n < least {
			t.Errorf("%s is %v, and should be %v at least", series, n, least)
		}
	}
	if body, code := read(strings.TrimSuffix(run.metrics, "/metrics") + "/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	run.stop()
	if _, err := http.Get(run.metrics); err == nil {
		t.Error("metrics are served after the run")
	}
}
