package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
)

// gradeOptions are the flags that say which findings are told, and how grave they are.
type gradeOptions struct {
	only, ignore []string
	file         string
}

func (o *gradeOptions) addFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.only, "only", nil, "tell no other findings than this `finding`, by its ID (tcplife explain lists them); may be repeated")
	f.StringSliceVar(&o.ignore, "ignore", nil, "do not tell this `finding`, by its ID; may be repeated")
	f.StringVar(&o.file, "rules", "", "read from this `file` (YAML) which findings are told and how grave they are: only, ignore, severity")
}

// grades returns what the flags and the file say; nil if nothing.
func (o *gradeOptions) grades() (*finding.Grades, error) {
	if len(o.only)+len(o.ignore) == 0 && o.file == "" {
		return nil, nil
	}
	g := &finding.Grades{}
	if o.file != "" {
		text, err := readText(o.file, mostText)
		if err == nil {
			err = parseGrades(text, g)
		}
		if err != nil {
			if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
				return nil, usage("--rules: %w", err) // it has the name already
			}
			return nil, usage("--rules %s: %w", o.file, err)
		}
	}
	for _, x := range []struct {
		flag string
		ids  []string
		to   *[]string
	}{{"--only", o.only, &g.Only}, {"--ignore", o.ignore, &g.Ignore}} {
		for _, id := range x.ids {
			if err := gradable(id); err != nil {
				return nil, usage("%s: %w", x.flag, err)
			}
		}
		*x.to = append(*x.to, x.ids...)
	}
	for _, id := range g.Only {
		if slices.Contains(g.Ignore, id) {
			return nil, usage("%s is both wanted (only) and unwanted (ignore)", id)
		}
	}
	return g, nil
}

// gradable reports why a finding cannot be chosen by an ID.
func gradable(id string) error {
	switch {
	case finding.Lookup(id) != nil || incident.Lookup(id) != nil:
		return nil
	case finding.LookupCapture(id) != nil:
		return fmt.Errorf("%s is about the capture, and how far the capture can be trusted is always told", id)
	}
	return fmt.Errorf("%q is no finding's ID%s ('tcplife explain' lists them)", id, didYouMean(id, ruleIDs()))
}

// parseGrades reads a file of --rules.
func parseGrades(text []byte, g *finding.Grades) error {
	var root yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&root); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	top := root.Content[0]
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: give lines such as 'ignore: [half-close]'", top.Line)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		switch key.Value {
		case "only", "ignore":
			to := &g.Only
			if key.Value == "ignore" {
				to = &g.Ignore
			}
			if value.Kind != yaml.SequenceNode {
				return fmt.Errorf("line %d: %s: give a list of findings, such as [half-close, abort]", value.Line, key.Value)
			}
			for _, x := range value.Content {
				if err := gradable(x.Value); err != nil {
					return fmt.Errorf("line %d: %s: %w", x.Line, key.Value, err)
				}
				*to = append(*to, x.Value)
			}
		case "severity":
			if value.Kind != yaml.MappingNode {
				return fmt.Errorf("line %d: severity: give lines such as 'half-close: warning'", value.Line)
			}
			g.Severity = map[string]finding.Severity{}
			for j := 0; j+1 < len(value.Content); j += 2 {
				id, word := value.Content[j], value.Content[j+1]
				if err := gradable(id.Value); err != nil {
					return fmt.Errorf("line %d: severity: %w", id.Line, err)
				}
				s, ok := severity(word.Value)
				if !ok {
					return fmt.Errorf("line %d: severity of %s: %q is none of %s%s", word.Line, id.Value, word.Value, strings.Join(severities(), ", "), didYouMean(word.Value, severities()))
				}
				g.Severity[id.Value] = s
			}
		default:
			names := []string{"only", "ignore", "severity"}
			return fmt.Errorf("line %d: there is no %q: there are %s%s", key.Line, key.Value, strings.Join(names, ", "), didYouMean(key.Value, names))
		}
	}
	return nil
}
