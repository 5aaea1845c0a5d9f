package ui

import (
	"strings"
	"unicode"
)

// prompt is a line that is typed: a filter, or what a text is searched for. It is no
// library's, since the one that goes with bubbletea looks for clipboard programs when
// any command starts.
type prompt struct {
	head string
	text []rune
	at   int
	// err says what is wrong with the text; column, from 1, where.
	err    string
	column int
	// done is called with the text; it returns an error to stay.
	done    func(text string) error
	history *[]string
	back    int // how far back in history; 0 is the line being typed
	typed   []rune
}

func newPrompt(head, text string, history *[]string, done func(string) error) *prompt {
	r := []rune(text)
	return &prompt{head: head, text: r, at: len(r), done: done, history: history}
}

// insert puts what was typed or pasted before the cursor.
func (p *prompt) insert(s string) {
	var add []rune
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			add = append(add, ' ')
		case unicode.IsPrint(r):
			add = append(add, r)
		}
	}
	const most = 4096 // nobody types more; a paste may be anything
	if len(p.text)+len(add) > most {
		return
	}
	p.text = append(p.text[:p.at:p.at], append(add, p.text[p.at:]...)...)
	p.at += len(add)
	p.err = ""
}

// key takes a key; over says that the prompt is to be closed.
func (p *prompt) key(key, text string) (over bool) {
	switch key {
	case "esc", "ctrl+g":
		return true
	case "enter":
		line := strings.TrimSpace(string(p.text))
		if err := p.done(line); err != nil {
			p.fault(err)
			return false
		}
		if h := p.history; h != nil && line != "" && (len(*h) == 0 || (*h)[len(*h)-1] != line) {
			*h = append(*h, line)
		}
		return true
	case "left", "ctrl+b":
		p.at = max(p.at-1, 0)
	case "right", "ctrl+f":
		p.at = min(p.at+1, len(p.text))
	case "home", "ctrl+a":
		p.at = 0
	case "end", "ctrl+e":
		p.at = len(p.text)
	case "backspace", "ctrl+h":
		if p.at == 0 {
			return len(p.text) == 0 // as in less
		}
		p.remove(p.at-1, p.at)
	case "delete", "ctrl+d":
		p.remove(p.at, min(p.at+1, len(p.text)))
	case "ctrl+u":
		p.remove(0, p.at)
	case "ctrl+k":
		p.remove(p.at, len(p.text))
	case "ctrl+w", "alt+backspace":
		from := p.at
		for from > 0 && p.text[from-1] == ' ' {
			from--
		}
		for from > 0 && p.text[from-1] != ' ' {
			from--
		}
		p.remove(from, p.at)
	case "up", "ctrl+p":
		p.recall(1)
	case "down", "ctrl+n":
		p.recall(-1)
	default:
		p.insert(text)
	}
	return false
}

func (p *prompt) remove(from, to int) {
	p.text = append(p.text[:from:from], p.text[to:]...)
	p.at = from
	p.err = ""
}

// recall goes back and forth in what was typed before.
func (p *prompt) recall(step int) {
	if p.history == nil {
		return
	}
	back := p.back + step
	if back < 0 || back > len(*p.history) {
		return
	}
	if p.back == 0 {
		p.typed = p.text
	}
	p.back = back
	p.text = p.typed
	if back > 0 {
		p.text = []rune((*p.history)[len(*p.history)-back])
	}
	p.at, p.err = len(p.text), ""
}

// Placed is an error that knows where in the text it is.
type Placed interface {
	error
	// Place returns the column, from 1 in characters, 0 where the whole is meant, and
	// what is wrong without the text itself.
	Place() (column int, what string)
}

func (p *prompt) fault(err error) {
	p.err, p.column = err.Error(), 0
	if x, ok := err.(Placed); ok {
		p.column, p.err = x.Place()
		if 0 < p.column && p.column <= len(p.text)+1 {
			p.at = p.column - 1
		}
	}
}

// view returns the prompt's lines and the cursor's column in the first of them. A text
// that is too long is shown around the cursor.
func (p *prompt) view(w int) (lines []string, cursor int) {
	room := max(w-width(p.head)-1, 1)
	from := 0
	for from < p.at && width(string(p.text[from:p.at])) > room-1 {
		from++
	}
	cursor = width(p.head) + width(string(p.text[from:p.at]))
	lines = []string{cut(p.head+string(p.text[from:]), w)}
	if p.err == "" {
		return lines, min(cursor, max(w-1, 0))
	}
	if p.column > 0 {
		mark := width(p.head) + width(string(p.text[min(from, p.at):p.at]))
		lines = append(lines, blanks(mark)+"^")
	}
	const most = 4 // lines of an error
	for i, l := range wrapText(p.err, w) {
		if i == most {
			break
		}
		lines = append(lines, l)
	}
	return lines, min(cursor, max(w-1, 0))
}
