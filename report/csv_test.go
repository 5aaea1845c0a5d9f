package report

import (
	"bytes"
	"encoding/csv"
	"testing"
)

// encoding/csv must read back what the formats write, whatever stands in it.
func TestTablesReadBack(t *testing.T) {
	for name, comma := range map[string]rune{"csv": ',', "tsv": '\t'} {
		for _, d := range documents() {
			f, err := New(name)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := d.print(&out, f); err != nil {
				t.Fatal(err)
			}
			r := csv.NewReader(&out)
			r.Comma = comma
			rows, err := r.ReadAll()
			if err != nil {
				t.Errorf("%s/%s: %v", name, d.name, err)
				continue
			}
			for _, row := range rows {
				if len(row) != len(defaultColumns) {
					t.Errorf("%s/%s: %d fields, want %d: %q", name, d.name, len(row), len(defaultColumns), row)
				}
			}
		}
	}
}
