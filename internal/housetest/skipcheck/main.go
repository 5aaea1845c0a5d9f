// Command skipcheck reads the output of `go test -json`, prints it as `go test`
// does, and exits with 1 if a test failed, or was skipped for a reason that is
// no excuse where it runs. It is for the continuous integration: a test that skips
// because something was not installed proves nothing and looks like one that
// passed.
//
// A test says in its skip what it wants: "wants the shared corpus: ...". Each
// argument of skipcheck is a reason to accept, as a part of that sentence.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	failed, err := check(os.Stdin, os.Stdout, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "skipcheck:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// event is a line of test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

// check copies what go test would print from in to out. It reports whether
// anything failed or was skipped without an accepted reason.
func check(in io.Reader, out io.Writer, accepted []string) (failed bool, err error) {
	texts := map[string][]string{} // what each test printed
	bad := map[string][]string{}   // skips that are none, by package
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // not from test2json: an error of the go command
			failed = true
			continue
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "build-fail":
			failed = true
		case "output":
			if e.Test != "" {
				texts[name] = append(texts[name], e.Output)
			} else if e.Output != "PASS\n" {
				// The package's own lines; its verdict is held back until its skips
				// are told.
				if strings.HasPrefix(e.Output, "ok  ") && len(bad[e.Package]) > 0 {
					for _, b := range bad[e.Package] {
						fmt.Fprint(out, b)
					}
					fmt.Fprintf(out, "FAIL\t%s (skipped tests)\n", e.Package)
					failed = true
					continue
				}
				fmt.Fprint(out, e.Output)
			}
		case "fail":
			failed = true
			if e.Test != "" {
				fmt.Fprint(out, strings.Join(without(texts[name], "=== "), ""))
			}
			delete(texts, name)
		case "skip":
			if e.Test != "" {
				text := strings.Join(without(texts[name], "=== "), "")
				if slices.ContainsFunc(accepted, func(r string) bool { return strings.Contains(text, r) }) {
					fmt.Fprint(out, text)
				} else {
					bad[e.Package] = append(bad[e.Package], text+"    this skip should not happen here: install what the test wants\n")
				}
			}
			delete(texts, name)
		case "pass":
			delete(texts, name)
		}
	}
	return failed, lines.Err()
}

// without returns the lines that do not begin with prefix.
func without(lines []string, prefix string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
}
