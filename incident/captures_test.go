package incident_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/wire"
)

// recordings are captures of incidents made with real programs, and what the first ten
// lines of the report must say: who, and what was done to it. They were written from what
// was done (testdata/pcaps/incidents/README.md), not from the reports, though those were known by then.
var recordings = []struct {
	name string
	says []string
	// not: what would be a wrong lead.
	not []string
}{
	{"accepts-too-slowly", []string{"192.0.2.103:8003", "does not accept() connections as fast as they come", "queue is full"}, []string{"path loses", "cannot be reached"}},
	{"backlog-never-accepted", []string{"10.70.0.8:8080", "does not accept()", "queue is full"}, []string{"filter", "cannot be reached", "not heard any more"}},
	{"close-wait-leak", []string{"10.44.0.5:8080", "does not close", "CLOSE_WAIT", "growing by"}, nil},
	{"close-wait-of-client", []string{"client 10.30.30.7", "does not close", "CLOSE_WAIT"}, nil},
	{"firewall-drops-idle", []string{"10.80.13.20", "192.168.13.40", "idle", "between 9", "and 13 s", "device on the path", "without an answer"}, []string{"restarted"}},
	{"firewall-resets-idle", []string{"10.80.14.20", "192.168.14.40", "idle", "between 9", "and 13 s", "device on the path", "RST"}, []string{"restarted"}},
	{"keepalive-race", []string{"10.100.0.200:80", "closes idle connections after 2 s", "requests crossed the close"}, nil},
	{"kill-of-busy-server", []string{"192.168.11.4:80", "open connections within", "by RST", "refused", "its process ended"}, nil},
	{"last-acks-lost", []string{"10.160.3.4", "10.161.3.5", "lost behind the capture point on their way to the server", "last ACK"}, []string{"does not close"}},
	{"ports-run-out", []string{"10.60.1.4", "ran out of ports", "10.60.1.9:80", "40000 to 40069", "TIME_WAIT"}, nil},
	{"server-down-for-a-while", []string{"10.37.2.9:80", "was down from", "refused by RST"}, nil},
	{"server-vanishes", []string{"10.111.1.80", "not heard any more", "12 connections"}, []string{"idle-timeout"}},
	{"small-mtu-without-icmp", []string{"10.130.7.2", "Large segments from the server do not get through", "small ones do", "MTU"}, []string{"not heard any more"}},
	{"stale-pool", []string{"10.140.4.1:6432", "closes idle connections after 4", "after the close", "lost"}, nil},
	{"syn-flood", []string{"198.51.100.80:80", "SYNs that nobody completed", "171 senders"}, nil},
	{"upload-left-unread", []string{"10.150.2.3:8080", "without reading", "RST"}, []string{"device on the path", "firewall"}},
}

const recordingsDir = "../testdata/pcaps/incidents"

// Who captures an incident and reads the first ten lines knows the cause.
func TestRecordedIncidents(t *testing.T) {
	files, err := filepath.Glob(recordingsDir + "/*.pcap")
	if err != nil || len(files) != len(recordings) {
		t.Errorf("%d captures in %s (%v), and %d with what they must say", len(files), recordingsDir, err, len(recordings))
	}
	var heads strings.Builder
	for _, r := range recordings {
		out, _ := analyze(t, framesOf(t, filepath.Join(recordingsDir, r.name+".pcap")), r.name+".pcap", "text", 2)
		head := strings.Join(strings.SplitN(out, "\n", 11)[:10], "\n")
		heads.WriteString(head + "\n\n")
		text := strings.Join(strings.Fields(head), " ")
		for _, s := range r.says {
			if !strings.Contains(text, s) {
				t.Errorf("%s: the first ten lines do not say %q:\n%s", r.name, s, head)
			}
		}
		for _, s := range r.not {
			if strings.Contains(text, s) {
				t.Errorf("%s: the first ten lines say %q:\n%s", r.name, s, head)
			}
		}
	}
	const golden = "../testdata/golden/incidents-recorded.text"
	if incident.Update() {
		if err := os.WriteFile(golden, []byte(heads.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), heads.String()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", golden, diff)
	}
}

// framesOf reads a capture.
func framesOf(t *testing.T, path string) (all []wire.Frame) {
	t.Helper()
	src, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for {
		var f wire.Frame
		if err := src.Next(&f); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return all
		}
		f.Data = append([]byte(nil), f.Data...)
		all = append(all, f)
	}
}
