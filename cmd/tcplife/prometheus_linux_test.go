package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const contrib = "../../contrib"

// TestPrometheus has a real Prometheus scrape a run in which a service forgets to close
// its connections: the alert on that fires, every query of the dashboard returns numbers,
// and when the program has gone, that is told too. A minute of the rules is a second
// here; with their own times promtool tests them (metrics.TestPromtool).
func TestPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("wants some twenty seconds for Prometheus to see changes over time")
	}
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("wants prometheus, Debian's package of that name")
	}
	t.Parallel()
	dir := t.TempDir()
	run := watchLeak(t, dir)
	p := &prom{t: t, base: "http://" + freeAddress(t)}
	p.start(prometheus, dir, strings.TrimSuffix(strings.TrimPrefix(run.metrics, "http://"), "/metrics"))

	queries := dashboardQueries(t)
	deadline := time.Now().Add(time.Minute)
	for firing := false; !firing || len(queries) > 0; time.Sleep(200 * time.Millisecond) {
		for what, query := range queries {
			if p.numbers(query) > 0 {
				delete(queries, what)
			}
		}
		firing = p.fires("TcplifeCloseWaitLeak", map[string]string{"role": "server", "state": "CLOSE_WAIT", "severity": "critical", "job": "tcplife"})
		if time.Now().After(deadline) {
			for what, query := range queries {
				t.Errorf("%s: no data from %s", what, query)
			}
			t.Fatalf("after a minute; the alert fires: %v; alerts: %v", firing, p.alerts())
		}
	}
	if p.fires("TcplifeDown", nil) {
		t.Error("TcplifeDown fires while it runs")
	}
	// What Prometheus has is what the program says.
	if n := p.value(`sum(tcplife_listener_endpoints{listener="` + leakListener.String() + `",state="CLOSE_WAIT"})`); n < 100 {
		t.Errorf("%v connections in CLOSE_WAIT at %s; more than a hundred were made", n, leakListener)
	}
	if n := p.value(`sum(tcplife_endpoints{state="CLOSE_WAIT",role="client"})`); n != 0 {
		t.Errorf("%v clients in CLOSE_WAIT; there was none", n)
	}
	run.stop()
	for deadline := time.Now().Add(time.Minute); !p.fires("TcplifeDown", nil); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the program has gone, and after a minute TcplifeDown does not fire: %v", p.alerts())
		}
	}
}

// watching is a run of tcplife live.
type watching struct {
	// metrics is where it says that they are, file what it follows.
	metrics, file string
	// stop asks it for its report, and waits for that.
	stop func()
}

// watchLeak runs tcplife live over a file that grows by what leak makes, and the hosts of
// which forget closed connections in half a second: counters wait for that.
func watchLeak(t *testing.T, dir string) *watching {
	t.Helper()
	path := filepath.Join(dir, "growing.pcap")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	end := leak(file, 80, 100*time.Millisecond)
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
		file.Close()
	})
	quick := filepath.Join(dir, "quick.yaml")
	if err := os.WriteFile(quick, []byte("name: quick\ntime_wait: 500ms\ntimer_slack: 100ms\nfin_retries: 500ms\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "tcplife")
	if err := os.Symlink(self, program); err != nil { // see TestMain
		t.Fatal(err)
	}
	c := exec.Command(program, "live", "--file", path, "--profile", quick, "--events", "none", "--metrics", "127.0.0.1:0")
	var report bytes.Buffer
	c.Stdout = &report
	says, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w := &watching{file: path}
	lines := bufio.NewScanner(says)
	for w.metrics == "" && lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), " at http://"); ok {
			w.metrics = "http://" + url
		}
	}
	if w.metrics == "" {
		t.Fatalf("it does not say where the metrics are: %v", c.Wait())
	}
	rest := make(chan string)
	go func() {
		b, _ := io.ReadAll(says)
		rest <- string(b)
	}()
	w.stop = sync.OnceFunc(func() {
		c.Process.Signal(syscall.SIGTERM)
		said := <-rest
		if err := c.Wait(); err != nil {
			t.Errorf("ended by SIGTERM: %v; %s", err, said)
		}
		if !strings.Contains(report.String(), "close-wait-leak") {
			t.Errorf("the report does not tell of the leak: %.2000s", report.String())
		}
	})
	t.Cleanup(w.stop)
	return w
}

// freeAddress is one of loopback that nobody had a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// prom is a Prometheus of the test's own.
type prom struct {
	t    *testing.T
	base string
}

// start runs it until the test ends, with the part of a configuration and the rules of
// contrib; target takes the place of the address there.
func (p *prom) start(program, dir, target string) {
	t := p.t
	t.Helper()
	minutes := regexp.MustCompile(`\b(\d+)m\b`)
	for name, change := range map[string]func(string) string{
		"tcplife.rules.yml": func(s string) string {
			return minutes.ReplaceAllStringFunc(s, func(m string) string {
				n, _ := strconv.Atoi(strings.TrimSuffix(m, "m"))
				return strconv.Itoa(n) + "s"
			})
		},
		"scrape.yml": func(s string) string {
			s = strings.NewReplacer("127.0.0.1:9777", target, "scrape_interval: 15s", "scrape_interval: 1s").Replace(s)
			return "global:\n  evaluation_interval: 500ms\n" + s
		},
	} {
		text, err := os.ReadFile(filepath.Join(contrib, "prometheus", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(change(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	c := exec.Command(program, "--config.file="+filepath.Join(dir, "scrape.yml"), "--storage.tsdb.path="+filepath.Join(dir, "tsdb"),
		"--web.listen-address="+strings.TrimPrefix(p.base, "http://"), "--log.level=warn")
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			c.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("prometheus said: %.3000s", said.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get(p.base + "/-/ready")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("prometheus is not ready after 30 s: %v", err)
		}
	}
}

// get asks its API and reads the data of the answer.
func (p *prom) get(path string, data any) {
	p.t.Helper()
	answer, err := http.Get(p.base + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct {
		Status, Error string
		Data          json.RawMessage
	}
	text, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || body.Status != "success" {
		p.t.Fatalf("%s: %v %s: %.300s", path, err, body.Error, text)
	}
	if err := json.Unmarshal(body.Data, data); err != nil {
		p.t.Fatal(err)
	}
}

// query returns the values of an instant query.
func (p *prom) query(expr string) (values []float64) {
	p.t.Helper()
	var data struct {
		Result []struct{ Value [2]any }
	}
	p.get("/api/v1/query?query="+url.QueryEscape(expr), &data)
	for _, r := range data.Result {
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		if err != nil {
			p.t.Fatalf("%s: %v", expr, r)
		}
		values = append(values, v)
	}
	return values
}

// numbers returns how many of the values of a query are numbers: what Grafana can draw.
func (p *prom) numbers(expr string) (n int) {
	p.t.Helper()
	for _, v := range p.query(expr) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			n++
		}
	}
	return n
}

// value returns the only value of a query.
func (p *prom) value(expr string) float64 {
	p.t.Helper()
	v := p.query(expr)
	if len(v) != 1 {
		p.t.Fatalf("%s has %d values", expr, len(v))
	}
	return v[0]
}

type alert struct {
	State  string
	Labels map[string]string
}

func (p *prom) alerts() []alert {
	p.t.Helper()
	var data struct{ Alerts []alert }
	p.get("/api/v1/alerts", &data)
	return data.Alerts
}

// fires reports whether an alert fires, with some labels.
func (p *prom) fires(name string, labels map[string]string) bool {
	p.t.Helper()
	for _, a := range p.alerts() {
		same := a.State == "firing" && a.Labels["alertname"] == name
		for k, v := range labels {
			same = same && a.Labels[k] == v
		}
		if same {
			return true
		}
	}
	return false
}

// dashboardQueries returns every query of the dashboard with Grafana's variables put in,
// by its panel.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(contrib, "grafana/tcplife.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	queries := map[string]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			queries[p.Title+" "+q.RefID] = strings.NewReplacer("$job", "tcplife", "$instance", ".+", "$__rate_interval", "10s").Replace(q.Expr)
		}
	}
	if len(queries) < 25 {
		t.Fatalf("only %d queries in the dashboard", len(queries))
	}
	return queries
}
