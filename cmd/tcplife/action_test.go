//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// runAction runs the action's script as a runner does, without one: the inputs and the
// files for summary and outputs are variables.
func runAction(t *testing.T, inputs map[string]string) (code int, annotations, summary, outputs string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("wants bash, which GitHub's runners have")
	}
	script, err := filepath.Abs("../../.ci/action")
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	c := exec.Command(bash, script)
	c.Dir = "../../examples/check"
	c.Env = append(os.Environ(), "GITHUB_STEP_SUMMARY="+filepath.Join(temp, "summary"), "GITHUB_OUTPUT="+filepath.Join(temp, "output"), "RUNNER_TEMP="+temp, "GORACE=atexit_sleep_ms=0")
	for name, value := range inputs {
		c.Env = append(c.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	out, err := c.CombinedOutput()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(temp, name))
		if err != nil {
			return ""
		}
		return string(b)
	}
	return c.ProcessState.ExitCode(), string(out), read("summary"), read("output")
}

// linkedProgram returns a name under which this test binary is the program.
func linkedProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tcplife")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAction(t *testing.T) {
	tcplife, out := linkedProgram(t), t.TempDir()
	junit, sarif := filepath.Join(out, "r.xml"), filepath.Join(out, "r.sarif")
	for _, x := range []struct {
		name                          string
		inputs                        map[string]string
		code                          int
		annotations, summary, outputs string
	}{
		{"met", map[string]string{"captures": "healthy.pcap", "expect": "expect.yaml", "junit": junit, "sarif": sarif}, 0,
			"healthy.pcap: 0 of 16 expectations not met\n", "healthy.pcap: 16 expectations, as expected", "result=met\ncode=0\n"},
		{"not met", map[string]string{"captures": "healthy.pcap\n\nre*.pcap\r\n", "expect": "expect.yaml\n", "arguments": "--jobs\n1\n", "junit": junit, "sarif": sarif}, 1,
			"::error file=expect.yaml,line=7,col=25,title=reset.pcap%3A listener https close reset::", "FAIL  listener https close reset", "result=not-met\ncode=1\n"},
		{"a baseline, all as one", map[string]string{"captures": "slow-handshake.pcap", "baseline": "baseline.json", "each": "false"}, 1,
			"time of handshake", "FAIL  baseline healthy.pcap", "result=not-met\ncode=1\n"},
		{"a mistake", map[string]string{"captures": "healthy.pcap", "expect": "mistaken.yaml"}, 2, `did you mean "refused"?`, "", "result=error\ncode=2\n"},
		{"no capture of that name", map[string]string{"captures": "gone.pcap", "expect": "expect.yaml"}, 4, "::error file=gone.pcap,title=gone.pcap%3A not checked::", "not checked", "result=error\ncode=4\n"},
		{"nothing", map[string]string{"captures": "\n"}, 2, "::error::tcplife: no captures are given", "", ""},
		// What looks like a script, or like a flag, is a name.
		{"names", map[string]string{"captures": "$(touch " + out + "/bad)\n--help\n", "expect": "expect.yaml"}, 4, "title=--help%3A not checked::", "", "result=error\ncode=4\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.inputs["program"] = tcplife
			code, annotations, summary, outputs := runAction(t, x.inputs)
			if code != x.code || !strings.Contains(annotations, x.annotations) || !strings.Contains(summary, x.summary) || outputs != x.outputs {
				t.Errorf("exit code %d, want %d; printed:\n%s\nsummary:\n%s\noutputs:\n%s", code, x.code, annotations, summary, outputs)
			}
			for _, path := range []string{x.inputs["junit"], x.inputs["sarif"]} {
				if _, err := os.Stat(path); path != "" && err != nil {
					t.Error(err)
				}
			}
		})
	}
	if _, err := os.Stat(filepath.Join(out, "bad")); err == nil {
		t.Error("an input was run as a command")
	}
}

// TestActionBuilds has the script build the program, as it does for users.
func TestActionBuilds(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("wants the go command, which builds the program")
	}
	code, annotations, _, _ := runAction(t, map[string]string{"captures": "healthy.pcap", "expect": "expect.yaml"})
	if code != 0 {
		t.Errorf("exit code %d: %s", code, annotations)
	}
}

// TestActionFile holds action.yml to what runners demand, and to the script.
func TestActionFile(t *testing.T) {
	var action struct {
		Name, Description, Author string
		Branding                  map[string]string
		Inputs                    map[string]struct {
			Description, Default string
			Required             bool
		}
		Outputs map[string]struct{ Description, Value string }
		Runs    struct {
			Using string
			Steps []struct {
				ID, If, Uses, Shell, Run string
				With, Env                map[string]string
			}
		}
	}
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&action); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../.ci/action")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	if action.Name == "" || action.Description == "" || action.Runs.Using != "composite" {
		t.Errorf("%+v", action)
	}
	env := map[string]string{}
	for _, s := range action.Runs.Steps {
		if (s.Run == "") == (s.Uses == "") || s.Run != "" && s.Shell == "" {
			t.Errorf("a step runs something in a shell, or uses an action: %+v", s)
		}
		if strings.Contains(s.Run, "${{") {
			t.Errorf("an expression in a script is the sender's code: %s", s.Run)
		}
		for k, v := range s.Env {
			env[k] = v
		}
	}
	for name, in := range action.Inputs {
		variable := "INPUT_" + strings.ToUpper(name)
		if in.Description == "" || env[variable] != "${{ inputs."+name+" }}" || !strings.Contains(string(script), variable) {
			t.Errorf("the input %s does not reach the script, as %s", name, variable)
		}
		if !strings.Contains(string(docs), "`"+name+"`") {
			t.Errorf("docs/ci.md does not name the input %s", name)
		}
	}
	if len(env) != len(action.Inputs) {
		t.Errorf("%d variables for %d inputs", len(env), len(action.Inputs))
	}
	for name, out := range action.Outputs {
		if !strings.Contains(string(script), name+"=%s") || out.Value != "${{ steps.check.outputs."+name+" }}" {
			t.Errorf("the output %s is not the script's: %s", name, out.Value)
		}
	}
}

// TestPipelinesOfOthers runs the commands in the files for other systems, and reads those
// that are YAML.
func TestPipelinesOfOthers(t *testing.T) {
	text, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	run := shell(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "captures"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"healthy.pcap", "expect.yaml"} {
		b, err := os.ReadFile("../../examples/check/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "captures", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := regexp.MustCompile(`(?m)^ +(?:- |sh ')(tcplife check [^'\n]*)`)
	seen := 0
	for _, block := range regexp.MustCompile("(?ms)^```(yaml|groovy)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if block[1] == "yaml" {
			d := yaml.NewDecoder(strings.NewReader(block[2]))
			var v any
			if err := d.Decode(&v); err != nil {
				t.Errorf("%v:\n%s", err, block[2])
			}
		}
		for _, m := range command.FindAllStringSubmatch(block[2], -1) {
			seen++
			if out, code := run(t, dir, m[1]); code != 0 {
				t.Errorf("%s: exit code %d: %s", m[1], code, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "tcplife.xml")); err != nil {
				t.Error(err)
			}
			os.Remove(filepath.Join(dir, "tcplife.xml"))
		}
	}
	if seen < 2 {
		t.Errorf("only %d commands", seen)
	}
	// The hook: its entry, a user's arguments, and the names of files behind them.
	var hooks []struct {
		ID, Name, Description, Language, Entry, Files string
		Serial                                        bool `yaml:"require_serial"`
	}
	text, err = os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&hooks); err != nil || len(hooks) != 1 {
		t.Fatal(err)
	}
	h := hooks[0]
	files, err := regexp.Compile(h.Files)
	if err != nil || !files.MatchString("captures/a.pcap.gz") || !files.MatchString("a.pcapng") || files.MatchString("a.pcap.txt") {
		t.Errorf("files: %s (%v)", h.Files, err)
	}
	if out, code := run(t, dir, h.Entry+" --expect captures/expect.yaml captures/healthy.pcap"); code != 0 {
		t.Errorf("%s: %s", h.Entry, out)
	}
}
