package report

import (
	"bytes"
	"io"
	"strings"
)

var (
	_ = register("csv", func() Format { return newTable(',') })
	_ = register("tsv", func() Format { return newTable('\t') })
)

// table writes one line per connection for spreadsheets and awk: comma-separated
// as in RFC 4180 but with line feeds alone, or tab-separated. Late groups and the
// summary have no place in it. An empty field is unknown.
type table struct {
	separator byte
	// A field with one of quoted is put in quotes.
	quoted string
	// special are those, and all octets that a terminal might obey.
	special [256]bool
	columns []Column
	o       Options
	w       io.Writer
	out     []byte
}

func newTable(separator byte) *table {
	f := &table{separator: separator, quoted: string(separator) + "\"\r\n"}
	for c := range f.special {
		f.special[c] = !inert([]byte{byte(c)}) || strings.IndexByte(f.quoted, byte(c)) >= 0
	}
	return f
}

func (f *table) Begin(w io.Writer, o *Options) error {
	f.w, f.o = w, *o
	if f.columns = o.Columns; f.columns == nil {
		f.columns = append(defaultColumns[:len(defaultColumns):len(defaultColumns)], peerColumns(chosen(o.Peers))...)
	}
	f.out = make([]byte, 0, flushAt+flushAt/4)
	if o.Further {
		return nil // one table with one head; its column capture tells the reports apart
	}
	for i := range f.columns {
		if i > 0 {
			f.out = append(f.out, f.separator)
		}
		f.out = append(f.out, f.columns[i].Head...)
	}
	f.out = append(f.out, '\n')
	return nil
}

// Needs says what a table's columns are made of.
func (f *table) Needs() Needs {
	return columnNeeds(f.columns)
}

func (f *table) Encode(b *Buffer, c *Connection) {
	for i := range f.columns {
		if i > 0 {
			b.B = append(b.B, f.separator)
		}
		from := len(b.B)
		f.columns[i].cell(b, c, &f.o, false)
		b.B = f.quote(b.B, from)
	}
}

// quote puts what stands from a place on into quotes, if it must be, and makes harmless
// what a terminal would obey. Numbers, whose places are marked, need neither.
func (f *table) quote(b []byte, from int) []byte {
	if !f.remarkable(b[from:]) {
		return b
	}
	text := printable(string(b[from:]))
	b = b[:from]
	if !bytes.ContainsAny([]byte(text), f.quoted) {
		return append(b, text...)
	}
	b = append(b, '"')
	for i := range len(text) {
		if text[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, text[i])
	}
	return append(b, '"')
}

func (f *table) remarkable(b []byte) bool {
	for _, c := range b {
		if f.special[c] {
			return true
		}
	}
	return false
}

// inert reports whether a terminal would show b and not obey it, as far as that is
// cheap to see.
func inert(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// text appends a separator and a field.
func (f *table) text(b *Buffer, s string) {
	b.B = append(b.B, f.separator)
	from := len(b.B)
	b.B = f.quote(append(b.B, s...), from)
}

func (f *table) number(b *Buffer, n uint64) {
	b.B = appendUint(append(b.B, f.separator), n)
}

func (f *table) Add(id uint64, _ *Digest, b *Buffer) error {
	f.out = append(b.AppendTo(f.out, id), '\n')
	if len(f.out) < flushAt {
		return nil
	}
	return f.Flush()
}

func (f *table) Late(*Late) error { return nil }

func (f *table) End(*Summary) error { return f.Flush() }

// Flush writes the complete lines that are held back.
func (f *table) Flush() error {
	_, err := f.w.Write(f.out)
	f.out = f.out[:0]
	return err
}
