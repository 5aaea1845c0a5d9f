package capture

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// rotationPause is how often a folder is looked through for the next file: it may hold
// thousands, and what comes waits no longer than that.
const rotationPause = 250 * time.Millisecond

// rememberGone is how long a file that is gone is remembered: compressing it took less.
const rememberGone = 10 * time.Minute

// rotation is a folder into which a program rotates its captures.
type rotation struct {
	folder string
	f      *following
	// marks are the files that were read, or looked at, by their name.
	marks   map[string]mark
	present string
	looked  time.Time
	// waiting are files that are there and were not read, in their order.
	waiting []found
}

// mark is by what a file is known: another one of the same name may take its place,
// which a ring of files (-W) makes with the very same file.
type mark struct {
	info  os.FileInfo
	first wire.Time
	any   bool
	// read: it is done with; foreign: it is no capture.
	read, foreign bool
	// gone is when it was missed first: it is remembered for a while, because what
	// compresses a file takes it away when it is done.
	gone time.Time
}

type found struct {
	name string
	mark
}

func newRotation(folder string, f *following) *rotation {
	return &rotation{folder: folder, f: f, marks: map[string]mark{}}
}

func (r *rotation) next(f *following) (string, bool) {
	r.present = ""
	for {
		r.look()
		if len(r.waiting) > 0 {
			r.present = r.waiting[0].name
			r.looked = time.Time{}
			return r.present, true
		}
		if !f.pause() {
			return "", false
		}
	}
}

// over reports whether another file is there: one program writes one file at a time.
func (r *rotation) over() bool {
	if time.Since(r.looked) >= rotationPause {
		r.look()
	}
	return len(r.waiting) > 0
}

// moved reports whether a file has been compressed meanwhile (tcpdump -z), and stands under
// another name.
func (r *rotation) moved(name string) bool {
	r.look()
	return slices.ContainsFunc(r.waiting, func(w found) bool { return strings.TrimSuffix(w.name, filepath.Ext(w.name)) == name })
}

func (r *rotation) done(name string, first wire.Time, any bool) {
	m := mark{first: first, any: any, read: true}
	m.info, _ = os.Stat(name)
	r.marks[name] = m
	r.present = ""
}

// look finds what is waiting.
func (r *rotation) look() {
	defer func() { r.looked = time.Now() }()
	r.waiting = r.waiting[:0]
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		return // it may come back
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		name := filepath.Join(r.folder, e.Name())
		there[name] = true
		if name == r.present || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		m := r.marks[name]
		if m.info == nil || !os.SameFile(m.info, info) || m.info.Size() != info.Size() || !m.info.ModTime().Equal(info.ModTime()) {
			m = r.peek(name, info, m)
			r.marks[name] = m
		}
		if !m.read && !m.foreign && !r.packed(name, &m) {
			r.waiting = append(r.waiting, found{name, m})
		}
	}
	for name, m := range r.marks {
		switch {
		case there[name]:
			continue
		case m.gone.IsZero():
			m.gone = time.Now()
			r.marks[name] = m
		case time.Since(m.gone) > rememberGone:
			delete(r.marks, name)
		}
	}
	slices.SortFunc(r.waiting, func(a, b found) int {
		return cmp.Or(cmp.Compare(boolInt(!a.any), boolInt(!b.any)), cmp.Compare(a.first, b.first), compareNames(a.name, b.name))
	})
}

// peek looks at the first frame of a file. One that was read and still begins with the
// same frame has only grown, behind our back; it is not read again.
func (r *rotation) peek(name string, info os.FileInfo, was mark) mark {
	m := mark{info: info}
	src, err := Open(name)
	var foreign *FormatError
	switch {
	case errors.As(err, &foreign):
		m.foreign = true
		return m
	case err != nil:
		return m // it has no header yet
	}
	defer src.Close()
	var f wire.Frame
	if src.Next(&f) == nil {
		m.first, m.any = f.At, true
	}
	m.read = was.read && was.any && m.any && was.first == m.first
	return m
}

// packed reports whether a file is one that was read already, compressed meanwhile
// (tcpdump -z). While the compressor is at its begin there is no frame to know it by: it
// is not taken for the next of the rotation before that can be told.
func (r *rotation) packed(name string, m *mark) bool {
	was, known := r.marks[strings.TrimSuffix(name, filepath.Ext(name))]
	return known && was.read && was.any && (!m.any || was.first == m.first)
}
