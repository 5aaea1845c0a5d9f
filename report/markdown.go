package report

import (
	"io"
	"strings"
)

var _ = register("markdown", func() Format { return new(markdown) })

// markdown writes what one pastes into a ticket: a table of the connections, with
// numbers as people read them, then the findings, and what was read.
type markdown struct {
	columns []Column
	o       Options
	w       io.Writer
	out     []byte
	rows    bool
}

// markdownColumns are the usual ones: what fits into a page.
var markdownColumns = fieldColumns(
	[]string{"#", "client", "server", "start", "lasted", "sent by client", "by server", "outcome", "close", "by", "with", "client's state", "server's state", "findings"},
	[]string{"id", "client", "server", "start", "duration", "bytes.client", "bytes.server", "outcome", "close.reason", "close.closer", "close.by", "final.client", "final.server", "findings"})

func (f *markdown) Begin(w io.Writer, o *Options) error {
	f.w, f.o = w, *o
	if f.columns = o.Columns; f.columns == nil {
		f.columns = append(markdownColumns[:len(markdownColumns):len(markdownColumns)], peerColumns(chosen(o.Peers))...)
	}
	f.out = make([]byte, 0, flushAt+flushAt/4)
	if o.Further {
		f.out = append(f.out, '\n')
	}
	return nil
}

// Needs says what the columns are made of.
func (f *markdown) Needs() Needs { return columnNeeds(f.columns) }

// head writes the table's first lines, before its first row: a table without rows
// would be nothing to look at.
func (f *markdown) head() {
	f.rows = true
	for i := range f.columns {
		f.out = append(f.out, "| "...)
		f.out = append(f.out, f.columns[i].Head...)
		f.out = append(f.out, ' ')
	}
	f.out = append(f.out, "|\n"...)
	for i := range f.columns {
		f.out = append(f.out, "| --- "...)
		if f.columns[i].number() {
			f.out = append(f.out[:len(f.out)-1], ": "...)
		}
	}
	f.out = append(f.out, "|\n"...)
}

func (f *markdown) Encode(b *Buffer, c *Connection) {
	for i := range f.columns {
		b.B = append(b.B, "| "...)
		from := len(b.B)
		f.columns[i].cell(b, c, &f.o, true)
		b.B = append(b.B[:from], markdownText(string(b.B[from:]))...)
		b.B = append(b.B, ' ')
	}
	b.B = append(b.B, '|')
}

// markdownText escapes what would end a cell or be taken for a mark.
func markdownText(s string) string {
	s = printable(s)
	if !strings.ContainsAny(s, "|*`<>\\") {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("|*`<>\\", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (f *markdown) Add(id uint64, _ *Digest, b *Buffer) error {
	if !f.rows {
		f.head()
	}
	f.out = append(b.AppendTo(f.out, id), '\n')
	if len(f.out) < flushAt {
		return nil
	}
	return f.Flush()
}

func (f *markdown) Late(*Late) error { return nil }

func (f *markdown) End(s *Summary) error {
	p := printer{s: s, o: &f.o, multi: len(f.o.Inputs) > 1}
	if f.rows {
		p.WriteByte('\n')
	}
	if found := s.Findings(); len(found) > 0 {
		p.WriteString("| severity | finding | connections | what |\n| --- | --- | ---: | --- |\n")
		for _, x := range found {
			p.linef("| %s | %s | %s | %s |", x.Worst, x.Rule.ID, number(x.Connections), markdownText(x.Rule.Title))
		}
		p.WriteByte('\n')
	}
	line := markdownText(p.inputName()) + ": " + plural(s.Frames(), "frame", "frames") + ", " + plural(s.All(), "connection", "connections")
	if first, last, ok := s.Span(); ok {
		line += ", " + f.o.clock(first) + " to " + f.o.clock(last) + " " + f.o.zone(last)
	}
	if len(s.Selection) > 0 {
		by := make([]string, len(s.Selection))
		for i, w := range s.Selection {
			by[i] = printable(w)
		}
		line += "; selected: " + number(s.Connections) + " by " + codeSpan(strings.Join(by, " "))
	}
	if n := len(s.Unread); n > 0 {
		line += "; " + plural(uint64(n), "file", "files") + " could not be opened"
	}
	if _, _, damaged, _ := s.readQuality(); damaged > 0 {
		line += "; " + plural(damaged, "file is", "files are") + " damaged"
	}
	if s.Interrupted {
		line += "; interrupted"
	}
	p.linef("%s.", line)
	f.out = append(f.out, p.String()...)
	return f.Flush()
}

// codeSpan quotes a text as code, whatever it holds.
func codeSpan(s string) string {
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// Flush writes the complete lines that are held back.
func (f *markdown) Flush() error {
	_, err := f.w.Write(f.out)
	f.out = f.out[:0]
	return err
}
