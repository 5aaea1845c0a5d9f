package ui

// list is a cursor in a list of lines, and which part of it is on the screen.
type list struct{ at, top int }

// clamp keeps the cursor inside of n lines, and visible among h.
func (l *list) clamp(n, h int) {
	l.at = max(min(l.at, n-1), 0)
	h = max(h, 1)
	l.top = max(min(l.top, l.at, n-h), 0)
	if l.at >= l.top+h {
		l.top = l.at - h + 1
	}
}

// move takes a key that moves the cursor, and reports whether it is one.
func (l *list) move(key string, n, h int) bool {
	at, ok := moved(key, l.at, n-1, h)
	if ok {
		l.at = at
		l.clamp(n, h)
	}
	return ok
}

// moved is where a key leads to from a line, the last of which is given, on a screen of h
// lines; ok is false if it leads nowhere. The keys are those of less, vi and Emacs. The
// outcome may lie beyond either end.
func moved(key string, at, last, h int) (to int, ok bool) {
	h = max(h, 1)
	switch key {
	case "up", "k", "ctrl+p":
		return at - 1, true
	case "down", "j", "ctrl+n":
		return at + 1, true
	case "pgup", "b", "ctrl+b":
		return at - h, true
	case "pgdown", "space", "f", "ctrl+f":
		return at + h, true
	case "ctrl+u", "u":
		return at - (h+1)/2, true
	case "ctrl+d", "d":
		return at + (h+1)/2, true
	case "home", "g":
		return 0, true
	case "end", "G":
		return last, true
	}
	return at, false
}
