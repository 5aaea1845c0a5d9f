package report

import (
	"iter"
	"slices"
	"strings"
)

// grid is a table for reading: columns as wide as their widest cell. Where a line is
// too narrow for all of them, each row takes several lines, and on a very narrow
// terminal each cell has a line of its own.
type grid struct {
	heads []string
	// over stands above several heads at once: a text for the columns that have it in
	// common, empty for the others.
	over  []string
	right []bool // numbers stand on the right
	rows  []gridRow
	// split is the first column of the second line where two lines are enough; 0 where
	// any will do.
	split int
}

type gridRow struct {
	cells  []string
	colors []string // nil, or a colour for each cell
}

// gridLines is how many lines a row may take before it is easier to read with a cell
// on each line.
const gridLines = 3

// grid writes a table.
func (c *canvas) grid(g *grid) {
	widths := make([]int, len(g.heads))
	for i, h := range g.heads {
		widths[i] = columns(h)
	}
	for _, r := range g.rows {
		for i, cell := range r.cells {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	breaks, ok := c.breaks(g, widths)
	if !ok {
		c.cards(g)
		return
	}
	c.gridHead(g, widths, breaks)
	for i := range g.rows {
		c.gridRow(g, widths, breaks, &g.rows[i])
	}
}

// breaks returns the columns that begin a further line, and whether the table can be
// drawn so. The last column may be longer than the line: its words wrap.
func (c *canvas) breaks(g *grid, widths []int) (at []int, ok bool) {
	if c.width <= 0 {
		return nil, true
	}
	last := len(widths) - 1
	least := widths[last]
	if !g.right[last] {
		least = columns(g.heads[last])
		for _, r := range g.rows {
			for w := range breakable(r.cells[last]) {
				least = max(least, columns(w))
			}
		}
	}
	line := func(from, to, indent int) int {
		n := indent
		for i := from; i < to; i++ {
			w := widths[i]
			if i == last {
				w = least
			}
			n += 2 + w
		}
		return n
	}
	all := 0
	for _, w := range widths {
		all += 2 + w
	}
	if all <= c.width {
		return nil, true
	}
	indent := 2 + widths[0]
	if s := g.split; s > 0 && line(0, s, 0) <= c.width && line(s, last+1, indent) <= c.width {
		return []int{s}, true
	}
	used := 0
	for i := range widths {
		w := widths[i]
		if i == last {
			w = least
		}
		if used > 0 && used+2+w > c.width {
			at = append(at, i)
			used = indent
		}
		if used += 2 + w; used > c.width {
			return nil, false
		}
	}
	return at, len(at) < gridLines
}

// gridHead writes the heads, with what stands above them.
func (c *canvas) gridHead(g *grid, widths, breaks []int) {
	head := gridRow{cells: g.heads, colors: slices.Repeat([]string{dim}, len(g.heads))}
	if g.over == nil {
		c.gridRow(g, widths, breaks, &head)
		return
	}
	from := 0
	for _, to := range append(slices.Clone(breaks), len(widths)) {
		above, line := "", ""
		if from > 0 {
			line = blanks(2 + widths[0])
			above = line
		}
		for i := from; i < to; i++ {
			if s := g.over[i]; s != "" && (i == from || g.over[i-1] != s) {
				// At the first of its columns, on the right of it as its numbers are.
				above = left(above, columns(line)+2+max(widths[i]-columns(g.heads[i]), 0)) + s
			}
			h := left(g.heads[i], widths[i])
			if g.right[i] {
				h = right(g.heads[i], widths[i])
			}
			line += "  " + h
		}
		if strings.TrimSpace(above) != "" {
			c.linef("%s", c.paint(dim, strings.TrimRight(above, " ")))
		}
		c.linef("%s", c.paint(dim, strings.TrimRight(line, " ")))
		from = to
	}
}

func (c *canvas) gridRow(g *grid, widths, breaks []int, r *gridRow) {
	indent := 2 + widths[0]
	var line strings.Builder
	used := 0
	last := len(r.cells) - 1
	for i, cell := range r.cells {
		if slices.Contains(breaks, i) {
			c.linef("%s", strings.TrimRight(line.String(), " "))
			line.Reset()
			line.WriteString(blanks(indent))
			used = indent
		}
		color := ""
		if r.colors != nil {
			color = r.colors[i]
		}
		text := []string{cell}
		if i == last && c.width > 0 && used+2+columns(cell) > c.width {
			text = wrap(cell, c.width-used-2)
		}
		padded := text[0] // behind the last cell nothing follows
		if i < last {
			padded = left(text[0], widths[i])
		}
		if g.right[i] {
			padded = right(text[0], widths[i])
		}
		line.WriteString("  " + c.paint(color, padded))
		for _, t := range text[1:] {
			c.linef("%s", strings.TrimRight(line.String(), " "))
			line.Reset()
			line.WriteString(blanks(used+2) + c.paint(color, t))
		}
		used += 2 + widths[i]
	}
	c.linef("%s", strings.TrimRight(line.String(), " "))
}

// breakable are the words between blanks at which a line may break.
func breakable(s string) iter.Seq[string] {
	return strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' })
}

// wrap breaks a text at its blanks into lines of at most n columns, if its words are
// not longer.
func wrap(s string, n int) (lines []string) {
	for w := range breakable(s) {
		if k := len(lines) - 1; k >= 0 && columns(lines[k])+1+columns(w) <= n {
			lines[k] += " " + w
		} else {
			lines = append(lines, w)
		}
	}
	if lines == nil {
		lines = []string{""}
	}
	return lines
}

// cards writes each row as lines of a head and a cell.
func (c *canvas) cards(g *grid) {
	for k := range g.rows {
		r := &g.rows[k]
		for i, cell := range r.cells {
			color := ""
			if r.colors != nil {
				color = r.colors[i]
			}
			if cell == "" || cell == "-" {
				continue
			}
			indent := "  "
			if i == 0 {
				indent = ""
			}
			name := g.heads[i]
			if g.over != nil && g.over[i] != "" {
				name = g.over[i] + " " + name
			}
			c.prose(indent+c.paint(dim, name)+" ", indent+"  ", c.paintWords(color, strings.ReplaceAll(cell, " ", hard)))
		}
	}
}

// paintWords paints each word by itself, so that prose may break the line between
// them.
func (c *canvas) paintWords(color, s string) string {
	if color == "" || !c.color {
		return s
	}
	words := strings.Fields(s)
	for i, w := range words {
		words[i] = c.paint(color, w)
	}
	return strings.Join(words, " ")
}
