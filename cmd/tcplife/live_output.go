package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// liveOutput is where a live run prints: what is written is there at once, and a file
// may be opened anew between two writes, when a rotation has moved it away. The folder is
// held open, so that this needs no more rights than it had in the beginning.
type liveOutput struct {
	s      *streams
	name   string // of the file in folder; empty for standard output
	path   string
	folder *os.Root
	failed func()

	mu   sync.Mutex
	w    io.Writer
	file *os.File
	err  error
}

// openLiveOutput opens the file of --output, or takes standard output. With appends it goes
// on behind what the file holds. failed is called when writing fails.
func openLiveOutput(s *streams, path string, appends bool, failed func()) (*liveOutput, error) {
	o := &liveOutput{s: s, path: path, w: s.out, failed: failed}
	if path == "" {
		return o, nil
	}
	var err error
	if o.folder, err = os.OpenRoot(filepath.Dir(path)); err == nil {
		o.name = filepath.Base(path)
		if appends {
			err = o.goOn()
		} else {
			err = o.create(os.O_TRUNC)
		}
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &exitError{exitOutput, fmt.Errorf("--output: create %s: %w (check the folder and its permissions)", path, err)}
	}
	return o, nil
}

func (o *liveOutput) create(how int) error {
	f, err := o.folder.OpenFile(o.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|how, 0o666)
	if err == nil {
		o.file, o.w = f, f
	}
	return err
}

// goOn opens the file to write behind what it holds. Who was killed while writing has left
// a part of a line, which must not become one with the first of this run.
func (o *liveOutput) goOn() error {
	if err := o.create(0); err != nil {
		return err
	}
	st, err := o.file.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
		return err
	}
	held, err := o.folder.Open(o.name)
	if err != nil {
		return err
	}
	defer held.Close()
	var last [1]byte
	if _, err := held.ReadAt(last[:], st.Size()-1); err != nil {
		return err
	}
	if last[0] != '\n' {
		_, err = o.file.WriteString("\n")
	}
	return err
}

// Write writes whole lines.
func (o *liveOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = err
		o.failed()
	}
	return n, err
}

// reopenOn opens the file anew for each signal, until ctx is done. Where nobody has moved
// it, it goes on behind what it holds.
func (o *liveOutput) reopenOn(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		if o.folder == nil {
			continue
		}
		o.mu.Lock()
		old := o.file
		if err := o.create(0); err != nil {
			o.s.tell("--output: open %s anew: %v (what follows still goes where it went before)", o.path, err)
		} else {
			old.Close()
		}
		o.mu.Unlock()
	}
}

// Close closes the file. A disk that is full may say so only now.
func (o *liveOutput) Close() (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file != nil {
		err = o.file.Close()
		o.folder.Close()
	}
	return err
}
