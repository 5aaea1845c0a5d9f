package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// leaf is a field of the connection's object as the schema has it.
type leaf struct {
	name     string
	types    string // what the schema calls its type
	optional bool
	words    []string
}

// schemaLeaves walks the schema's connection: objects are parts of a path, everything
// else is a field.
func schemaLeaves(t *testing.T) (leaves []leaf) {
	t.Helper()
	var s struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(SchemaJSON, &s); err != nil {
		t.Fatal(err)
	}
	// The object's fields are taken in the order of the text, which a map would lose.
	var walk func(object, prefix string, optional bool)
	walk = func(object, prefix string, optional bool) {
		var o struct {
			Required   []string
			Properties map[string]struct {
				Type  string
				Ref   string `json:"$ref"`
				Enum  []string
				Const any
			}
		}
		if err := json.Unmarshal(s.Defs[object], &o); err != nil {
			t.Fatal(err)
		}
		for _, name := range keysInOrder(t, s.Defs[object]) {
			p := o.Properties[name]
			missing := optional || !slices.Contains(o.Required, name)
			ref := p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]
			switch {
			case p.Const != nil: // always the same
			case ref != "" && ref != "time" && ref != "frame":
				walk(ref, prefix+name+".", missing)
			default:
				l := leaf{prefix + name, p.Type + ref, missing, p.Enum}
				if p.Enum != nil {
					l.types = "enum"
				}
				leaves = append(leaves, l)
			}
		}
	}
	walk("connection", "", false)
	return leaves
}

// keysInOrder returns the names of an object's properties as they stand in the schema.
func keysInOrder(t *testing.T, object json.RawMessage) (names []string) {
	t.Helper()
	var o struct{ Properties json.RawMessage }
	if err := json.Unmarshal(object, &o); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(o.Properties))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// The table of fields is the schema's connection: the same names in the same order,
// of the same types, unknown where the schema lets them be absent.
func TestFieldsAreTheSchema(t *testing.T) {
	kinds := map[string]ValueKind{"string": KindText, "enum": KindText, "integer": KindInteger, "number": KindSeconds, "boolean": KindFlag, "time": KindInstant, "frame": KindFrame, "array": KindList}
	var want, have []string
	line := func(name string, kind ValueKind, optional bool, words []string) string {
		return fmt.Sprintf("%s: %s, optional %v, words %v", name, kind, optional, words)
	}
	for _, l := range schemaLeaves(t) {
		kind, ok := kinds[l.types]
		if !ok {
			t.Errorf("%s: what is a %q?", l.name, l.types)
		}
		want = append(want, line(l.name, kind, l.optional, l.words))
	}
	for _, f := range Fields() {
		have = append(have, line(f.Name, f.Kind, f.Optional, f.Words))
		if f.Meaning() == "" {
			t.Errorf("%s has no meaning", f.Name)
		}
		if (f.Kind == KindList) != (f.Of != "") {
			t.Errorf("%s: a %s of %q", f.Name, f.Kind, f.Of)
		}
		if f.Kind == KindSeconds && !strings.Contains(f.Meaning(), "In seconds.") && !strings.Contains(f.Meaning(), "Shortest time") {
			t.Errorf("%s: the schema does not say that it is in seconds: %s", f.Name, f.Meaning())
		}
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("the table of fields differs from the schema (-schema +table):\n%s", d)
	}
}

// docs/data.md has a row for each field in the section of the object that holds it.
func TestFieldsAreInDataDoc(t *testing.T) {
	raw, err := os.ReadFile("../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Fields() {
		path := strings.Split(f.Name, ".")
		if row := "\n| `" + path[len(path)-1] + "` |"; !strings.Contains(string(raw), row) {
			t.Errorf("docs/data.md has no row for %s", f.Name)
		}
	}
}

// A field's value is what JSON says under its name.
func checkFields(c *Connection, id, stream uint64, multi bool) error {
	var b Buffer
	a := appender{multi: multi, peers: peers}
	a.connection(&b, c)
	b.Stream = stream
	d := json.NewDecoder(bytes.NewReader(b.AppendTo(nil, id)))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return err
	}
	for _, f := range Fields() {
		v := f.Get(c)
		if f.Numbered() {
			v = f.Number(id, stream)
			if f.Stream && c.Peers == nil {
				v = Value{}
			}
		}
		want, there := valueAt(object, f.Name)
		if there != (v.Kind != KindUnknown) {
			return fmt.Errorf("%s is %q (%s), in JSON it is %v (there: %v)", f.Name, v.append(nil, multi), v.Kind, want, there)
		}
		if !there {
			if !f.Optional && !f.watched {
				return fmt.Errorf("%s is unknown, and never may be", f.Name)
			}
			continue
		}
		if v.Kind != f.Kind {
			return fmt.Errorf("%s is a %s, want a %s", f.Name, v.Kind, f.Kind)
		}
		if have := string(v.append(nil, multi)); !sameValue(have, want, multi) {
			return fmt.Errorf("%s is %q, in JSON it is %v", f.Name, have, want)
		}
	}
	return nil
}

func valueAt(object map[string]any, path string) (v any, there bool) {
	v = object
	for part := range strings.SplitSeq(path, ".") {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, there = o[part]; !there {
			return nil, false
		}
	}
	return v, true
}

func sameValue(have string, want any, multi bool) bool {
	switch w := want.(type) {
	case string:
		return have == w || strings.ToValidUTF8(have, "�") == w
	case json.Number:
		x, ok1 := new(big.Rat).SetString(have)
		y, ok2 := new(big.Rat).SetString(w.String())
		return ok1 && ok2 && (x.Cmp(y) == 0 || y.Cmp(big.NewRat(1<<62, 1)) > 0)
	case bool:
		return have == fmt.Sprint(w)
	case map[string]any: // a frame of one of several files
		return multi && have == fmt.Sprintf("%v:%v", w["file"], w["frame"])
	case []any:
		var words []string
		for _, x := range w {
			switch x := x.(type) {
			case string:
				words = append(words, x)
			case []any:
				words = append(words, fmt.Sprintf("%v-%v", x[0], x[1]))
			case map[string]any:
				for _, key := range []string{"state", "event", "id"} {
					if s, ok := x[key].(string); ok {
						words = append(words, s)
						break
					}
				}
			}
		}
		return have == strings.Join(words, " ") || strings.ToValidUTF8(have, "�") == strings.Join(words, " ")
	}
	return false
}

func TestFieldsAreTheJSON(t *testing.T) {
	for _, d := range documents() {
		for _, s := range d.steps {
			if s.c == nil {
				continue
			}
			if err := checkFields(s.c, s.id, 7, len(d.options.Inputs) > 1); err != nil {
				t.Errorf("%s, connection %d: %v", d.name, s.id, err)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if err := checkFields(randomConnection(t), rapid.Uint64Range(1, 1<<40).Draw(t, "id"), rapid.Uint64Range(0, 1<<40).Draw(t, "stream"), rapid.Bool().Draw(t, "multi")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUnknownField(t *testing.T) {
	for name, want := range map[string]string{
		"close.reson":  "there is no field close.reson; did you mean close.reason?",
		"reason":       "there is no field reason; did you mean close.reason?",
		"closer":       "there is no field closer; did you mean close.closer?",
		"close_reason": "there is no field close_reason; did you mean close.reason?",
		"client":       "client holds several fields: client.ip, client.port",
		"bytes":        "bytes holds several fields: bytes.client, bytes.server",
		"close":        "close holds several fields: close.reason, close.closer, close.by and more",
		"zzzzzzzzzzzz": "there is no field zzzzzzzzzzzz",
	} {
		if got := UnknownField(name).Error(); got != want {
			t.Errorf("UnknownField(%q): %s\nwant: %s", name, got, want)
		}
	}
}
