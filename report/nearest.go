package report

import (
	"slices"
	"strings"
)

// Nearest returns the one of the names that may have been meant by another: one that
// holds all words of it, otherwise the one that the fewest changed letters lead to, or
// nothing when even that would be another word. Upper and lower case are the same, and
// so are the characters between words.
func Nearest(name string, names []string) string { return nearest(name, names) }

func nearest(name string, names []string) string {
	best, least := "", max(len(name), 2)/2+1
	plain := plainName(name)
	words := strings.Fields(plain)
	for _, n := range names {
		p := plainName(n)
		d := distance(plain, p)
		if len(name) >= 3 && (strings.Contains(p, plain) || hasWords(p, words)) {
			d = 0
		}
		if d < least || d == 0 && len(n) < len(best) {
			best, least = n, d
		}
	}
	return best
}

// plainName is a name in small letters, with blanks between its words.
func plainName(s string) string {
	return strings.ToLower(strings.NewReplacer("-", " ", "_", " ").Replace(s))
}

func hasWords(name string, words []string) bool {
	of := strings.Fields(name)
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(of, w) })
}

// distance is the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
