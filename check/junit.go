package check

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/tcplife/tcplife/report"
)

var _ = register("junit", printJUnit)

// The elements and attributes, in the order and with all of those that Ant's schema wants,
// the strictest of the common ones; Jenkins' takes them, too.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string         `xml:"name,attr"`
	Package    string         `xml:"package,attr"`
	ID         int            `xml:"id,attr"`
	Timestamp  string         `xml:"timestamp,attr"`
	Hostname   string         `xml:"hostname,attr"`
	Tests      int            `xml:"tests,attr"`
	Failures   int            `xml:"failures,attr"`
	Errors     int            `xml:"errors,attr"`
	Time       string         `xml:"time,attr"`
	Properties junitEmptyList `xml:"properties"`
	Cases      []junitCase    `xml:"testcase"`
	Out        string         `xml:"system-out"`
	Err        string         `xml:"system-err"`
}

type junitEmptyList struct {
	Properties []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Error   *junitProblem `xml:"error"`
	Failure *junitProblem `xml:"failure"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",cdata"`
}

// printJUnit writes JUnit's XML: a suite for each capture, a case for each expectation.
// The time stamp of a suite is that of the capture, and nothing takes time: the same
// captures give the same file.
func printJUnit(w io.Writer, results []*Result, _ *PrintOptions) error {
	var all junitSuites
	for i, r := range results {
		s := junitSuite{
			Name: r.Capture, Package: "tcplife", ID: i, Timestamp: "1970-01-01T00:00:00", Hostname: "localhost", Time: "0",
			Properties: junitEmptyList{[]junitProperty{{"connections", fmt.Sprint(r.Connections)}}}, Out: strings.Join(r.Remarks, "\n"),
		}
		if r.Start != 0 {
			s.Timestamp = r.Start.Std().UTC().Format("2006-01-02T15:04:05")
		}
		class := "tcplife." + junitClass(r.Capture)
		if r.Unread != "" {
			s.Tests, s.Errors, s.Err = 1, 1, report.Printable(r.Unread)
			s.Cases = []junitCase{{Name: "the capture can be checked", Class: class, Time: "0", Error: &junitProblem{s.Err, "unread", s.Err}}}
		}
		for k := range r.Verdicts {
			v := &r.Verdicts[k]
			c := junitCase{Name: v.What, Class: class, Time: "0"}
			if s.Tests++; v.Failed {
				s.Failures++
				c.Failure = &junitProblem{v.message(), v.Kind, strings.Join(v.details(r.Inputs), "\n")}
			}
			s.Cases = append(s.Cases, c)
		}
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitClass is a name without what consumers take for the parts of a class's.
func junitClass(name string) string {
	return strings.NewReplacer(".", "_", "/", "_", "\\", "_", " ", "_").Replace(report.ShortName(name))
}
