package ui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Run shows a source on a terminal until the user quits or ctx ends. in is where the
// keys come from. An error is the source's, of its first reading, or one of the terminal.
func Run(ctx context.Context, src Source, o Options, in, out *os.File) error {
	m := New(src, o)
	profile := colorprofile.ASCII
	if o.Report.Color {
		profile = colorprofile.ANSI256 // a reader's own colours may be of these
	}
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithColorProfile(profile), tea.WithoutSignalHandler())
	_, err := p.Run()
	m.end()
	switch {
	case m.err != nil:
		return m.err
	case errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil:
		return nil // the user's signal: as good as q
	}
	return err
}

// OpenKeys opens the terminal that the program was started from, for its keys.
func OpenKeys() (*os.File, error) {
	in, _, err := tea.OpenTTY()
	return in, err
}

// CheckTerminal says why a terminal of this kind (the value of TERM) cannot show the
// screens, nil if it can.
func CheckTerminal(kind string) error {
	switch {
	case kind == "":
		return errors.New("TERM is not set, so it is not known how to place text on this terminal (export TERM=xterm-256color, or what it is)")
	case kind == "dumb" || strings.HasPrefix(kind, "dumb-") || kind == "unknown" || kind == "network" || kind == "emacs":
		return fmt.Errorf("a terminal of the kind TERM=%s cannot place text", kind)
	}
	return nil
}
