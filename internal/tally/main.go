// Command tally counts the findings in reports, by kind.
//
//	tcplife analyze --each --merge-encap -f ndjson FOLDER | go run ./internal/tally
//
// It prints a table in Markdown: each rule, catalogue number, severity and confidence,
// with how often it was found, and in how many captures.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// kind is what findings are counted by.
type kind struct{ ID, Catalogue, Severity, Confidence string }

func (k kind) compare(o kind) int {
	return cmp.Or(cmp.Compare(k.ID, o.ID), cmp.Compare(k.Catalogue, o.Catalogue), cmp.Compare(k.Severity, o.Severity), cmp.Compare(k.Confidence, o.Confidence))
}

type count struct {
	findings int
	captures map[string]bool
}

func main() {
	if err := tally(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tally: reading reports in NDJSON from standard input:", err)
		os.Exit(1)
	}
}

func tally(in io.Reader, out io.Writer) error {
	type found struct {
		ID, Catalogue, Severity, Confidence string
	}
	counts := map[kind]*count{}
	connections, all := 0, 0
	captures := map[string]bool{}
	capture := ""
	dec := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	for {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		var line struct {
			Type, Capture string
			Findings      json.RawMessage
		}
		if err := json.Unmarshal(raw, &line); err != nil {
			return err
		}
		var findings []found
		switch line.Type {
		case "connection":
			connections++
			capture = line.Capture
			captures[capture] = true
			if err := json.Unmarshal(line.Findings, &findings); err != nil {
				return err
			}
		case "finding": // one over many connections, behind those of its capture
			var f found
			if err := json.Unmarshal(raw, &f); err != nil {
				return err
			}
			findings = append(findings, f)
		}
		for _, f := range findings {
			all++
			k := kind(f)
			c := counts[k]
			if c == nil {
				c = &count{captures: map[string]bool{}}
				counts[k] = c
			}
			c.findings++
			c.captures[capture] = true
		}
	}
	kinds := make([]kind, 0, len(counts))
	for k := range counts {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, kind.compare)
	fmt.Fprintf(out, "%d findings on %d connections of %d captures.\n\n", all, connections, len(captures))
	fmt.Fprintln(out, "| Finding | Catalogue | Severity | Confidence | Findings | Captures |")
	fmt.Fprintln(out, "| --- | --- | --- | --- | --- | --- |")
	for _, k := range kinds {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %d | %d |\n", k.ID, k.Catalogue, k.Severity, k.Confidence, counts[k].findings, len(counts[k].captures))
	}
	return nil
}
