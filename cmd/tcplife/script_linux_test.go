package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// Script commands that need pipes, signals, and to ask how much is in a pipe.
var pipeCommands = map[string]func(*testscript.TestScript, bool, []string){
	"feed":       feed,
	"closeafter": closeAfter,
	"twosignals": twoSignals,
}

const patience = 20 * time.Second

// program starts tcplife in the script's folder.
func program(ts *testscript.TestScript, args []string) *exec.Cmd {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	c := exec.Command(path, args[1:]...)
	c.Dir = ts.MkAbs(".")
	c.Env = append(os.Environ(), "NO_COLOR=", "GORACE="+ts.Getenv("GORACE"))
	return c
}

// feed CODE FILE OCTETS SIGNAL COMMAND...: runs a command with a pipe as standard
// input, writes the first OCTETS of FILE to it in small pieces (-1 is all of it),
// and keeps the pipe open until the command has read everything. Then it sends
// SIGNAL; with "none" it closes the pipe. The exit code must be CODE.
func feed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: feed CODE FILE OCTETS SIGNAL COMMAND...")
	}
	b := []byte(ts.ReadFile(args[1]))
	if n, err := strconv.Atoi(args[2]); err != nil || n > len(b) {
		ts.Fatalf("feed: %s octets of %d", args[2], len(b))
	} else if n >= 0 {
		b = b[:n]
	}
	in, w, err := os.Pipe()
	ts.Check(err)
	defer w.Close()
	c := program(ts, args[4:])
	c.Stdin = in
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	ts.Check(c.Start())
	in.Close()
	defer time.AfterFunc(patience, func() { c.Process.Kill() }).Stop()
	ts.Check(slowly(w, b, 100))
	drained(ts, w)
	if len(b) == 0 {
		// Nothing shows that the program has come as far as its signals; on a busy machine
		// that takes a while.
		time.Sleep(1500 * time.Millisecond)
	}
	switch args[3] {
	case "none":
		ts.Check(w.Close())
	case "INT":
		ts.Check(c.Process.Signal(os.Interrupt))
	case "TERM":
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	default:
		ts.Fatalf("feed: signal %q", args[3])
	}
	err = c.Wait()
	ts.Stdout().Write(out.Bytes())
	ts.Stderr().Write(errOut.Bytes())
	ts.Logf("[stdout]\n%s[stderr]\n%s", &out, &errOut)
	demand(ts, args[0], err)
}

// drained waits until nothing is left in a pipe, and then a little longer, until
// its reader has worked on it.
func drained(ts *testscript.TestScript, w *os.File) {
	waitFor(ts, "the program to read everything", func() bool { return pending(ts, w) == 0 })
	time.Sleep(500 * time.Millisecond)
}

// pending is the number of octets in a pipe.
func pending(ts *testscript.TestScript, f *os.File) int {
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
	ts.Check(err)
	return n
}

func waitFor(ts *testscript.TestScript, what string, done func() bool) {
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// closeafter LINES FILE COMMAND...: runs a command with a pipe as standard output
// and closes that after some lines, as head does. Standard input is the file, after
// which the pipe stays open; "-" stands for none. The exit code must be 0 and
// standard error empty.
func closeAfter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: closeafter LINES FILE COMMAND...")
	}
	lines, err := strconv.Atoi(args[0])
	ts.Check(err)
	r, out, err := os.Pipe()
	ts.Check(err)
	defer r.Close()
	c := program(ts, args[2:])
	c.Stdout = out
	var errOut bytes.Buffer
	c.Stderr = &errOut
	if args[1] != "-" {
		in, w, err := os.Pipe()
		ts.Check(err)
		defer w.Close()
		c.Stdin = in
		go w.Write([]byte(ts.ReadFile(args[1])))
	}
	ts.Check(c.Start())
	out.Close()
	defer time.AfterFunc(patience, func() { c.Process.Kill() }).Stop()
	b := bufio.NewReaderSize(r, 16)
	for range lines {
		if _, err := b.ReadString('\n'); err != nil {
			ts.Fatalf("reading the report: %v; stderr: %s", err, &errOut)
		}
	}
	r.Close()
	demand(ts, "0", c.Wait())
	if errOut.Len() > 0 {
		ts.Fatalf("a closed standard output is not quiet: %s", &errOut)
	}
}

// twosignals COMMAND...: runs a command whose output is more than a pipe holds,
// reads none of it, and interrupts the command, which then waits for its reader. A
// second interrupt must kill it.
func twoSignals(ts *testscript.TestScript, neg bool, args []string) {
	r, out, err := os.Pipe()
	ts.Check(err)
	defer r.Close()
	c := program(ts, args)
	c.Stdout, c.Stderr = out, io.Discard
	ts.Check(c.Start())
	defer time.AfterFunc(patience, func() { c.Process.Kill() }).Stop()
	out.Close()
	full := 0
	waitFor(ts, "the pipe to be full", func() bool {
		n := pending(ts, r)
		if n > 0 && n == full {
			return true
		}
		full = n
		time.Sleep(200 * time.Millisecond)
		return false
	})
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	ts.Check(c.Process.Signal(os.Interrupt))
	select {
	case err := <-exited:
		ts.Fatalf("the first signal ended a program that had not written its report: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	ts.Check(c.Process.Signal(os.Interrupt))
	<-exited
	if st, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !st.Signaled() || st.Signal() != syscall.SIGINT {
		ts.Fatalf("the second signal: %v, want an end by SIGINT", c.ProcessState)
	}
}
