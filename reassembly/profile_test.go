package reassembly

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// closedThenSilent is a connection that the client closes, watched for a while after.
func closedThenSilent(t *testing.T, cfg Config, watched time.Duration) string {
	t.Helper()
	var told string
	cfg.Settled = func(c *Conn, _ uint64) { told = timeline(c, Client) }
	tr := New(cfg)
	s := newScript().handshake().clientCloses()
	for i := range s.segs {
		tr.Feed(&s.segs[i])
		tr.Advance(s.segs[i].At)
	}
	tr.Advance(s.at.Add(watched))
	tr.Flush()
	return told
}

func TestTimeWaitGoesByTheProfile(t *testing.T) {
	client := netip.PrefixFrom(newScript().tuple.Source().Addr(), 24).Masked()
	host := netip.PrefixFrom(newScript().tuple.Source().Addr(), 32)
	server := netip.PrefixFrom(newScript().tuple.Reverse().Source().Addr(), 32)
	for _, tt := range []struct {
		name    string
		cfg     Config
		watched time.Duration
		over    bool
	}{
		{"Linux, 59 s", Config{}, 59 * time.Second, false},
		{"Linux, 68 s", Config{}, 68 * time.Second, true},
		{"Windows, 68 s", Config{Profile: Windows}, 68 * time.Second, false},
		{"Windows, 5 min", Config{Profile: Windows}, 5 * time.Minute, true},
		{"the client's network is Windows", Config{Networks: []Network{{client, Windows}}}, 68 * time.Second, false},
		{"the longest prefix counts", Config{Networks: []Network{{host, BSD}, {client, Windows}}}, 68 * time.Second, true},
		{"the server's does not", Config{Networks: []Network{{server, Windows}}}, 68 * time.Second, true},
	} {
		got := closedThenSilent(t, tt.cfg, tt.watched)
		if over := strings.Contains(got, "CLOSED[timer]"); over != tt.over {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

// TestProfilesHold asks of each profile what all of them must keep to.
func TestProfilesHold(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Profiles() {
		if p.Name == "" || seen[p.Name] {
			t.Errorf("%q: no name of its own", p.Name)
		}
		seen[p.Name] = true
		// RFC 9293 section 3.8.3 (R2 of 100 s) bounds the FIN's retries; RFC 6298 section
		// 2.5 the RTO; a SYN is tried for longer than one RTO of 3 s, doubled.
		if p.TimeWait <= 0 || p.FINRetrySpan < 100*time.Second || p.MaxRTO < 60*time.Second || p.SYNSpan < 9*time.Second || p.SYNACKSpan < 9*time.Second {
			t.Errorf("%+v", p)
		}
	}
	if Profiles()[0].Name != Linux.Name {
		t.Error("the default is not the first")
	}
}
