package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
)

const contrib = "../contrib"

var (
	ownName   = regexp.MustCompile(`\btcplife_[a-z_]+\b(\{[^}]*\})?`)
	matcher   = regexp.MustCompile(`(\w+)(=~|!~|!=|=)\\?"([^"\\]*)`)
	explained = regexp.MustCompile(`tcplife explain ([a-z-]+[a-z])`)
)

// TestContribNames: what dashboards, rules and templates ask for is what there is: names,
// labels, and values of labels that have closed lists. A query with a slip in it would
// only ever be empty.
func TestContribNames(t *testing.T) {
	known := map[string]*Metric{}
	for _, m := range All() {
		known[m.Name] = m
		if m.Kind == Histogram {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				known[m.Name+part] = m
			}
		}
	}
	for _, name := range []string{"grafana/tcplife.json", "prometheus/tcplife.rules.yml", "prometheus/tcplife.rules.test.yml", "zabbix/tcplife.yaml"} {
		text, err := os.ReadFile(filepath.Join(contrib, name))
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		// In JSON and YAML alike a quote within quotes has a backslash before it.
		for _, use := range ownName.FindAllStringSubmatch(string(text), -1) {
			metric, labels, _ := strings.Cut(use[0], "{")
			m := known[metric]
			if m == nil {
				t.Errorf("%s asks for %s, which there is not", name, metric)
				continue
			}
			seen++
			for _, l := range matcher.FindAllStringSubmatch(labels, -1) {
				i := slices.IndexFunc(m.Labels, func(x Label) bool { return x.Name == l[1] })
				switch {
				case slices.Contains([]string{"job", "instance", "le"}, l[1]):
				case i < 0:
					t.Errorf("%s: %s has no label %s", name, metric, l[1])
				case m.Labels[i].Values != nil && !strings.ContainsAny(l[3], "{$"): // no macro of Zabbix
					for v := range strings.SplitSeq(l[3], "|") {
						if !slices.Contains(m.Labels[i].Values(), v) {
							t.Errorf("%s: %s of %s is never %q", name, l[1], metric, v)
						}
					}
				}
			}
		}
		if seen < 8 {
			t.Errorf("%s: only %d metrics", name, seen)
		}
		for _, id := range explained.FindAllStringSubmatch(string(text), -1) {
			if finding.Lookup(id[1]) == nil && incident.Lookup(id[1]) == nil {
				t.Errorf("%s: tcplife explain %s has nothing to explain", name, id[1])
			}
		}
	}
}

// TestDashboard: what Grafana's model needs of a dashboard that is imported.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(contrib, "grafana/tcplife.json"))
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ H, W, X, Y int }
	var d struct {
		Title, UID    string
		SchemaVersion int
		Panels        []struct {
			ID      int
			Type    string
			Title   string
			GridPos place
			Targets []struct{ Expr, RefID string }
		}
		Templating struct{ List []struct{ Name, Type string } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" || d.SchemaVersion == 0 || len(d.Panels) < 20 {
		t.Errorf("no dashboard: %q, %q, schema %d, %d panels", d.Title, d.UID, d.SchemaVersion, len(d.Panels))
	}
	var vars []string
	for _, v := range d.Templating.List {
		vars = append(vars, v.Name)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the number %d", p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("panel %q lies at %v, beyond the 24 columns", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panel %q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %q has %d queries", p.Title, len(p.Targets))
		}
		for _, q := range p.Targets {
			for _, v := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !slices.Contains(vars, v[1]) && v[1] != "__rate_interval" {
					t.Errorf("panel %q: there is no variable %s", p.Title, v[1])
				}
			}
		}
	}
}

// TestPromtool has Prometheus' own tool check the rules and run their tests.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("wants promtool, of Debian's package prometheus")
	}
	run := func(args ...string) (string, error) {
		c := exec.Command(promtool, args...)
		c.Dir = filepath.Join(contrib, "prometheus")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{
		{"check", "rules", "tcplife.rules.yml"},
		{"check", "config", "scrape.yml"},
		{"test", "rules", "tcplife.rules.test.yml"},
	} {
		if out, err := run(args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	// Each alert is tried: one that fires and, where a threshold decides, one that does not.
	rules, err := os.ReadFile(filepath.Join(contrib, "prometheus/tcplife.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(filepath.Join(contrib, "prometheus/tcplife.rules.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !regexp.MustCompile(`alertname: ` + alert[1] + `\n\s+exp_alerts:\n\s+- exp_labels`).Match(tests) {
			t.Errorf("no test lets %s fire", alert[1])
		}
	}
}
