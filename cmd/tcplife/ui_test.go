//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestScreensOfUI drives the screens as a user does, in a terminal of the usual size and
// in a large one: start, a filter with a mistake in it, the same without, one connection,
// what its finding means, quit. What the terminal shows stands in testdata/screens.
func TestScreensOfUI(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		t.Run(strconv.Itoa(size[0]), func(t *testing.T) {
			t.Parallel()
			x := openTerminal(t, size[0], size[1], "tcplife analyze --ui testdata/pcaps/mixed.pcap.gz")
			x.golden("start", "close-wait-leak")
			x.press("Enter").golden("matter", "Against it")
			x.press("q", "2").golden("connections", "[2 Connections]", "client is")
			x.press("/").sees("filter:")
			x.typed(`close.reson == "abort-unread"`).press("Enter").golden("fault", "did you mean close.reason?")
			x.press("C-e", "C-u").typed(`close.reason == "abort-unread"`).press("Enter").golden("filter", "only: ", "1/6")
			x.press("Enter").golden("life", "Connection #74", "Handshake:")
			x.press("e").golden("explain", "What it is")
			x.press("q", "q", "3").golden("listeners", "[3 Listeners]")
			x.press("4").golden("census", "[4 Census]")
			x.press("5").golden("capture", "[5 Capture]", "Capture quality")
			x.press("?").golden("help", "Everywhere")
			x.press("q").sees("[5 Capture]")
			x.press("q").sees("it ended with 0")
		})
	}
	t.Run("resized", func(t *testing.T) {
		t.Parallel()
		x := openTerminal(t, 80, 24, "tcplife analyze --ui testdata/pcaps/mixed.pcap.gz")
		x.press("2").sees("1/178")
		x.command("resize-window", "-x", "130", "-y", "40")
		x.sees("packets", "bytes", "close", "1/178")
		x.command("resize-window", "-x", "60", "-y", "12")
		x.sees("client is", "1/178")
		x.command("resize-window", "-x", "30", "-y", "5")
		x.sees("This terminal has 30 columns")
		x.command("resize-window", "-x", "80", "-y", "24")
		x.sees("client is", "#4 10.0.0.1:20000 > 10.0.0.2:8080")
		x.press("C-c").sees("it ended with 0")
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		whole, err := os.ReadFile(filepath.Join(pcapDir, "abort.pcap"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "cut.pcap")
		if err := os.WriteFile(path, whole[:len(whole)-10], 0o644); err != nil {
			t.Fatal(err)
		}
		x := openTerminal(t, 80, 24, "tcplife analyze --ui "+path)
		x.sees("[1 What happened]", "capture: limited")
		x.press("5").sees("Damaged:")
		// What belongs on standard error comes when the screens are gone.
		x.press("q").sees("tcplife: ", "cut.pcap", "it ended with 3")
	})
}

// terminalPatience is how long a screen may take: a machine may be busy.
const terminalPatience = time.Minute

// console is a program in a terminal, which tmux plays.
type console struct {
	t      *testing.T
	width  int
	socket string
	env    []string
}

// openTerminal starts a command line in a terminal of a size, without colours.
func openTerminal(t *testing.T, width, height int, line string) *console {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("wants tmux, to look at a terminal's screen")
	}
	dir, err := os.MkdirTemp("", "tmux") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "tcplife")); err != nil { // see TestMain
		t.Fatal(err)
	}
	x := &console{t, width, filepath.Join(dir, "s"), []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "SHELL=/bin/sh", "HOME=" + dir,
		configVariable + "=none", "GORACE=atexit_sleep_ms=0", "NO_COLOR=1"}}
	x.command("new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height), line+"; echo it ended with $?; exec cat")
	t.Cleanup(func() { x.tmux("kill-server").Run() }) // the one behind this socket
	return x
}

func (x *console) tmux(args ...string) *exec.Cmd {
	c := exec.Command("tmux", append([]string{"-S", x.socket, "-f", "/dev/null"}, args...)...)
	c.Dir, c.Env = "../..", x.env
	return c
}

func (x *console) command(args ...string) string {
	x.t.Helper()
	out, err := x.tmux(args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// press presses keys, by tmux's names.
func (x *console) press(keys ...string) *console {
	x.t.Helper()
	x.command(append([]string{"send-keys"}, keys...)...)
	return x
}

// typed types a text.
func (x *console) typed(text string) *console {
	x.t.Helper()
	x.command("send-keys", "-l", text)
	return x
}

func (x *console) screen() string {
	x.t.Helper()
	return strings.TrimRight(x.command("capture-pane", "-p"), "\n") + "\n"
}

// until looks at the screen until it is as wanted, and returns it.
func (x *console) until(is func(screen string) bool) (screen string, ok bool) {
	x.t.Helper()
	for end := time.Now().Add(terminalPatience); ; time.Sleep(20 * time.Millisecond) {
		if screen = x.screen(); is(screen) {
			return screen, true
		}
		if time.Now().After(end) {
			return screen, false
		}
	}
}

// sees waits until the screen has all texts.
func (x *console) sees(texts ...string) *console {
	x.t.Helper()
	screen, ok := x.until(func(screen string) bool { return hasAll(screen, texts) })
	if !ok {
		x.t.Fatalf("the screen lacks one of %q after %s:\n%s", texts, terminalPatience, screen)
	}
	return x
}

func hasAll(screen string, texts []string) bool {
	for _, s := range texts {
		if !strings.Contains(screen, s) {
			return false
		}
	}
	return true
}

// golden waits until the screen has all texts, and then until it is the one that is kept
// under a name.
func (x *console) golden(name string, texts ...string) {
	x.t.Helper()
	x.sees(texts...)
	path := filepath.Join("testdata/screens", "ui-"+name+"-"+strconv.Itoa(x.width)+".txt")
	if *update {
		before := ""
		screen, _ := x.until(func(screen string) bool {
			same := screen == before && hasAll(screen, texts)
			before = screen
			return same
		})
		if err := os.WriteFile(path, []byte(screen), 0o644); err != nil {
			x.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		x.t.Fatalf("%v (go test ./cmd/tcplife -run ScreensOfUI -update writes it)", err)
	}
	if screen, ok := x.until(func(screen string) bool { return screen == string(want) }); !ok {
		x.t.Fatalf("%s differs (-want +got):\n%s", path, cmp.Diff(string(want), screen))
	}
	if e := x.command("capture-pane", "-p", "-e"); strings.Contains(e, "\x1b[3") && !strings.Contains(e, "\x1b[39m") {
		x.t.Errorf("%s: colours, though NO_COLOR is set", name)
	}
}
