package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hostile lists captures that were made or found to break their readers, and such
// that hold no TCP at all, mostly of unusual link types.
func hostile(t *testing.T) (names []string) {
	t.Helper()
	for _, folder := range []string{"malformed", "no-tcp"} {
		more, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "corpus", folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, more...)
	}
	if len(names) == 0 {
		t.Skip("wants the captures of other projects in ../shared/corpus/malformed and ../shared/corpus/no-tcp")
	}
	return names
}

// What breaks readers is read to its end, or as far as it goes, soon; and when that
// is not all of it, the exit status and standard error say so.
func TestHostileCaptures(t *testing.T) {
	const soon = 5 * time.Second // the largest has two megabytes
	codes := map[int]int{}
	for _, name := range hostile(t) {
		start := time.Now()
		var errOut bytes.Buffer
		code := run(context.Background(), []string{"analyze", "--all", name}, strings.NewReader(""), io.Discard, &errOut)
		if took := time.Since(start); took > soon {
			t.Errorf("%s: took %v", name, took)
		}
		codes[code]++
		switch said := errOut.String(); {
		case code != exitOK && code != exitDamaged && code != exitOpen:
			t.Errorf("%s: exit code %d: %s", name, code, said)
		case (code == exitOK) != (said == ""):
			t.Errorf("%s: exit code %d, and standard error says %q", name, code, said)
		case code != exitOK && !strings.Contains(said, filepath.Base(name)):
			t.Errorf("%s is not named: %s", name, said)
		}
	}
	t.Logf("captures by exit code: %v", codes)
}

// The program's memory on the worst of them: one process reads them all, each for
// itself, so that its peak is at least that of any.
func TestHostileCapturesTakeLittleMemory(t *testing.T) {
	const most = 256 << 10 // KiB, as getrusage(2) counts on Linux
	names := hostile(t)
	if raced {
		t.Skip("the race detector's own memory is counted too: run without -race")
	}
	path, err := exec.LookPath("tcplife")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	c := exec.CommandContext(ctx, path, append([]string{"analyze", "--each", "--format", "ndjson"}, names...)...)
	var errOut bytes.Buffer
	c.Stderr = &errOut
	c.Env = append(os.Environ(), "NO_COLOR=")
	_ = c.Run() // some of them are damaged: the exit code says nothing here
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok || c.ProcessState.ExitCode() != exitDamaged && c.ProcessState.ExitCode() != exitOpen {
		t.Fatalf("%v: %s", c.ProcessState, &errOut)
	}
	t.Logf("%d captures: at most %d MiB in %v", len(names), usage.Maxrss>>10, c.ProcessState.UserTime()+c.ProcessState.SystemTime())
	if usage.Maxrss > most {
		t.Errorf("%d KiB of memory, more than %d", usage.Maxrss, most)
	}
}
