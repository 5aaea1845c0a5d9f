package check

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
)

var _ = register("sarif", printSARIF)

// The objects of SARIF 2.1.0 that are used here, by the names of its section 3.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Artifacts   []sarifArtifact   `json:"artifacts,omitempty"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string          `json:"id"`
		Short   sarifText       `json:"shortDescription"`
		Full    *sarifText      `json:"fullDescription,omitempty"`
		Help    sarifText       `json:"help"`
		Default sarifRuleConfig `json:"defaultConfiguration"`
	}
	sarifRuleConfig struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifArtifact struct {
		Location sarifArtifactLocation `json:"location"`
		MimeType string                `json:"mimeType,omitempty"`
	}
	sarifArtifactLocation struct {
		URI string `json:"uri"`
	}
	sarifResult struct {
		RuleID    string            `json:"ruleId"`
		RuleIndex int               `json:"ruleIndex"`
		Level     string            `json:"level"`
		Message   sarifText         `json:"message"`
		Locations []sarifLocation   `json:"locations"`
		Related   []sarifLocation   `json:"relatedLocations,omitempty"`
		Prints    map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		ID       *int           `json:"id,omitempty"`
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
		Message  *sarifText     `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifactLocation `json:"artifactLocation"`
		Region   *sarifRegion          `json:"region,omitempty"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn,omitempty"`
	}
	sarifLogical struct {
		Name      string `json:"name"`
		Qualified string `json:"fullyQualifiedName"`
		Kind      string `json:"kind"`
	}
)

// printSARIF writes a log of one run: a result for each finding that is not as
// expected, and for each other expectation that is not met. Rules are the findings, with
// their texts, and the sections of expectations.
func printSARIF(w io.Writer, results []*Result, o *PrintOptions) error {
	s := sarifPrint{run: sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}, Invocations: []sarifInvocation{{Successful: true}}}}
	s.run.Tool.Driver = sarifDriver{Name: "tcplife", Version: o.Version, InformationURI: "https://github.com/tcplife/tcplife", Rules: []sarifRule{}}
	for _, r := range results {
		for _, name := range r.Inputs {
			s.run.Artifacts = append(s.run.Artifacts, sarifArtifact{sarifArtifactLocation{uri(name)}, mimeType(name)})
		}
		if r.Unread != "" {
			i := &s.run.Invocations[0]
			i.Successful = false
			i.Notifications = append(i.Notifications, sarifNotification{"error", sarifText{r.Capture + ": not checked: " + r.Unread}})
		}
		for i := range r.Verdicts {
			if r.Verdicts[i].Failed {
				s.verdict(r, &r.Verdicts[i])
			}
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", "2.1.0", []sarifRun{s.run}})
}

type sarifPrint struct{ run sarifRun }

func (s *sarifPrint) verdict(r *Result, v *Verdict) {
	text := fmt.Sprintf("%s: %s", v.What, v.message())
	rest := v.Evidence
	// A finding is a result of its own: consumers sort and close them by rule.
	rest = slices.DeleteFunc(slices.Clone(rest), func(e Evidence) bool {
		if e.Rule == "" {
			return false
		}
		s.result(r, v, e.Rule, level(e.Severity), e.Text+" ("+text+")", []Evidence{e})
		return true
	})
	if len(rest) < len(v.Evidence) && len(rest) == 0 {
		return
	}
	s.result(r, v, "expectation-"+v.Kind, "error", text+evidenceText(v, r.Inputs), rest)
}

// evidenceText is what stands behind the message, since not every consumer shows
// locations.
func evidenceText(v *Verdict, inputs []string) string {
	var b strings.Builder
	for i := range v.Evidence {
		b.WriteString("\n" + v.Evidence[i].line(inputs))
	}
	for _, line := range sideBySide(v.Changes) {
		if len(v.Changes) > 0 {
			b.WriteString("\n" + line)
		}
	}
	return b.String()
}

func (s *sarifPrint) result(r *Result, v *Verdict, rule, level, text string, shown []Evidence) {
	x := sarifResult{RuleID: rule, RuleIndex: s.rule(rule), Level: level, Message: sarifText{text}}
	add := func(e *Evidence) {
		// Of a capture of several files, the one that holds the first frame.
		name := r.Capture
		if len(r.Inputs) > 0 {
			name = r.Inputs[0]
		}
		if e != nil && len(e.Frames) > 0 && e.Frames[0].Input() < len(r.Inputs) {
			name = r.Inputs[e.Frames[0].Input()]
		}
		l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifactLocation{uri(name)}}}
		if e != nil && e.title() != "" {
			l.Logical = []sarifLogical{{e.place(), e.place(), "connection"}}
			l.Message = &sarifText{e.line(r.Inputs)}
		}
		x.Locations = append(x.Locations, l)
	}
	for i := range shown {
		add(&shown[i])
	}
	if len(shown) == 0 {
		add(nil)
	}
	print := v.What
	if len(shown) > 0 {
		print += shown[0].UID
	}
	if v.At.Line > 0 {
		id := 0
		x.Related = []sarifLocation{{ID: &id, Physical: sarifPhysical{sarifArtifactLocation{uri(v.At.File)}, &sarifRegion{v.At.Line, v.At.Column}}, Message: &sarifText{"the expectation"}}}
	}
	sum := sha256.Sum256([]byte(rule + "\x00" + filepath.Base(r.Capture) + "\x00" + print))
	x.Prints = map[string]string{"tcplife/v1": hex.EncodeToString(sum[:16])}
	s.run.Results = append(s.run.Results, x)
}

// rule returns a rule's place in the list, and enters it.
func (s *sarifPrint) rule(id string) int {
	rules := &s.run.Tool.Driver.Rules
	if i := slices.IndexFunc(*rules, func(r sarifRule) bool { return r.ID == id }); i >= 0 {
		return i
	}
	made := sarifRule{ID: id, Short: sarifText{id}, Help: sarifText{id}, Default: sarifRuleConfig{"error"}}
	if kind, ok := strings.CutPrefix(id, "expectation-"); ok {
		about := "that a connection lives as it did when the baseline was written"
		if x, ok := sections[kind]; ok {
			about = x.about
		}
		made.Short = sarifText{"Expected of " + kind}
		made.Help = sarifText{"What is expected: " + about + "."}
	}
	for _, r := range ruleInfos() {
		if r.id == id {
			made.Short, made.Full, made.Default = sarifText{r.title}, &sarifText{r.meaning}, sarifRuleConfig{level(r.severity)}
			made.Help = sarifText{strings.TrimSpace(r.meaning + "\n\n" + r.advice)}
		}
	}
	*rules = append(*rules, made)
	return len(*rules) - 1
}

func level(s finding.Severity) string {
	return [...]string{finding.Info: "note", finding.Warning: "warning", finding.Error: "error"}[s]
}

// uri is a file's name as a reference: relative to where the check was run, as long as
// it was named so.
func uri(name string) string {
	u := url.URL{Path: filepath.ToSlash(name)}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
		if !strings.HasPrefix(u.Path, "/") {
			u.Path = "/" + u.Path
		}
	}
	return u.String()
}

func mimeType(name string) string {
	if strings.HasSuffix(name, ".pcap") || strings.HasSuffix(name, ".cap") {
		return "application/vnd.tcpdump.pcap"
	}
	return ""
}
