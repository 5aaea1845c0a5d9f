package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func init() { pipeCommands["terminal"] = terminal }

// terminal COLUMNSxROWS [slow:FILE] [err] COMMAND...: runs a command on a pseudo terminal
// of that size; standard output holds what it drew, with line feeds alone. With slow:FILE
// standard input is a pipe in which the file comes over two seconds. With err only
// standard error is the terminal, and standard output is not kept.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminal COLUMNSxROWS [slow:FILE] [err] COMMAND...")
	}
	var size unix.Winsize
	if _, err := fmt.Sscanf(args[0], "%dx%d", &size.Col, &size.Row); err != nil {
		ts.Fatalf("terminal: size %q", args[0])
	}
	args = args[1:]
	var slow []byte
	if name, ok := strings.CutPrefix(args[0], "slow:"); ok {
		slow, args = []byte(ts.ReadFile(name)), args[1:]
	}
	onlyErr := args[0] == "err"
	if onlyErr {
		args = args[1:]
	}
	master, slave, err := pseudoTerminal(&size)
	ts.Check(err)
	defer master.Close()

	path, err := exec.LookPath(args[0])
	ts.Check(err)
	c := exec.Command(path, args[1:]...)
	c.Dir = ts.MkAbs(".")
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8", "GORACE=" + ts.Getenv("GORACE")}
	for _, name := range []string{"TERM", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "LC_ALL", "XDG_CONFIG_HOME"} {
		if v := ts.Getenv(name); v != "" {
			c.Env = append(c.Env, name+"="+v)
		}
	}
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
	if onlyErr {
		c.Stdout = io.Discard
	}
	if slow != nil {
		r, w, err := os.Pipe()
		ts.Check(err)
		c.Stdin = r
		go func() {
			defer w.Close()
			for i := range 20 {
				w.Write(slow[i*len(slow)/20 : (i+1)*len(slow)/20])
				time.Sleep(100 * time.Millisecond)
			}
		}()
	}
	ts.Check(c.Start())
	slave.Close()
	defer time.AfterFunc(patience, func() { c.Process.Kill() }).Stop()
	var drawn bytes.Buffer
	// The kernel says EIO when the last one has closed the terminal.
	if _, err := io.Copy(&drawn, master); err != nil && !errors.Is(err, syscall.EIO) {
		ts.Fatalf("reading the terminal: %v", err)
	}
	err = c.Wait()
	text := strings.ReplaceAll(drawn.String(), "\r\n", "\n")
	io.WriteString(ts.Stdout(), text)
	ts.Logf("[terminal]\n%s", text)
	if err != nil {
		ts.Logf("%v", err)
	}
}

// pseudoTerminal opens both ends of a new one.
func pseudoTerminal(size *unix.Winsize) (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size); err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}
