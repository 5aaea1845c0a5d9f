package ui

import (
	"context"
	"io"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tcplife/tcplife/capture"
	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
)

const mixed = "../testdata/pcaps/mixed.pcap.gz"

// captured is a Source over a capture, as tcplife analyze --ui has it.
type captured struct {
	path  string
	limit int
}

func (c captured) config() (*pipeline.Config, error) {
	src, err := capture.Open(c.path)
	if err != nil {
		return nil, err
	}
	return &pipeline.Config{Source: src, Name: c.path, Output: io.Discard, Report: report.Options{Inputs: []string{c.path}}}, nil
}

func (c captured) Every() time.Duration { return 0 }

func (c captured) Check(filter string) error {
	if filter == "" {
		return nil
	}
	_, err := selection.New(&selection.Wish{Filters: []string{filter}})
	return err
}

func (c captured) Load(ctx context.Context, filter string, _ *Progress) (*Snapshot, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	defer cfg.Source.Close()
	k := NewCollector(c.limit)
	cfg.Format = k
	if filter != "" {
		made, err := selection.New(&selection.Wish{Filters: []string{filter}})
		if err != nil {
			return nil, err
		}
		cfg.Select, cfg.Selection = func() report.Picker { return made.Picker() }, made.Words()
	}
	if _, err := pipeline.Run(ctx, cfg); err != nil {
		return nil, err
	}
	return k.Snapshot(c.path), ctx.Err()
}

func (c captured) Life(ctx context.Context, r *Row, _ *Progress) (*Life, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	defer cfg.Source.Close()
	lives, _, err := pipeline.Lives(cfg, r.Tuple, r.Encap, 1000, func(uid string) bool { return uid == r.UID })
	if err != nil || len(lives) == 0 {
		return nil, err
	}
	return &Life{Connection: lives[0].Connection, ID: r.ID, Ladder: lives[0].Ladder}, ctx.Err()
}

// screens are a Model at work, without a terminal.
type screens struct {
	t *testing.T
	*Model
	answers chan tea.Msg
}

func explain(id string, _ int) string { return "what is to be said of " + id }

// show opens a source in a terminal of a size, and waits until it is read.
func show(t *testing.T, src Source, w, h int) *screens {
	t.Helper()
	s := &screens{t, New(src, Options{Explain: explain}), make(chan tea.Msg, 100)}
	s.do(s.Init())
	s.Update(tea.WindowSizeMsg{Width: w, Height: h})
	s.settle()
	return s
}

// do runs a command as a tea.Program does: on a goroutine of its own.
func (s *screens) do(c tea.Cmd) {
	if c == nil {
		return
	}
	go func() {
		msg := c()
		if all, ok := msg.(tea.BatchMsg); ok {
			for _, c := range all {
				s.do(c)
			}
			return
		}
		s.answers <- msg
	}()
}

// settle takes answers until nothing is being read.
func (s *screens) settle() {
	s.t.Helper()
	late := time.After(time.Minute)
	for s.loading != nil || s.waiting() {
		select {
		case msg := <-s.answers:
			_, c := s.Update(msg)
			s.do(c)
		case <-late:
			s.t.Fatalf("no answer for a minute; the screen:\n%s", s.screen())
		}
	}
}

func (s *screens) waiting() bool {
	p, ok := s.top().(*lifePage)
	return ok && p.progress != nil
}

// names are the keys that have names.
var names = map[string]tea.Key{
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift},
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "pgup": {Code: tea.KeyPgUp},
	"pgdown": {Code: tea.KeyPgDown}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "backspace": {Code: tea.KeyBackspace},
	"delete": {Code: tea.KeyDelete}, "space": {Code: ' ', Text: " "}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+u": {Code: 'u', Mod: tea.ModCtrl},
	"ctrl+d": {Code: 'd', Mod: tea.ModCtrl}, "ctrl+w": {Code: 'w', Mod: tea.ModCtrl}, "ctrl+a": {Code: 'a', Mod: tea.ModCtrl},
	"ctrl+e": {Code: 'e', Mod: tea.ModCtrl}, "ctrl+k": {Code: 'k', Mod: tea.ModCtrl},
}

func keyOf(name string) tea.KeyPressMsg {
	if k, ok := names[name]; ok {
		return tea.KeyPressMsg(k)
	}
	r := []rune(name)[0]
	return tea.KeyPressMsg{Code: r, Text: name}
}

// press presses keys one after the other, each when what the one before asked for is
// there.
func (s *screens) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		_, c := s.Update(keyOf(k))
		s.do(c)
		s.settle()
	}
}

// typed types a text, letter by letter.
func (s *screens) typed(text string) {
	s.t.Helper()
	for _, r := range text {
		s.press(string(r))
	}
}

func (s *screens) screen() string { return s.View().Content }
