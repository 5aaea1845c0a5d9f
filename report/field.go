package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Field is one thing that a report says of a connection, under its name in the JSON
// contract: what a filter asks for, a column shows, and a table is ordered or
// grouped by. The table of them (field_table.go) is the only one: the schema and
// docs/data.md are compared with it by tests.
type Field struct {
	// Name is the path in the connection's object: "close.reason".
	Name string
	Kind ValueKind
	// Unit is what an integer counts, in words; empty where that is no question.
	Unit string
	// Optional: it may be unknown, as the JSON may lack it.
	Optional bool
	// Words is the closed list that a text is from; nil for any text.
	Words []string
	// Of is what a list is made of.
	Of string
	// get returns the value. It is nil for the numbers, which are not known where a
	// connection is encoded: ID and Stream say which of them it is.
	get        func(c *Connection) Value
	ID, Stream bool
	// write, if set, appends the text of get, which would have to be made for that.
	write func(b []byte, c *Connection) []byte
	// watched: the value is one of Connection.Peers.
	watched bool
}

// Numbered reports whether the value is a number that is given when all connections
// are in order, later than Get is asked.
func (f *Field) Numbered() bool { return f.ID || f.Stream }

// Get returns the field's value on c; that of a numbered field is unknown.
func (f *Field) Get(c *Connection) Value {
	if f.get == nil || f.watched && c.Peers == nil {
		return Value{}
	}
	return f.get(c)
}

// Number returns the value of a numbered field.
func (f *Field) Number(id, stream uint64) Value {
	if f.Stream {
		return countValue(stream)
	}
	return countValue(id)
}

// Type says in a few words what the field holds.
func (f *Field) Type() string {
	s := f.Kind.String()
	switch {
	case f.Kind == KindList:
		s = "list of " + f.Of
	case f.Unit != "":
		s = f.Unit
	}
	return s
}

// Meaning is what the JSON Schema says of the field: of the objects on its path, and
// of itself.
func (f *Field) Meaning() string { return schemaMeaning(f.Name) }

// ObjectMeaning is what the JSON Schema says of an object that holds fields: "close".
func ObjectMeaning(path string) string { return schemaMeaning(path) }

// Fields returns all fields, in the order in which JSON has them.
func Fields() []*Field { return fields }

// FieldNames returns the names of all fields.
func FieldNames() (names []string) {
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// LookupField returns the field with a name, nil if there is none.
func LookupField(name string) *Field { return byName()[name] }

var byName = sync.OnceValue(func() map[string]*Field {
	m := make(map[string]*Field, len(fields))
	for _, f := range fields {
		m[f.Name] = f
	}
	return m
})

// UnknownField is the error for a name that no field has: it says which may have been
// meant, or what the name is instead.
func UnknownField(name string) error {
	inside := InsideOf(name)
	switch {
	case len(inside) > 3:
		return fmt.Errorf("%s holds several fields: %s and more", name, strings.Join(inside[:3], ", "))
	case len(inside) > 0:
		return fmt.Errorf("%s holds several fields: %s", name, strings.Join(inside, ", "))
	}
	if near := NearestField(name); near != "" {
		return fmt.Errorf("there is no field %s; did you mean %s?", name, near)
	}
	return fmt.Errorf("there is no field %s", name)
}

// InsideOf returns the names of the fields inside of an object: for "close"
// close.reason and so on.
func InsideOf(object string) (names []string) {
	for _, f := range fields {
		if strings.HasPrefix(f.Name, object+".") {
			names = append(names, f.Name)
		}
	}
	return names
}

// NearestField returns the field that may have been meant by a name that none has:
// one that ends as the name does, or the one that the fewest changed letters lead to.
func NearestField(name string) string {
	low := strings.ToLower(strings.ReplaceAll(name, "_", "."))
	var ends []string
	for _, f := range fields {
		if strings.HasSuffix(f.Name, "."+strings.ToLower(name)) || strings.ReplaceAll(f.Name, "_", ".") == low {
			ends = append(ends, f.Name)
		}
	}
	if len(ends) > 0 {
		return slices.MinFunc(ends, func(a, b string) int { return len(a) - len(b) })
	}
	// With a path around it, the last name says most: handshake.mss.
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		for _, f := range fields {
			if strings.HasSuffix(f.Name, strings.ToLower(name[i:])) {
				ends = append(ends, f.Name)
			}
		}
		if len(ends) > 0 {
			return slices.MinFunc(ends, func(a, b string) int { return distance(name, a) - distance(name, b) })
		}
	}
	return nearest(name, FieldNames())
}

// SequenceBase returns the absolute number that a side's relative sequence numbers
// count from in every report; ok is false when nothing of them was seen at all.
func SequenceBase(c *reassembly.Conn, side reassembly.Side) (base wire.Seq, ok bool) {
	return seqBase(c, side)
}

// MarkNames returns the words for an event's marks; nil for none.
func MarkNames(m reassembly.Marks) (names []string) {
	for _, x := range markNames {
		if m&x.mark != 0 {
			names = append(names, x.name)
		}
	}
	return names
}

// ICMPMeaning returns an ICMP error's type and code in words.
func ICMPMeaning(e *reassembly.ICMP, v6 bool) string { return string(appendMeaning(nil, e, v6)) }

// schemaObject is as much of the JSON Schema as the meanings need.
type schemaObject struct {
	Properties map[string]struct {
		Description string
		Ref         string `json:"$ref"`
	}
}

var schemaDefs = sync.OnceValue(func() map[string]schemaObject {
	var s struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(SchemaJSON, &s); err != nil {
		panic(err) // embedded, and read by a test
	}
	defs := make(map[string]schemaObject, len(s.Defs))
	for name, raw := range s.Defs {
		var o schemaObject
		if json.Unmarshal(raw, &o) == nil { // those that are no object have no properties
			defs[name] = o
		}
	}
	return defs
})

func schemaMeaning(path string) string {
	object, text := "connection", ""
	for part := range strings.SplitSeq(path, ".") {
		p, ok := schemaDefs()[object].Properties[part]
		if !ok {
			return ""
		}
		if text != "" {
			text += " "
		}
		text += p.Description
		object = p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]
	}
	return text
}
