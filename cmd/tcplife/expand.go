package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/capture"
)

// maxNameLen bounds a name in a list of files: no system's paths are longer, and a
// capture given for a list may hold gigabytes without a line end.
const maxNameLen = 32 << 10

// expand turns the arguments and the list of --files-from into the names of inputs:
// a folder into the files in it, a pattern into the files that it matches. It opens
// nothing but folders and the list.
func (o *analyzeOptions) expand(s *streams, args []string) (*inputs, error) {
	in := &inputs{s: s}
	x := expansion{inputs: in, seen: map[string]bool{}}
	if o.filesFrom == "-" && slices.Contains(args, "-") {
		return nil, usage("--files-from -: standard input is the list, so it cannot be a capture as well")
	}
	for _, arg := range args {
		x.argument(arg)
	}
	if o.filesFrom != "" {
		if err := x.list(o.filesFrom, o.null); err != nil {
			return nil, err
		}
	}
	if x.stdin > 1 {
		return nil, usage("analyze: standard input is given %d times, and can be read once", x.stdin)
	}
	// One argument that stands for many names them all.
	if len(args) == 1 && o.filesFrom == "" && (len(in.candidates) != 1 || in.candidates[0].Name != args[0]) {
		in.label = args[0]
	}
	return in, nil
}

// expansion collects names.
type expansion struct {
	*inputs
	seen  map[string]bool
	stdin int
}

// argument takes an argument: what exists under its name, or else a pattern. Shells
// expand those that are not in quotes; Windows has none that do.
func (x *expansion) argument(arg string) {
	if arg == "-" {
		x.stdin++
		x.candidates = append(x.candidates, capture.Candidate{Name: arg})
		return
	}
	if _, err := os.Lstat(arg); err == nil || !strings.ContainsAny(arg, "*?[") {
		x.path(arg)
		return
	}
	names, err := filepath.Glob(arg)
	if err != nil {
		x.fail(arg, fmt.Errorf("open %s: no such file, and as a pattern: %w (check the brackets)", arg, err))
		return
	}
	// As in a shell, a star does not stand for the dot that hides a file.
	if !strings.HasPrefix(filepath.Base(arg), ".") {
		names = slices.DeleteFunc(names, hidden)
	}
	if len(names) == 0 {
		x.fail(arg, fmt.Errorf("open %s: no such file, and no file matches it as a pattern (check the path)", arg))
	}
	for _, n := range names {
		x.path(n)
	}
}

func hidden(name string) bool { return strings.HasPrefix(filepath.Base(name), ".") }

// path takes a name: a folder stands for the files in it.
func (x *expansion) path(name string) {
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		x.folder(name)
		return
	}
	x.add(name, false)
}

// folder takes the files in a folder, but not those in folders inside it: they may
// well be another tap's.
func (x *expansion) folder(name string) {
	entries, err := os.ReadDir(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		x.fail(name, fmt.Errorf("open folder %s: %w", name, err))
		return
	}
	x.folders = append(x.folders, name)
	for _, e := range entries {
		path := filepath.Join(name, e.Name())
		st, err := os.Stat(path) // what a link leads to
		switch {
		case hidden(path):
		case err != nil:
			x.s.note("%s is passed over: %v", path, err)
		case st.IsDir():
			x.s.note("%s is passed over: a folder inside a folder", path)
		case !st.Mode().IsRegular():
			x.s.note("%s is passed over: a pipe or a device", path)
		case st.Size() == 0:
			// Programs that rotate files make the next one before they write it.
			x.s.note("%s is passed over: it is empty", path)
		default:
			x.add(path, true)
		}
	}
}

// add takes one file, once: a link beside the file that it leads to ("latest.pcap")
// would double every frame.
func (x *expansion) add(name string, found bool) {
	key := name
	if real, err := filepath.EvalSymlinks(name); err == nil {
		key = real
	}
	if abs, err := filepath.Abs(key); err == nil {
		key = abs
	}
	if capture.Reopens(name) {
		if x.seen[key] {
			if found {
				x.s.note("%s is passed over: the same file has another name here", name)
			} else {
				x.s.warn("%s is named more than once, and read once", name)
			}
			return
		}
		x.seen[key] = true
	}
	x.candidates = append(x.candidates, capture.Candidate{Name: name, Found: found})
}

func (x *expansion) fail(name string, err error) {
	x.unread = append(x.unread, capture.Unread{Name: name, Err: err})
}

// list reads names from a file, or from standard input for "-": one on each line,
// or each ended by a zero octet as find -print0 writes them. They are names and no
// patterns.
func (x *expansion) list(from string, null bool) error {
	r := x.s.in
	what := "standard input"
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return &exitError{exitOpen, fmt.Errorf("--files-from: %w", err)}
		}
		defer f.Close()
		r, what = f, from
	}
	end := byte('\n')
	if null {
		end = 0
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxNameLen)
	lines.Split(func(b []byte, eof bool) (int, []byte, error) {
		if i := bytes.IndexByte(b, end); i >= 0 {
			return i + 1, b[:i], nil
		}
		if eof && len(b) > 0 {
			return len(b), b, nil
		}
		return 0, nil, nil
	})
	for n := 1; lines.Scan(); n++ {
		name := lines.Text()
		if !null {
			name = strings.TrimSuffix(name, "\r")
			if strings.ContainsRune(name, 0) {
				return usage("--files-from %s: line %d holds a zero octet: is the list written with -print0? then give --null", what, n)
			}
		}
		switch name {
		case "":
		case "-":
			x.path("./-") // a list names files
		default:
			x.path(name)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return usage("--files-from %s: a name has more than %d octets: is that a list of files?", what, maxNameLen)
	} else if err != nil && err != io.EOF {
		return &exitError{exitOpen, fmt.Errorf("--files-from: read %s: %w", what, err)}
	}
	return nil
}
