package check_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/check"
	"github.com/tcplife/tcplife/internal/scenario"
)

// The folder that a newcomer copies: captures, expectations, a baseline, and what is
// printed for each capture. Everything but the expectations and the page is written by
// go test ./check -run Example -update.
const exampleDir = "../examples/check"

// shop is three clients' connections, a second apart, the later ones as given.
func shop(second, third string) string {
	return healthy + second + third
}

// visit is the healthy connection with another client, a second later.
func visit(client string) string {
	return "+1.000" + strings.NewReplacer("a > b", client+" > b", "b > a", "b > "+client).Replace(strings.TrimPrefix(healthy, "0.000"))
}

// exampleCaptures are the captures, and which expectations each does not meet; the first
// is as it should be.
func exampleCaptures(t *testing.T) []exampleCapture {
	c, d := visit("c"), visit("d")
	with := func(old, new string) string {
		if strings.Count(c, old) != 1 {
			t.Fatalf("%q stands %d times in a visit", old, strings.Count(c, old))
		}
		return shop(strings.Replace(c, old, new, 1), d)
	}
	before := func(line string) string { return c[:strings.Index(c, line)] }
	const fin, answer = "+0.050   c > b  F.", "+0.020   b > c  P."
	return []exampleCapture{
		{"healthy", shop(c, d), nil},
		{"one-more", shop(c, d+visit("e")), []string{"connections count"}},
		{"refused", shop("+1.000   c > b  S   0:0(0)  win 64240 <mss 1460,sackOK>\n+0.010   b > c  R.  0:0(0)  ack 1\n", d), []string{"listener https close refused", "findings forbidden: severity warning and above"}},
		{"reset", shop(before(fin)+"+0.010   b > c  R.  501:501(0) ack 101 win 509\n", d), []string{"listener https close reset", "listener https closer"}},
		{"server-closes", shop(before(fin)+"+0.050   b > c  F.  501:501(0) ack 101\n+0.002   c > b  F.  101:101(0) ack 502\n+0.010   b > c  .   502:502(0) ack 102\n", d),
			[]string{"listener https closer"}},
		{"slow-handshake", with("+0.010   b > c  S.", "+0.310   b > c  S."), []string{"listener https handshake rtt max"}},
		{"slow-answer", with(answer, strings.Replace(answer, "0.020", "0.620", 1)), []string{"filter nobody waits half a second"}},
		{"close-wait", shop(before("+0.002   b > c  F."), d), []string{"listener https dwell server CLOSE_WAIT max"}},
		{"lost-ack", with("+0.001   c > b  .   102:102(0) ack 502\n",
			"+0.001   c > b  .   102:102(0) ack 502 {lost after}\n+0.210   b > c  F.  501:501(0) ack 102\n+0.001   c > b  .   102:102(0) ack 502\n"), []string{"findings forbidden: severity warning and above"}},
		{"cut-end", strings.TrimSuffix(shop(c, d[:strings.Index(d, strings.ReplaceAll(fin, "c", "d"))]), "\n") + "\n", []string{"census end ESTABLISHED"}},
		{"incomplete", with(answer+"  1:501(500) ack 101\n", answer+"  1:501(500) ack 101 {unseen}\n"), []string{"capture missing_bytes"}},
	}
}

type exampleCapture struct {
	name, packets string
	failed        []string
}

func TestExample(t *testing.T) {
	fresh := map[string][]byte{}
	text, err := os.ReadFile(filepath.Join(exampleDir, "expect.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := check.Load("expect.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	all := exampleCaptures(t)
	baseline := baselineOf(t, script(t, all[0].packets, scenario.Variant{}))
	baseline.Captures[0].Capture = "healthy.pcap"
	var b bytes.Buffer
	if err := baseline.Write(&b); err != nil {
		t.Fatal(err)
	}
	fresh["baseline.json"] = bytes.Clone(b.Bytes())
	if baseline, err = check.LoadBaseline("baseline.json", b.Bytes()); err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		file := script(t, x.packets, scenario.Variant{})
		fresh[x.name+".pcap"] = file
		run := check.Begin(docs...)
		run.Remember()
		read(t, x.name+".pcap", file, run)
		expected := []*check.Result{run.Result(x.name + ".pcap")}
		var failed []string
		for _, v := range expected[0].Verdicts {
			if v.Failed {
				failed = append(failed, v.What)
			}
		}
		if !slices.Equal(failed, x.failed) {
			t.Errorf("%s: not met: %q, want %q", x.name, failed, x.failed)
		}
		formats := []string{"text"}
		if x.name == "healthy" || x.name == "reset" {
			formats = check.Formats()
		}
		for _, f := range formats {
			fresh["outputs/"+x.name+"."+f] = printedAs(t, f, expected, false)
		}
		lives, err := run.Remembered(x.name + ".pcap")
		if err != nil {
			t.Fatal(err)
		}
		compared := &check.Result{Capture: x.name + ".pcap", Inputs: []string{x.name + ".pcap"}, Verdicts: baseline.Compare(baseline.Captures[0], lives, baseline.Tolerance)}
		if changed := compared.Failed() > 0; changed != (x.failed != nil) {
			t.Errorf("%s: the baseline says that something changed: %v", x.name, changed)
		}
		fresh["outputs/"+x.name+".baseline.text"] = printedAs(t, "text", []*check.Result{compared}, false)
	}
	for name, want := range fresh {
		path := filepath.Join(exampleDir, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: go test ./check -run Example -update (-committed +fresh):\n%s", path, cmp.Diff(string(got), string(want)))
		}
	}
	// Nothing lies there that nobody keeps fresh.
	for _, pattern := range []string{"*.pcap", "outputs/*"} {
		files, err := filepath.Glob(filepath.Join(exampleDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name, err := filepath.Rel(exampleDir, f)
			if err != nil {
				t.Fatal(err)
			}
			if fresh[filepath.ToSlash(name)] == nil {
				t.Errorf("%s is made by nothing", f)
			}
		}
	}
}
