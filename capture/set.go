package capture

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/wire"
)

// maxInputs bounds a Set. A frame's identifier has room for sixteen times as many;
// a rotation of a million files is a mistake in a pattern.
const maxInputs = 1 << 20

// Candidate is a name that may be an input.
type Candidate struct {
	Name string
	// Found says that the name was found in a folder and not given: if it is no
	// capture it is passed over, and no error.
	Found bool
}

// Unread is an input that could not be opened, and why.
type Unread struct {
	Name string
	Err  error
}

// Set is several inputs that are one capture, such as the rotated files of one tap.
// Its order is that of the first frames' times; inputs without frames come last;
// equal ones go by name, in which numbers count as numbers. The order in which the
// names were given is of no account.
type Set struct {
	members []*member
	// full is the number of members that have frames.
	full   int
	unread []Unread
	passed []error
	open   func(name string) (Source, error)
}

// member is one input of a Set.
type member struct {
	name  string
	first wire.Time
	// info is complete when the input has no frame; nil otherwise.
	info *Info
	// src stays open when the input cannot be opened again (standard input, a pipe);
	// head is its first frame.
	src  Source
	head wire.Frame
	used bool
}

// Gather looks at the first frame of each candidate. Files are closed again, to be
// opened when their time has come: of ten thousand only few are open at once. open
// takes the place of Open when it is not nil.
//
// What could not be opened is in Unread, what is no capture and was only found in
// Passed; an input that is damaged in its header is a member without frames. The
// error is one of too many candidates.
func Gather(names []Candidate, open func(name string) (Source, error)) (*Set, error) {
	if len(names) > maxInputs {
		return nil, fmt.Errorf("open %d inputs: at most %d are one capture (name fewer, or join them first: mergecap -w ALL FILE...)", len(names), maxInputs)
	}
	s := &Set{open: open}
	if s.open == nil {
		s.open = Open
	}
	for _, c := range names {
		m, err := s.look(c.Name)
		var foreign *FormatError
		switch {
		case err == nil:
			s.members = append(s.members, m)
		case c.Found && errors.As(err, &foreign):
			s.passed = append(s.passed, err)
		default:
			s.unread = append(s.unread, Unread{c.Name, err})
		}
	}
	slices.SortStableFunc(s.members, func(a, b *member) int {
		if (a.info == nil) != (b.info == nil) {
			return cmp.Compare(boolInt(a.info != nil), boolInt(b.info != nil))
		}
		return cmp.Or(cmp.Compare(a.first, b.first), compareNames(a.name, b.name))
	})
	for _, m := range s.members {
		if m.info == nil {
			s.full++
		}
	}
	return s, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// look reads up to the first frame.
func (s *Set) look(name string) (*member, error) {
	m := &member{name: name}
	src, err := s.open(name)
	var damage *DamageError
	if errors.As(err, &damage) {
		m.info = &Info{Name: name, Damage: []*DamageError{damage}, Damaged: 1}
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	for errors.As(err, &damage) || err == nil {
		if err = src.Next(&m.head); err == nil {
			m.first = m.head.At
			if Reopens(name) {
				m.head = wire.Frame{} // its octets go with the source
				return m, src.Close()
			}
			m.src = src
			return m, nil
		}
	}
	info := src.Info()
	m.info = &info
	src.Close()
	if err != io.EOF {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return m, nil
}

// Reopens reports whether an input can be read more than once: a regular file can,
// standard input, a pipe and a device cannot.
func Reopens(name string) bool {
	for _, o := range openers {
		if o.match(name) {
			return false
		}
	}
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// Names returns the inputs' names in the order of their numbers.
func (s *Set) Names() []string {
	names := make([]string, len(s.members))
	for i, m := range s.members {
		names[i] = m.name
	}
	return names
}

// Unread returns what could not be opened, in the order given.
func (s *Set) Unread() []Unread { return s.unread }

// Passed returns, for each candidate that was found and is no capture, what it is.
func (s *Set) Passed() []error { return s.passed }

// Close closes what Gather had to keep open and no source has taken over.
func (s *Set) Close() {
	for _, m := range s.members {
		if m.src != nil {
			m.src.Close()
		}
	}
}

// compareNames orders names as people number them: cap9 before cap10. Runs of
// digits compare as numbers; names that differ in leading zeros alone as text.
func compareNames(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		i, j := digits(x), digits(y)
		if i == 0 || j == 0 {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
		if c := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n)); c != 0 {
			return c
		}
		x, y = x[i:], y[j:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits returns the length of the decimal digits that s begins with.
func digits(s string) int {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i
}
