package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/report"
)

// mattersTab is the first screen: what went wrong, the gravest first, and all that is
// known of the one under the cursor.
type mattersTab struct {
	list
	all []report.Matter
	h   int // lines of the list
	// minor is the first of those that are only worth knowing.
	minor int
}

func (t *mattersTab) renew(m *Model, fresh bool) {
	name := ""
	// Who looks at the gravest goes on doing so, whatever that is by now.
	if !fresh && 0 < t.at && t.at < len(t.all) {
		name = nameOf(&t.all[t.at])
	}
	s := m.snap.Summary
	t.all = s.Matters()
	t.minor = len(t.all)
	t.all = append(t.all, s.Minor()...)
	if fresh {
		t.list = list{}
	}
	for i := range t.all {
		// What is under the cursor stays there, whatever came before it.
		if name != "" && nameOf(&t.all[i]) == name {
			t.at = i
			break
		}
	}
	t.clamp(len(t.all), t.h)
}

// nameOf tells a matter from all others.
func nameOf(x *report.Matter) string {
	if x.Incident == nil {
		return x.ID
	}
	return x.ID + " " + x.Incident.Catalogue + " " + x.Incident.Scope.String()
}

func (t *mattersTab) place() string {
	if len(t.all) == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", t.at+1, len(t.all))
}

func (t *mattersTab) key(m *Model, key string) tea.Cmd {
	if len(t.all) == 0 || t.move(key, len(t.all), t.h) {
		return nil
	}
	x := t.all[t.at]
	switch key {
	case "enter":
		m.open(&matterPage{matter: x})
	case "e":
		m.open(&explainPage{id: x.ID})
	case "c":
		return m.show(concerned(&x))
	}
	return nil
}

func (t *mattersTab) view(m *Model, h int) (lines []string) {
	lines = append(lines, m.outcomes(), "")
	if t.minor == 0 {
		calm := "Nothing went wrong that tcplife knows of."
		if m.snap.Summary.Connections == 0 {
			calm = "There is nothing to tell."
		}
		lines = append(lines, m.paint("good", calm))
		if len(t.all) > 0 {
			lines = append(lines, "Worth knowing:")
		}
	}
	if len(t.all) == 0 {
		return lines
	}
	// The list has as much as it needs, the one under the cursor at least half.
	room := h - len(lines) - 1
	t.h = min(len(t.all), max(min(t.minor, room/2), room/3, 1))
	if room < 6 {
		t.h = max(min(len(t.all), room), 1)
	}
	t.clamp(len(t.all), t.h)
	ids := 0
	for i := range t.all {
		ids = max(ids, len(t.all[i].ID))
	}
	ids = min(ids, m.w/3)
	for i := t.top; i < len(t.all) && i < t.top+t.h; i++ {
		x := &t.all[i]
		text := report.Printable(x.Text)
		if x.Of != "" {
			text += " (belongs to " + x.Of + ")"
		}
		severity := left(x.Severity.String(), 7)
		if i == t.at {
			lines = append(lines, reverse(left("> "+severity+" "+left(x.ID, ids)+" "+text, m.w)))
			continue
		}
		if i < t.minor {
			severity = m.paint(x.Severity.String(), severity)
		} else {
			text = m.paint("faint", cut(text, max(m.w-ids-11, 0)))
		}
		lines = append(lines, cut("  "+severity+" "+left(x.ID, ids)+" "+text, m.w))
	}
	if room < 6 {
		return lines
	}
	lines = append(lines, m.rule(t.all[t.at].ID+": "+t.all[t.at].Title()))
	page := matterText(m, &t.all[t.at], m.w)
	if space := h - len(lines); len(page) > space && space > 0 {
		page = append(page[:space-1:space-1], m.paint("faint", "enter shows the rest"))
	}
	return append(lines, page...)
}

// rule draws a line across the screen, with a text in it.
func (m *Model) rule(text string) string {
	if text != "" {
		text = " " + text + " "
	}
	return m.paint("faint", cut("--"+text+strings.Repeat("-", max(m.w-2-width(text), 0)), m.w))
}

// matterText is all that is known of a matter, in so many columns.
func matterText(m *Model, x *report.Matter, columns int) []string {
	var b strings.Builder
	o := m.o.Report
	o.Width = columns
	if err := report.WriteMatter(&b, x, &o); err != nil {
		return []string{err.Error()}
	}
	return wrapText(b.String(), columns)
}

// concerned returns the filter for the connections that a matter is about.
func concerned(x *report.Matter) string {
	if x.Finding != nil {
		return fmt.Sprintf("finding(%q)", x.ID)
	}
	in := x.Incident
	var all, any []string
	if a := in.Scope.Client; a.IsValid() {
		all = append(all, fmt.Sprintf("client.ip == %q", a.WithZone("")))
	}
	if a := in.Scope.Server; a.IsValid() {
		all = append(all, fmt.Sprintf("server.ip == %q", a.WithZone("")))
	}
	if n := in.Scope.Port; n != 0 {
		all = append(all, fmt.Sprintf("server.port == %d", n))
	}
	for _, f := range in.Folds {
		if finding.Lookup(f.ID) != nil {
			any = append(any, fmt.Sprintf("finding(%q)", f.ID))
		}
	}
	if len(any) > 1 {
		all = append(all, "("+strings.Join(any, " || ")+")")
	} else {
		all = append(all, any...)
	}
	if len(all) == 0 && len(in.UIDs) > 0 {
		for _, uid := range in.UIDs {
			any = append(any, fmt.Sprintf("%q", uid))
		}
		all = append(all, "uid in ["+strings.Join(any, ", ")+"]")
	}
	return strings.Join(all, " && ")
}

// matterPage is all that is known of a matter.
type matterPage struct {
	matter report.Matter
	pager  pager
	drawn  int
}

func (p *matterPage) title(*Model) string {
	return fmt.Sprintf("%s (%s): %s", p.matter.ID, p.matter.Severity, p.matter.Title())
}
func (p *matterPage) hints() string { return "e explain  c connections  " }
func (p *matterPage) text() *pager  { return &p.pager }
func (p *matterPage) close()        {}

func (p *matterPage) draw(m *Model, columns int) {
	if p.drawn != columns {
		p.pager.set(matterText(m, &p.matter, columns))
		p.drawn = columns
	}
}

func (p *matterPage) key(m *Model, key string) tea.Cmd {
	switch key {
	case "e":
		m.open(&explainPage{id: p.matter.ID})
	case "c":
		m.pages = nil
		return m.show(concerned(&p.matter))
	}
	return nil
}

// explainPage is what tcplife explain prints.
type explainPage struct {
	id    string
	pager pager
	drawn int
}

func (p *explainPage) title(*Model) string { return "tcplife explain " + p.id }
func (p *explainPage) hints() string       { return "" }
func (p *explainPage) text() *pager        { return &p.pager }
func (p *explainPage) close()              {}

func (p *explainPage) draw(m *Model, columns int) {
	if p.drawn == columns {
		return
	}
	text := ""
	if m.o.Explain != nil {
		text = m.o.Explain(p.id, columns)
	}
	if text == "" {
		text = "There is nothing to explain of " + p.id + "."
	}
	p.pager.set(wrapText(text, columns))
	p.drawn = columns
}

func (p *explainPage) key(*Model, string) tea.Cmd { return nil }
