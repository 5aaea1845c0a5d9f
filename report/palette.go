package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Colors are a reader's own colours: what a part of the text has instead of the usual,
// as the parameters of an SGR sequence, by the usual's.
type Colors map[string]string

// colorParts are the parts of the text that have a colour.
var colorParts = map[string]string{"error": red, "warning": yellow, "info": cyan, "good": blue, "heading": bold, "faint": dim}

// ParseColors reads colours as people write them: by the part of the text, a colour of
// the sixteen (red, bright-red), its number among 256, bold, faint, italic, underline,
// reverse, several of these, or none.
func ParseColors(words map[string]string) (Colors, error) {
	all := Colors{}
	for _, part := range slices.Sorted(maps.Keys(words)) {
		usual, ok := colorParts[part]
		if !ok {
			names := slices.Sorted(maps.Keys(colorParts))
			return nil, fmt.Errorf("colors: there is no %q%s: there are %s", part, meant(part, names), strings.Join(names, ", "))
		}
		sgr, err := parseColor(words[part])
		if err != nil {
			return nil, fmt.Errorf("colors: %s: %w", part, err)
		}
		all[usual] = sgr
	}
	return all, nil
}

func meant(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// sgrNames are the names of SGR's parameters (ECMA-48 8.3.117).
var sgrNames = map[string]int{"bold": 1, "faint": 2, "italic": 3, "underline": 4, "reverse": 7}

// sgrColors are in the order of their numbers from 30, or 90 for the bright ones.
var sgrColors = []string{"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}

func parseColor(s string) (sgr string, err error) {
	var parts []string
	for _, w := range strings.Fields(strings.ToLower(s)) {
		bright, isBright := strings.CutPrefix(w, "bright-")
		n, e := strconv.Atoi(w)
		switch i := slices.Index(sgrColors, bright); {
		case w == "none":
		case sgrNames[w] != 0:
			parts = append(parts, strconv.Itoa(sgrNames[w]))
		case i >= 0 && isBright:
			parts = append(parts, strconv.Itoa(90+i))
		case i >= 0:
			parts = append(parts, strconv.Itoa(30+i))
		case e == nil && 0 <= n && n <= 255:
			parts = append(parts, "38;5;"+w)
		default:
			names := append(slices.Sorted(maps.Keys(sgrNames)), sgrColors...)
			return "", fmt.Errorf("%q is no colour%s (%s, bright-red and so on, a number to 255, or none)", w, meant(w, names), strings.Join(names, ", "))
		}
	}
	return strings.Join(parts, ";"), nil
}
