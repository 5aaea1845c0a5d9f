package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tcplife/tcplife/report"
)

// Options say how to show.
type Options struct {
	// Report says how texts and drawings are written; its Width is the terminal's.
	Report report.Options
	// Explain returns what is to be said of a finding or incident, by its ID; nothing if
	// there is none of that ID. It keeps to so many columns where it can.
	Explain func(id string, columns int) string
	// Filter is what the first Snapshot is filtered by.
	Filter string
}

// The least terminal in which anything can be said.
const (
	leastColumns = 40
	leastLines   = 10
)

// progressEvery is how often it is told how far a reading is.
const progressEvery = 200 * time.Millisecond

// tab is one of the screens beside each other.
type tab int

const (
	tabMatters tab = iota
	tabConnections
	tabListeners
	tabCensus
	tabCapture
	tabCount
)

var tabNames = [tabCount]string{"What happened", "Connections", "Listeners", "Census", "Capture"}

// Short names, for a narrow terminal.
var tabShort = [tabCount]string{"Happened", "Conns", "Listen", "Census", "Capture"}

// page is a screen over the others, which esc leaves.
type page interface {
	// title stands in the place of the tabs.
	title(m *Model) string
	// hints are the keys that the page has besides those of a text.
	hints() string
	// pager is the text; draw fills it for a width.
	text() *pager
	draw(m *Model, columns int)
	// key takes a key that moves nothing.
	key(m *Model, key string) tea.Cmd
	// close is called when the page is left.
	close()
}

// Model is the state of the screens. It is a tea.Model.
type Model struct {
	src Source
	o   Options
	// w and h are the terminal's size; 0 before it is known.
	w, h int

	snap   *Snapshot
	filter string
	tab    tab
	pages  []page
	prompt *prompt
	// status is told in the last line until the next key.
	status  string
	filters []string // typed before
	finds   []string
	wanted  *string

	loading *loading
	// number counts what is asked of the source: an answer to an earlier question comes
	// too late.
	number int

	matters     mattersTab
	connections connectionsTab
	listeners   listenersTab
	census      censusTab
	capture     captureTab

	// err ends the program: the first reading failed.
	err  error
	quit bool
}

// loading is a snapshot on its way.
type loading struct {
	number   int
	filter   string
	progress Progress
	cancel   context.CancelFunc
	// quiet: it takes the place of one that is on the screen and says nothing of itself.
	quiet bool
}

// Messages.
type (
	loaded struct {
		number int
		snap   *Snapshot
		err    error
	}
	lived struct {
		page   *lifePage
		number int
		life   *Life
		err    error
	}
	drawAgain struct{}
	newAgain  struct{}
)

// New returns the screens of a source, before anything was read.
func New(src Source, o Options) *Model {
	return &Model{src: src, o: o, filter: o.Filter}
}

// Err returns why nothing could be shown, nil if it could.
func (m *Model) Err() error { return m.err }

// Init starts the first reading.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.load(m.filter, false)}
	if m.src.Every() > 0 {
		cmds = append(cmds, m.again())
	}
	return tea.Batch(cmds...)
}

func (m *Model) again() tea.Cmd {
	return tea.Tick(m.src.Every(), func(time.Time) tea.Msg { return newAgain{} })
}

// load asks for a snapshot, in place of what is being loaded.
func (m *Model) load(filter string, quiet bool) tea.Cmd {
	m.stop()
	m.number++
	ctx, cancel := context.WithCancel(context.Background())
	l := &loading{number: m.number, filter: filter, cancel: cancel, quiet: quiet}
	m.loading = l
	read := func() tea.Msg {
		defer cancel()
		snap, err := m.src.Load(ctx, filter, &l.progress)
		return loaded{l.number, snap, err}
	}
	if quiet {
		return read
	}
	return tea.Batch(read, m.drawSoon())
}

func (m *Model) drawSoon() tea.Cmd {
	return tea.Tick(progressEvery, func(time.Time) tea.Msg { return drawAgain{} })
}

// stop ends the loading.
func (m *Model) stop() {
	if m.loading != nil {
		m.loading.cancel()
		m.loading = nil
	}
}

// Update takes a key, a size, or what was read.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = max(msg.Width, 0), max(msg.Height, 0)
	case tea.KeyPressMsg:
		return m, m.pressed(msg.String(), msg.Text)
	case tea.PasteMsg:
		if m.prompt != nil {
			m.prompt.insert(msg.Content)
		}
	case loaded:
		return m, m.loaded(msg)
	case lived:
		return m, msg.page.lived(msg)
	case drawAgain:
		if m.busy() {
			return m, m.drawSoon()
		}
	case newAgain:
		cmds := []tea.Cmd{m.again()}
		if m.loading == nil {
			cmds = append(cmds, m.load(m.filter, true))
		}
		if p, ok := m.top().(*lifePage); ok {
			cmds = append(cmds, p.renew(m))
		}
		return m, tea.Batch(cmds...)
	}
	return m, nil
}

// busy reports whether something is being read of which the screen tells how far it is.
func (m *Model) busy() bool {
	if m.loading != nil && !m.loading.quiet {
		return true
	}
	p, ok := m.top().(*lifePage)
	return ok && p.reading()
}

func (m *Model) loaded(msg loaded) tea.Cmd {
	if m.loading == nil || msg.number != m.loading.number {
		return nil
	}
	l := m.loading
	m.loading = nil
	if msg.err != nil {
		if errors.Is(msg.err, context.Canceled) {
			return nil
		}
		if m.snap == nil {
			m.err, m.quit = msg.err, true
			return tea.Quit
		}
		m.status = msg.err.Error()
		return nil
	}
	fresh := m.snap == nil || m.filter != l.filter
	m.snap, m.filter = msg.snap, l.filter
	m.matters.renew(m, fresh)
	m.connections.renew(m, fresh)
	m.listeners.renew(m, fresh)
	m.census.renew(m)
	m.capture.renew()
	return nil
}

// top returns the page over the others, nil if there is none.
func (m *Model) top() page {
	if n := len(m.pages); n > 0 {
		return m.pages[n-1]
	}
	return nil
}

func (m *Model) open(p page) { m.pages = append(m.pages, p) }

func (m *Model) back() {
	if n := len(m.pages); n > 0 {
		m.pages[n-1].close()
		m.pages = m.pages[:n-1]
	}
}

func (m *Model) end() tea.Cmd {
	m.stop()
	for len(m.pages) > 0 {
		m.back()
	}
	m.quit = true
	return tea.Quit
}

// pressed takes a key.
func (m *Model) pressed(key, text string) tea.Cmd {
	m.status = ""
	if key == "ctrl+c" {
		return m.end()
	}
	if p := m.prompt; p != nil {
		if p.key(key, text) && m.prompt == p {
			m.prompt = nil
		}
		return m.pending()
	}
	switch key {
	case "Q":
		return m.end()
	case "ctrl+z":
		return tea.Suspend
	case "ctrl+l":
		return tea.ClearScreen
	case "?", "f1":
		if _, open := m.top().(*helpPage); !open {
			m.open(&helpPage{})
		}
		return nil
	}
	if p := m.top(); p != nil {
		return m.pagePressed(p, key)
	}
	switch key {
	case "q":
		return m.end()
	case "esc":
		switch {
		case m.loading != nil && !m.loading.quiet && m.snap != nil:
			m.stop()
			m.status = "stopped: this is what was there before"
		case m.filter != "":
			return m.load("", false)
		}
		return nil
	}
	switch key {
	case "tab", "right":
		if key == "right" && m.tab == tabCensus {
			break
		}
		m.tab = (m.tab + 1) % tabCount
		return nil
	case "shift+tab", "left":
		if key == "left" && m.tab == tabCensus {
			break
		}
		m.tab = (m.tab + tabCount - 1) % tabCount
		return nil
	case "1", "2", "3", "4", "5":
		m.tab = tab(key[0] - '1')
		return nil
	}
	if m.snap == nil {
		return nil // nothing to move in yet
	}
	switch key {
	case "/":
		m.askFilter()
		return nil
	}
	switch m.tab {
	case tabMatters:
		return m.matters.key(m, key)
	case tabConnections:
		return m.connections.key(m, key)
	case tabListeners:
		return m.listeners.key(m, key)
	case tabCensus:
		return m.census.key(m, key)
	}
	m.capture.text.key(key)
	return nil
}

func (m *Model) pagePressed(p page, key string) tea.Cmd {
	switch key {
	case "q", "esc", "backspace":
		m.back()
		return nil
	case "/":
		t := p.text()
		m.prompt = newPrompt("search: ", "", &m.finds, func(s string) error {
			if t.find = strings.ToLower(s); s != "" && !t.search(1) {
				return errors.New("not found")
			}
			return nil
		})
		return nil
	}
	if p.text().key(key) {
		return nil
	}
	return p.key(m, key)
}

// askFilter opens the prompt of the filter.
func (m *Model) askFilter() {
	m.prompt = newPrompt("filter: ", m.filter, &m.filters, func(s string) error {
		s = expand(s)
		if err := m.src.Check(s); err != nil {
			return err
		}
		m.want(s)
		return nil
	})
}

// want notes that a filter is to be applied; pending then does it. A prompt's function
// cannot return a command.
func (m *Model) want(filter string) { m.wanted = &filter }

// pending starts the reading that was wanted.
func (m *Model) pending() tea.Cmd {
	if m.wanted == nil {
		return nil
	}
	f := *m.wanted
	m.wanted = nil
	if f == m.filter && m.loading == nil {
		return nil
	}
	return m.load(f, false)
}

// show shows the connections for which an expression holds.
func (m *Model) show(filter string) tea.Cmd {
	if err := m.src.Check(filter); err != nil {
		m.status = err.Error()
		return nil
	}
	m.tab = tabConnections
	m.filters = append(m.filters, filter)
	return m.load(filter, false)
}

// View draws the screen.
func (m *Model) View() tea.View {
	v := tea.NewView("")
	v.AltScreen = true
	if m.w == 0 || m.h == 0 || m.quit {
		return v
	}
	lines, x, y := m.lines()
	for i, l := range lines {
		if width(l) > m.w {
			lines[i] = cut(l, m.w)
		}
	}
	v.Content = m.o.Report.Shown(strings.Join(lines, "\n"))
	if m.prompt != nil && y < m.h {
		v.Cursor = tea.NewCursor(min(x, m.w-1), y)
	}
	return v
}

// lines returns as many lines as the terminal has, and where the prompt's cursor is.
func (m *Model) lines() (lines []string, x, y int) {
	if m.w < leastColumns || m.h < leastLines {
		for _, l := range wrapText(fmt.Sprintf("This terminal has %d columns and %d lines, and the screens want %d and %d. Make it larger, or press Q to quit.",
			m.w, m.h, leastColumns, leastLines), m.w) {
			if len(lines) < m.h {
				lines = append(lines, l)
			}
		}
		return m.fill(lines, m.h), 0, m.h
	}
	foot := 1
	var typed []string
	if m.prompt != nil {
		typed, x = m.prompt.view(m.w)
		typed = typed[:min(len(typed), m.h-4)]
		foot = len(typed)
	}
	lines = m.head()
	h := m.h - len(lines) - foot
	body := m.body(h)
	lines = append(lines, m.fill(body[:min(len(body), h)], h)...)
	y = len(lines)
	if m.prompt != nil {
		return append(lines, typed...), x, y
	}
	// It tells which part of the body is shown.
	return append(lines, m.foot()), x, y
}

func (m *Model) fill(lines []string, h int) []string {
	for len(lines) < h {
		lines = append(lines, "")
	}
	return lines
}

func (m *Model) paint(part, s string) string { return m.o.Report.Paint(part, s) }

// body draws what stands between the first and the last lines.
func (m *Model) body(h int) []string {
	if p := m.top(); p != nil {
		p.draw(m, m.w)
		return p.text().view(h)
	}
	if m.snap == nil {
		return m.reading(h)
	}
	switch m.tab {
	case tabMatters:
		return m.matters.view(m, h)
	case tabConnections:
		return m.connections.view(m, h)
	case tabListeners:
		return m.listeners.view(m, h)
	case tabCensus:
		return m.census.view(m, h)
	}
	return m.capture.view(m, h)
}

// reading is the screen while there is nothing else to show.
func (m *Model) reading(h int) []string {
	lines := make([]string, 0, h)
	for range h / 3 {
		lines = append(lines, "")
	}
	words := "reading"
	if m.loading != nil {
		if p := m.loading.progress.String(); p != "" {
			words = p
		}
	}
	for _, l := range wrapText(words, m.w-4) {
		lines = append(lines, "  "+l)
	}
	return lines
}
