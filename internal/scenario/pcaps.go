package scenario

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Load parses every script of a folder, in the order of their names.
func Load(dir string) ([]*Script, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, fmt.Errorf("listing scenarios in %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no scenarios in %s", dir)
	}
	slices.Sort(files)
	var all []*Script
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("reading a scenario: %w", err)
		}
		s, err := Parse(f, text)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Name returns the script's name: its file's without folder and extension.
func (s *Script) Name() string {
	return strings.TrimSuffix(filepath.Base(s.File), ".txt")
}

// The lines of testdata/pcaps/README.md between which the table of compiled
// captures is generated. What stands outside is written by hand.
const (
	tableBegin = "<!-- begin: compiled from scenarios, written by make pcaps -->"
	tableEnd   = "<!-- end: compiled from scenarios -->"
)

// Generated returns the files that the scripts determine, by name inside
// testdata/pcaps: one capture for each script, and the README with its table
// renewed. readme is the README as it is.
func Generated(scripts []*Script, readme []byte) (map[string][]byte, error) {
	out := map[string][]byte{}
	var table strings.Builder
	table.WriteString(tableBegin + "\n| capture | scenario | about |\n| --- | --- | --- |\n")
	for _, s := range scripts {
		c, err := s.Compile(Variant{})
		if err != nil {
			return nil, err
		}
		file, err := c.File()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
		out[s.Name()+".pcap"] = file
		fmt.Fprintf(&table, "| `%s.pcap` | `../scenarios/%s.txt` | %s |\n", s.Name(), s.Name(), strings.ReplaceAll(s.Title(), "|", "\\|"))
	}
	before, rest, ok := bytes.Cut(readme, []byte(tableBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ok2 {
		return nil, fmt.Errorf("README.md of the captures lacks the lines %q and %q", tableBegin, tableEnd)
	}
	table.WriteString(tableEnd)
	out["README.md"] = slices.Concat(before, []byte(table.String()), after)
	return out, nil
}
