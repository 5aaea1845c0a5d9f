package finding

import "slices"

// Grades is a user's choice: which findings are told, and how grave they are where they
// were found. The zero value tells all, as grave as their rules say. It changes what is
// told and nothing of what is looked for: what one finding explains about another holds
// also if the other is not told.
type Grades struct {
	// Only are the IDs of rules that are told, all if there is none; Ignore those that are
	// not.
	Only, Ignore []string
	// Severity is how grave the findings of a rule are, by its ID.
	Severity map[string]Severity
}

// Told reports whether the findings of a rule are told.
func (g *Grades) Told(id string) bool {
	return (len(g.Only) == 0 || slices.Contains(g.Only, id)) && !slices.Contains(g.Ignore, id)
}

// Of returns how grave a finding of a rule is that its rule calls as grave as severity.
func (g *Grades) Of(id string, severity Severity) Severity {
	if s, ok := g.Severity[id]; ok {
		return s
	}
	return severity
}

// Apply returns the findings that are told, as grave as the user has them, and in that
// order. It works in place.
func (g *Grades) Apply(found []Finding) []Finding {
	found = slices.DeleteFunc(found, func(f Finding) bool { return !g.Told(f.Rule.ID) })
	for i := range found {
		found[i].Severity = g.Of(found[i].Rule.ID, found[i].Severity)
	}
	sortFindings(found)
	return found
}

// sortFindings puts the gravest first, then goes by first frame and ID. It is stable. There are
// few, and mostly in order already.
func sortFindings(found []Finding) {
	for i := 1; i < len(found); i++ {
		for j := i; j > 0 && found[j].before(&found[j-1]); j-- {
			found[j], found[j-1] = found[j-1], found[j]
		}
	}
}

func (f *Finding) before(g *Finding) bool {
	switch {
	case f.Severity != g.Severity:
		return f.Severity > g.Severity
	case f.Frames[0] != g.Frames[0]:
		return f.Frames[0] < g.Frames[0]
	}
	return f.Rule.ID < g.Rule.ID
}
