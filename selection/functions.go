package selection

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/types"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Function is one of our own in the language of expressions. Its arguments are
// written in the expression, so that they are checked once and a call costs no more
// than a field.
type Function struct {
	Name string
	// Usage is a call, Meaning what it gives.
	Usage, Meaning string
	args           int
	// build returns what computes the call and its type. It is nil for a function that
	// the language itself calls.
	build func(args []any) (variable, types.Type, error)
}

// Functions lists them in the order in which they are explained.
var Functions = []Function{
	{"finding", `finding("lost-final-ack")`, "Whether the connection has that finding: an ID, a number of the catalogue, or a severity, which stands for itself and all above.", 1, buildFinding},
	{"dwell", `dwell("server", "CLOSE_WAIT")`, "How many seconds that side was in that state, all stays together, as far as the connection was watched; 0 if never.", 2, buildDwell},
	{"was", `was("client", "TIME_WAIT")`, "Whether that side was ever in that state.", 2, buildWas},
	{"cidr", `cidr(client.ip, "10.0.0.0/8")`, "Whether that address (client.ip or server.ip) is in the network.", 2, buildCIDR},
	{"host", `host("10.0.0.1")`, "Whether either end has the address.", 1, buildHost},
	{"net", `net("10.0.0.0/8")`, "Whether either end is in the network.", 1, buildNet},
	{"port", `port(443)`, "Whether either end has the port.", 1, buildPort},
	{"known", `known(handshake.rtt)`, "Whether the field is known: present in the JSON. What is unknown is an empty text, or a number that compares with none.", 1, nil},
}

func functionNames() (all []string) {
	for _, f := range Functions {
		all = append(all, f.Name)
	}
	return all
}

// text returns an argument that must be a text in quotes.
func text(arg any) (string, error) {
	s, ok := arg.(string)
	if !ok {
		return "", errors.New("it wants a text in quotes")
	}
	return s, nil
}

func buildFinding(args []any) (variable, types.Type, error) {
	s, err := text(args[0])
	if err != nil {
		return nil, nil, err
	}
	has, err := hasFinding(s)
	if err != nil {
		return nil, nil, err
	}
	return func(c *report.Connection) any { return has(c) }, types.Bool, nil
}

// hasFinding reads an ID, a number of the catalogue or a severity.
func hasFinding(s string) (func(c *report.Connection) bool, error) {
	some := func(is func(f *finding.Finding) bool) func(c *report.Connection) bool {
		return func(c *report.Connection) bool {
			for i := range c.Findings {
				if is(&c.Findings[i]) {
					return true
				}
			}
			return false
		}
	}
	if finding.Lookup(s) != nil {
		return some(func(f *finding.Finding) bool { return f.Rule.ID == s }), nil
	}
	severities := rowWords()["severity"]
	if i := slices.Index(severities, s); i >= 0 {
		return some(func(f *finding.Finding) bool { return f.Severity >= finding.Severity(i) }), nil
	}
	for _, r := range finding.All() {
		if slices.Contains(r.Catalogue, s) {
			return some(func(f *finding.Finding) bool { return f.Catalogue == s }), nil
		}
	}
	if finding.LookupCapture(s) != nil {
		return nil, fmt.Errorf("%s is about the capture as a whole, and no connection has it", s)
	}
	if incident.Lookup(s) != nil {
		return nil, fmt.Errorf("%s is shown by many connections together, and no single one has it: the report names some of them, and --host and --port pick all of those hosts", s)
	}
	if near := nearest(s, ruleIDs()); near != "" {
		return nil, fmt.Errorf("there is no finding %q; did you mean %q?", s, near)
	}
	return nil, fmt.Errorf("there is no finding %q ('tcplife explain' lists them)", s)
}

// sideAndState reads the arguments of dwell and was.
func sideAndState(args []any) (side reassembly.Side, state reassembly.State, err error) {
	var words [2]string
	for i := range words {
		if words[i], err = text(args[i]); err != nil {
			return side, state, err
		}
	}
	switch words[0] {
	case "client":
		side = reassembly.Client
	case "server":
		side = reassembly.Server
	default:
		return side, state, fmt.Errorf("the side is %q: give \"client\" or \"server\"", words[0])
	}
	states := rowWords()["state"]
	i := slices.Index(states, words[1])
	if i < 0 {
		if near := nearest(words[1], states); near != "" {
			return side, state, fmt.Errorf("there is no state %q; did you mean %q?", words[1], near)
		}
		return side, state, fmt.Errorf("there is no state %q: there are %s", words[1], strings.Join(states, ", "))
	}
	return side, reassembly.State(i), nil
}

func buildDwell(args []any) (variable, types.Type, error) {
	side, state, err := sideAndState(args)
	return func(c *report.Connection) any { return seconds(dwell(c, side, state)) }, types.Float64, err
}

// dwell sums up the stays in a state; the last one lasts as long as anybody looked.
func dwell(c *report.Connection, side reassembly.Side, state reassembly.State) (sum time.Duration) {
	tl := c.Ends[side].Timeline
	for i := range tl {
		if tl[i].State != state {
			continue
		}
		until := c.Until
		if i+1 < len(tl) {
			until = tl[i+1].At
		}
		sum += max(until.Sub(tl[i].At), 0)
	}
	return sum
}

func buildWas(args []any) (variable, types.Type, error) {
	side, state, err := sideAndState(args)
	return func(c *report.Connection) any {
		tl := c.Ends[side].Timeline
		return slices.ContainsFunc(tl, func(t reassembly.Transition) bool { return t.State == state })
	}, types.Bool, err
}

func buildCIDR(args []any) (variable, types.Type, error) {
	f, ok := args[0].(*report.Field)
	if !ok || f == nil || f.Name != "client.ip" && f.Name != "server.ip" {
		return nil, nil, errors.New("its first argument is client.ip or server.ip; net(...) looks at both")
	}
	s, err := text(args[1])
	if err != nil {
		return nil, nil, err
	}
	prefix, err := parseNet(s)
	if err != nil {
		return nil, nil, err
	}
	return func(c *report.Connection) any {
		a := c.Tuple.Source().Addr()
		if f.Name == "server.ip" {
			a = c.Tuple.Destination().Addr()
		}
		return prefix.Contains(a)
	}, types.Bool, nil
}

// ofEither makes a variable of what either end may have.
func ofEither(is func(p netip.AddrPort) bool) variable {
	return func(c *report.Connection) any { return is(c.Tuple.Source()) || is(c.Tuple.Destination()) }
}

func buildHost(args []any) (variable, types.Type, error) {
	s, err := text(args[0])
	if err != nil {
		return nil, nil, err
	}
	a, err := parseHost(s)
	return ofEither(func(p netip.AddrPort) bool { return p.Addr() == a }), types.Bool, err
}

func buildNet(args []any) (variable, types.Type, error) {
	s, err := text(args[0])
	if err != nil {
		return nil, nil, err
	}
	n, err := parseNet(s)
	return ofEither(func(p netip.AddrPort) bool { return n.Contains(p.Addr()) }), types.Bool, err
}

func buildPort(args []any) (variable, types.Type, error) {
	n, ok := args[0].(int)
	if !ok || n < 0 || n > 65535 {
		return nil, nil, errors.New("it wants a number from 0 to 65535")
	}
	return ofEither(func(p netip.AddrPort) bool { return int(p.Port()) == n }), types.Bool, nil
}

// EntryFields returns the names of the fields that the entries of a list have, by
// the list's field; nil for a list of words.
func EntryFields(f *report.Field) []string {
	t := reflect.TypeOf(listOf(f).empty).Elem()
	if t.Kind() != reflect.Struct {
		return nil
	}
	return tags(t)
}

func tags(t reflect.Type) (all []string) {
	for i := range t.NumField() {
		all = append(all, t.Field(i).Tag.Get("expr"))
	}
	return all
}

// rowFields are the names of the fields of each type of entry.
func rowFields() map[string][]string {
	m := map[string][]string{}
	for _, row := range []any{stateRow{}, eventRow{}, findingRow{}, icmpRow{}} {
		t := reflect.TypeOf(row)
		m[t.String()] = tags(t)
	}
	return m
}

// inSpan reports whether the connection was under way in a window of time.
func inSpan(c *report.Connection, since, until wire.Time) bool {
	return c.Start <= until && c.End >= since
}
