package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// openFile opens a path: a regular file, a named pipe or a device. Close of the
// latter two sets a waiting Read free, so neither needs a patient reader.
func openFile(name string) (Source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, openError(name, err)
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("open %s: is a directory (name the capture files in it)", name)
	}
	in := newInput(f, f, name)
	in.waits = err != nil || !st.Mode().IsRegular()
	in.file = opened(f)
	return newSource(in)
}

// openedFile is a regular file that is read while others may write to it.
type openedFile struct {
	f    *os.File
	size int64
}

// opened returns nil for anything but a regular file.
func opened(f *os.File) *openedFile {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	return &openedFile{f, st.Size()}
}

// sizes returns how long the file was and is, in octets.
func (o *openedFile) sizes() (before, now int64) {
	if o == nil {
		return 0, 0
	}
	st, err := o.f.Stat()
	if err != nil {
		return o.size, o.size // closed, or gone in a way that reading has told of
	}
	return o.size, st.Size()
}

// openError strips the path that os repeats and adds the remedy.
func openError(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	remedy := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		remedy = " (check the path)"
	case errors.Is(err, fs.ErrPermission):
		remedy = " (run as a user who may read it, or change its mode)"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		remedy = " (raise the limit of open files, see ulimit -n, or join files first: mergecap -w ALL FILE...)"
	}
	return fmt.Errorf("open %s: %w%s", name, err, remedy)
}

var _ = registerOpener(opener{
	match: func(arg string) bool { return arg == "-" },
	open:  openStdin,
})

// openStdin reads the process's standard input, which stays open on Close.
func openStdin(name string) (Source, error) {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errors.New("read standard input: is a terminal (pipe a capture in: tcpdump -U -w - | tcplife analyze -)")
	}
	return NewReader(os.Stdin, name)
}

// neverWaits reports whether reading r cannot block for long, so that Close need
// not set a Read free. The detour over a goroutine is cheap but moves the octets
// to another core's cache.
func neverWaits(r io.Reader) bool {
	switch r := r.(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	case *os.File:
		st, err := r.Stat()
		return err == nil && st.Mode().IsRegular()
	}
	return false
}
