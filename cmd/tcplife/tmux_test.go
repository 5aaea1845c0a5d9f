//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Screens as a terminal shows them: the program runs in tmux, and what stands in the
// pane is kept in testdata/screens, to be looked at. Colours are written as
// {red bold:text}.

// TestTerminalScreens draws what people see first, on a narrow and a wide terminal, with
// and without colours.
func TestTerminalScreens(t *testing.T) {
	for _, x := range []struct{ name, args string }{
		{"summary", "testdata/pcaps/mixed.pcap.gz"},
		{"filter", `--filter 'close.reason == "abort-unread" && server.port == 5432' testdata/pcaps/mixed.pcap.gz`},
		{"group-by", "--group-by service,closer testdata/pcaps/mixed.pcap.gz"},
		{"ladder", "--connection 1 testdata/pcaps/lost-final-ack.pcap"},
		{"census", "--census --every 10s --top 2 testdata/pcaps/mixed.pcap.gz"},
	} {
		for _, width := range []int{80, 200} {
			for _, colors := range []bool{false, true} {
				name := fmt.Sprintf("%s-%d", x.name, width)
				if colors {
					name += "-color"
				}
				t.Run(name, func(t *testing.T) {
					s := tmux(t, width, colors, "tcplife analyze "+x.args)
					path := filepath.Join("testdata/screens", name+".txt")
					if *update {
						if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
							t.Fatal(err)
						}
					}
					want, err := os.ReadFile(path)
					if err != nil {
						t.Fatalf("%v (go test ./cmd/tcplife -run TerminalScreens -update writes it)", err)
					}
					if d := cmp.Diff(string(want), s); d != "" {
						t.Errorf("%s differs (-want +got):\n%s", path, d)
					}
				})
			}
		}
	}
}

// tmux runs a command line in a terminal of its own and returns what it shows.
func tmux(t *testing.T, width int, colors bool, line string) string {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("wants tmux, to look at a terminal's screen")
	}
	dir, err := os.MkdirTemp("", "tmux") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "tcplife")); err != nil { // see TestMain
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	client := func(args ...string) *exec.Cmd {
		c := exec.Command("tmux", append([]string{"-S", socket, "-f", "/dev/null"}, args...)...)
		c.Dir = "../.."
		c.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "SHELL=/bin/sh", "HOME=" + dir, configVariable + "=none", "GORACE=atexit_sleep_ms=0"}
		if !colors {
			c.Env = append(c.Env, "NO_COLOR=1")
		}
		return c
	}
	command := func(args ...string) string {
		t.Helper()
		out, err := client(args...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v: %s", args, err, out)
		}
		return string(out)
	}
	// The pane is as high as the longest report, so that nothing scrolls away.
	const height = 300
	command("new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height), line+"; tmux -S "+socket+" wait-for -S done; exec cat")
	defer command("kill-server") // the one behind this socket
	done := make(chan error, 1)
	go func() { done <- client("wait-for", "done").Run() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("tmux wait-for: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: still running after 20 s; the screen:\n%s", line, command("capture-pane", "-p"))
	}
	// Joined, lines that the terminal had to break are one: there should be none.
	shown, joined := command("capture-pane", "-p"), command("capture-pane", "-p", "-J")
	if a, b := strings.Count(shown, "\n"), strings.Count(joined, "\n"); a != b {
		t.Errorf("%s: %d lines are wider than the terminal's %d columns", line, a-b, width)
	}
	if !colors {
		if strings.Contains(command("capture-pane", "-p", "-e"), "\x1b[3") {
			t.Errorf("%s: colours, though NO_COLOR is set", line)
		}
		return strings.TrimRight(shown, "\n") + "\n"
	}
	return strings.TrimRight(named(command("capture-pane", "-p", "-e")), "\n") + "\n"
}

// named writes the colours of a screen in words: terminals, and versions of tmux, have
// several ways to say the same.
func named(screen string) string {
	colors := []string{"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}
	var b strings.Builder
	bold, faint, color, open := false, false, "", ""
	for screen != "" {
		if rest, ok := strings.CutPrefix(screen, "\x1b["); ok {
			params, after, _ := strings.Cut(rest, "m")
			for p := range strings.SplitSeq(params, ";") {
				n, _ := strconv.Atoi(p)
				switch {
				case n == 0:
					bold, faint, color = false, false, ""
				case n == 1:
					bold = true
				case n == 2:
					faint = true
				case n == 22:
					bold, faint = false, false
				case n == 39:
					color = ""
				case 30 <= n && n <= 37:
					color = colors[n-30]
				case 90 <= n && n <= 97:
					color = "bright " + colors[n-90]
				}
			}
			screen = after
			continue
		}
		// The next run of one look, which ends with its line.
		end := strings.IndexAny(screen, "\x1b\n")
		if end < 0 {
			end = len(screen)
		}
		if screen[0] == '\n' {
			end = 1
		}
		look := color
		if bold {
			look = strings.TrimSpace(look + " bold")
		}
		if faint {
			look = strings.TrimSpace(look + " faint")
		}
		if screen[0] == '\n' {
			look = ""
		}
		if look != open {
			if open != "" {
				b.WriteByte('}')
			}
			if look != "" {
				b.WriteString("{" + look + ":")
			}
			open = look
		}
		b.WriteString(screen[:end])
		screen = screen[end:]
	}
	return b.String()
}
