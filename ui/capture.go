package ui

import (
	"strings"

	"github.com/tcplife/tcplife/report"
)

// captureTab says what was read, how far it can be trusted, and what was counted.
type captureTab struct {
	text  pager
	drawn int
}

func (t *captureTab) renew() { t.drawn = 0 }

func (t *captureTab) view(m *Model, h int) []string {
	if t.drawn != m.w {
		var b strings.Builder
		o := m.o.Report
		o.Width = m.w
		text := ""
		if err := report.WriteOverview(&b, m.snap.Summary, &o); err != nil {
			text = err.Error()
		} else {
			text = b.String()
		}
		t.text.set(wrapText(text, m.w))
		t.drawn = m.w
	}
	return t.text.view(h)
}
