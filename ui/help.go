package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// helpPage lists the keys.
type helpPage struct {
	pager pager
	drawn int
}

func (p *helpPage) title(*Model) string        { return "Help" }
func (p *helpPage) hints() string              { return "" }
func (p *helpPage) text() *pager               { return &p.pager }
func (p *helpPage) close()                     {}
func (p *helpPage) key(*Model, string) tea.Cmd { return nil }
func (p *helpPage) draw(_ *Model, columns int) {
	if p.drawn != columns {
		p.pager.set(helpLines(columns))
		p.drawn = columns
	}
}

// Keys are those of the screens, by what they are for, as the help and docs/ui.md list
// them.
var Keys = []struct {
	Title string
	Keys  [][2]string
}{
	{"Everywhere", [][2]string{
		{"up, down, k, j", "move; page up and down, space, b, u, d, home, end, g, G too"},
		{"1 to 5, tab, left, right", "another screen (not left and right in the census)"},
		{"enter", "more of what is under the cursor"},
		{"esc, q", "back; at the first screen, q quits"},
		{"/", "filter; in a text, search, with n and N to go on"},
		{"esc", "without a page: stop reading, or take the filter away"},
		{"?", "this help"},
		{"Q, ctrl+c", "quit from anywhere"},
	}},
	{"What happened (1)", [][2]string{
		{"enter", "all that is known: who, when, why, how sure, what to do"},
		{"e", "explain what it means (tcplife explain)"},
		{"c", "the connections concerned"},
	}},
	{"Connections (2)", [][2]string{
		{"enter", "its life: two lanes, every segment, both states"},
		{"e", "explain its gravest finding"},
		{"s, S", "order by the next column, or the one before (< and > too)"},
		{"r", "the other way round"},
	}},
	{"A connection's life", [][2]string{
		{"tab", "the next of its findings, in brackets behind its name"},
		{"e", "explain that finding"},
		{"], [", "the next connection of the list, or the one before"},
	}},
	{"Listeners (3)", [][2]string{
		{"enter", "its connections"},
		{"s, S, r", "order, as in the list of connections"},
	}},
	{"Census (4)", [][2]string{
		{"left, right", "another instant"},
		{"L", "the endpoints of one listener after the other, then all again"},
		{"enter", "the connections of that listener"},
	}},
}

// filterHelp stands below the keys.
const filterHelp = `A filter is an expression as --filter takes it, such as

    close.reason == "abort" && duration > 5
    server.port == 443 && final.client == "TIME_WAIT"
    finding("warning") && net("10.0.0.0/8")

An address, a network, a port, a state or a finding's ID alone stands for the connections that have it. 'tcplife explain fields' lists the fields. An empty filter shows all.

In the list, E, W and i stand before a connection whose gravest finding is an error, a warning or only worth knowing. First come those that are worth a look.`

func helpLines(columns int) (lines []string) {
	const names = 26
	for i, x := range Keys {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, x.Title)
		for _, k := range x.Keys {
			head := "  " + left(k[0], names)
			for j, l := range wrapText(k[1], max(columns-names-3, 10)) {
				if j > 0 {
					head = blanks(2 + names)
				}
				lines = append(lines, head+" "+l)
			}
		}
	}
	return append(append(lines, ""), wrapText(strings.TrimSpace(filterHelp), columns)...)
}
