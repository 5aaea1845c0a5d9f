package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names of files and interfaces, comments and whatever else a capture can carry are
// somebody else's choice. A terminal must show them and never obey them.

// Printable replaces what steers a terminal, breaks a line or turns the direction of
// the text by what Go would write for it: \x1b, \u202e. Octets that are no UTF-8
// become \xff.
func Printable(s string) string { return printable(s) }

// ShortName makes a name harmless and no longer than fits into two lines.
func ShortName(s string) string { return shortName(s) }

func printable(s string) string {
	if plainText(s) {
		return s
	}
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
			marks = 0
		case unicode.Is(unicode.M, r):
			if marks++; marks > maxMarks {
				escape(&b, r)
				break
			}
			b.WriteRune(r)
		case control(r):
			escape(&b, r)
			marks = 0
		default:
			b.WriteRune(r)
			marks = 0
		}
		i += n
	}
	return b.String()
}

// maxMarks is how many marks may stand on one letter: more than any script needs, and
// few enough that they do not climb over the lines above.
const maxMarks = 4

func escape(b *strings.Builder, r rune) {
	switch {
	case r == '\t':
		b.WriteString(`\t`)
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r < utf8.RuneSelf:
		fmt.Fprintf(b, `\x%02x`, r)
	case r <= 0xffff:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}

// plainText reports whether s holds nothing but printing ASCII, as nearly all texts.
func plainText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// control reports whether r steers a terminal, breaks a line, turns the direction of
// the text or is not to be seen at all: some terminals obey U+009b as ESC [.
func control(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) || r >= 0xe0000 && r <= 0xe0fff
}

// maxName is how much of a name is shown, in columns: what does not fit into two lines
// says no more.
const maxName = 120

// shortName makes a name harmless, and cuts out of its middle what is too long: the
// beginning and the end of a path say most.
func shortName(s string) string {
	s = printable(s)
	if columns(s) <= maxName {
		return s
	}
	const ellipsis = " ... "
	keep := (maxName - len(ellipsis)) / 2
	head, tail := []rune(s), []rune(s)
	for columns(string(head)) > keep {
		head = head[:max(len(head)-max((columns(string(head))-keep)/2, 1), 0)]
	}
	for columns(string(tail)) > keep {
		tail = tail[min(max((columns(string(tail))-keep)/2, 1), len(tail)):]
	}
	return string(head) + ellipsis + string(tail)
}
