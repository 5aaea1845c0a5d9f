package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Order is a field by which connections are put in order.
type Order struct {
	Field      *Field
	Descending bool
}

// ParseOrder reads a field's name, with a minus before it for the largest first.
func ParseOrder(s string) (*Order, error) {
	name, descending := strings.CutPrefix(s, "-")
	f := fieldOrDerived(name)
	if f == nil {
		return nil, fmt.Errorf("%w ('tcplife explain fields' lists them)", UnknownField(name))
	}
	return &Order{f, descending}, nil
}

// String returns the order as ParseOrder reads it.
func (o *Order) String() string {
	if o.Descending {
		return "-" + o.Field.Name
	}
	return o.Field.Name
}

// Arrange returns a format that hands connections on to f in another order, when all
// of them are there, and the first limit of them alone (0: all); without an order they
// are handed on as they come. Summary and late groups are as ever. With an order and
// no limit it holds all connections in memory, encoded.
func Arrange(f Format, by *Order, limit int) Format {
	return &arranged{Format: f, by: by, limit: limit}
}

type arranged struct {
	Format
	by    *Order
	limit int
	held  []heldConnection
	added int
}

// heldConnection is a connection that waits for its turn.
type heldConnection struct {
	key    Value
	id     uint64
	digest Digest
	buffer Buffer
}

// Begin tells the text report that the order is not its own.
func (f *arranged) Begin(w io.Writer, o *Options) error {
	own := *o
	if f.by != nil {
		own.Order = f.by.String()
	}
	return f.Format.Begin(w, &own)
}

func (f *arranged) Encode(b *Buffer, c *Connection) {
	f.Format.Encode(b, c)
	if f.by != nil {
		b.Key = f.by.Field.Get(c)
	}
}

func (f *arranged) Add(id uint64, d *Digest, b *Buffer) error {
	if f.by == nil {
		if f.added++; f.added > f.limit {
			return nil
		}
		return f.Format.Add(id, d, b)
	}
	key := b.Key
	if f.by.Field.Numbered() {
		key = f.by.Field.Number(id, d.Stream)
	}
	f.held = append(f.held, heldConnection{key, id, *d, b.clone()})
	if f.limit > 0 && len(f.held) >= 2*f.limit+1024 {
		f.cut()
	}
	return nil
}

// cut puts what is held in order and forgets what is beyond the limit.
func (f *arranged) cut() {
	slices.SortFunc(f.held, func(a, b heldConnection) int {
		return cmp.Or(f.by.compare(a.key, b.key), cmp.Compare(a.id, b.id))
	})
	if f.limit > 0 && len(f.held) > f.limit {
		clear(f.held[f.limit:])
		f.held = f.held[:f.limit]
	}
}

// compare compares two values; those that are unknown come last in either direction.
func (o *Order) compare(a, b Value) int {
	if o.Descending && a.Kind != KindUnknown && b.Kind != KindUnknown {
		a, b = b, a
	}
	return a.Compare(b)
}

func (f *arranged) End(s *Summary) error {
	if f.by != nil {
		f.cut()
	}
	for i := range f.held {
		h := &f.held[i]
		if err := f.Format.Add(h.id, &h.digest, &h.buffer); err != nil {
			return err
		}
	}
	return f.Format.End(s)
}

// Flush hands on to the format.
func (f *arranged) Flush() error {
	if x, ok := f.Format.(Flusher); ok {
		return x.Flush()
	}
	return nil
}
