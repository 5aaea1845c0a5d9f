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
	h = max(h, 1)
	switch key {
	case "up", "k", "ctrl+p":
		l.at--
	case "down", "j", "ctrl+n":
		l.at++
	case "pgup", "b", "ctrl+b":
		l.at -= h
	case "pgdown", "space", "f", "ctrl+f":
		l.at += h
	case "ctrl+u", "u":
		l.at -= (h + 1) / 2
	case "ctrl+d", "d":
		l.at += (h + 1) / 2
	case "home", "g":
		l.at = 0
	case "end", "G":
		l.at = n - 1
	default:
		return false
	}
	l.clamp(n, h)
	return true
}
