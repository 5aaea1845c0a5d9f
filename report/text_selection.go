package report

import "strings"

// selected says which connections were asked for, and how many there are of them:
// everything below counts those alone.
func (p *printer) selected() {
	s := p.s
	if len(s.Selection) == 0 {
		return
	}
	by := make([]string, len(s.Selection))
	for i, w := range s.Selection {
		by[i] = printable(w)
	}
	p.prose(p.paint(bold, "Selected:")+" ", "  ", number(s.Connections)+" of "+plural(s.All(), "connection", "connections")+", by "+strings.Join(by, " ")+".")
}
