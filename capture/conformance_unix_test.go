//go:build unix

package capture

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

func init() {
	k := sourceKinds["file"]
	k.waits = true
	k.open = func(t *testing.T, b []byte, waits bool) Source {
		name := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
		// A named pipe opens when both ends do.
		writer := make(chan *os.File, 1)
		go func() {
			w, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				panic(err)
			}
			writer <- w
			feed(w, b, waits)
		}()
		t.Cleanup(func() { (<-writer).Close() })
		return mustOpen(t)(Open(name))
	}
	sourceKinds["named pipe"] = k
}

func TestStdinTerminal(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("wants a pseudo terminal, to refuse it as standard input: %v", err)
	}
	defer tty.Close()
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	os.Stdin = tty
	if _, err := Open("-"); err == nil || !strings.HasPrefix(err.Error(), "read standard input: is a terminal (pipe a capture in") {
		t.Error(err)
	}
}

// TestFollowNamedPipe: a named pipe is followed before it has a writer, can be given up
// then, and is read when one comes.
func TestFollowNamedPipe(t *testing.T) {
	follow := func(name string) Live {
		t.Helper()
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
		opened := make(chan Live, 1)
		go func() {
			src, err := Follow(name)
			if err != nil {
				t.Error(err)
			}
			opened <- src
		}()
		select {
		case src := <-opened:
			return src
		case <-time.After(10 * time.Second):
			t.Fatal("following a named pipe waits for its writer")
		}
		return nil
	}
	var f wire.Frame
	given := follow(filepath.Join(t.TempDir(), "given"))
	if err := given.NextWithin(&f, time.Millisecond); err != ErrNoFrame {
		t.Errorf("nobody writes, and a frame is asked for: %v", err)
	}
	given.Close()
	if err := given.NextWithin(&f, time.Minute); err != os.ErrClosed {
		t.Errorf("after Close: %v", err)
	}

	name := filepath.Join(t.TempDir(), "fifo")
	src := follow(name)
	defer src.Close()
	w, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Write(pcapOf(7, 8))
	if err := src.NextWithin(&f, time.Minute); err != nil || f.At.Std().Unix() != 1_700_000_007 {
		t.Errorf("%v, a frame of %v", err, f.At)
	}
}
