//go:build unix

package capture

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
