package check

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fault is something wrong with a file of expectations, and where.
type Fault struct {
	Position
	What string
}

// Error returns "file:line:column: what".
func (f *Fault) Error() string { return f.Position.String() + ": " + f.What }

// Faults are all that is wrong with a file, in its order, up to maxFaults.
type Faults []*Fault

// maxFaults is how many are told: whoever has more mends these first.
const maxFaults = 20

// Error returns one line for each.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

var (
	yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)
	// parserSays are the messages in which the YAML reader counts lines from 0.
	parserSays = regexp.MustCompile(`^(?:did not find expected (?:key|node content|'|<)|found duplicate|found incompatible|found undefined)`)
	// bare is a bound without quotes, which YAML takes for something else.
	bare = regexp.MustCompile(`[:\-[,]\s+(>=?.*|%.*)$`)
)

// broken turns an error of the YAML reader, which knows the line at best, into one that
// says where in it and what was meant.
func broken(file string, text []byte, err error) *Fault {
	m := yamlLine.FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0])
	line, _ := strconv.Atoi(m[1])
	if parserSays.MatchString(m[2]) {
		line++
	}
	f := &Fault{Position{file, line, 0}, "this is no YAML: " + m[2]}
	lines := strings.Split(string(text), "\n")
	// The reader stops where it cannot go on, which is often a line or two behind the
	// cause; so the lines before are looked at, too, the nearest first.
	for back := 0; back < 3; back++ {
		n := max(line, 1) - back
		if n < 1 || n > len(lines) {
			continue
		}
		if column, what := habit(lines[n-1]); column > 0 {
			f.Line, f.Column, f.What = n, column, f.What+"; "+what
			return f
		}
	}
	if f.Line == 0 {
		f.Line = 1
	}
	if f.Line > len(lines) {
		f.Line = len(lines)
	}
	f.Column = len(lines[f.Line-1]) - len(strings.TrimLeft(lines[f.Line-1], " \t")) + 1
	return f
}

// habit looks for what people write that YAML does not read as they mean it.
func habit(line string) (column int, what string) {
	code, _, _ := strings.Cut(line, " #")
	if trimmed := strings.TrimLeft(code, " "); strings.HasPrefix(trimmed, "\t") {
		return len(code) - len(trimmed) + 1, "a tab indents nothing here: use blanks"
	}
	if i := bare.FindStringSubmatchIndex(code); i != nil {
		return i[2] + 1, fmt.Sprintf("write the bound in quotes: %q", strings.TrimSpace(code[i[2]:i[3]]))
	}
	if strings.Count(code, `"`)%2 == 1 {
		return strings.Index(code, `"`) + 1, "a quotation mark is missing in this line"
	}
	for _, pair := range []string{"[]", "{}"} {
		if strings.Count(code, pair[:1]) != strings.Count(code, pair[1:]) && !strings.ContainsAny(code, `"'`) {
			return strings.IndexAny(code, pair) + 1, fmt.Sprintf("%s and %s do not match in this line", pair[:1], pair[1:])
		}
	}
	if first := strings.Index(code, ": "); first >= 0 && !strings.ContainsAny(code, `"'{`) {
		if second := strings.Index(code[first+2:], ": "); second >= 0 {
			return first + 2 + second + 1, "a second colon in one line: put the text in quotes"
		}
	}
	return 0, ""
}

// The loader's own tools. Each fault is noted, and reading goes on behind it.
type loader struct {
	file   string
	faults Faults
}

func (l *loader) at(n *yaml.Node) Position { return Position{l.file, n.Line, n.Column} }

func (l *loader) fail(n *yaml.Node, format string, args ...any) {
	l.failAt(l.at(n), format, args...)
}

func (l *loader) failAt(at Position, format string, args ...any) {
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, &Fault{at, fmt.Sprintf(format, args...)})
	}
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for range 8 { // an alias to an alias is no use to anybody, and may be a circle
		if n.Kind != yaml.AliasNode {
			break
		}
		n = n.Alias
	}
	return n
}

// kind says what a node is in the words of a message.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", n.Value)
}
