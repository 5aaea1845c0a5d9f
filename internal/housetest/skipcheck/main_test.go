package main

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	const (
		skip = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: wants a terminal: no device\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA","Elapsed":0}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.003s\n"}
{"Action":"pass","Package":"p","Elapsed":0.003}
`
		fail = `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: wrong\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- FAIL: TestB (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.003s\n"}
{"Action":"fail","Package":"p","Elapsed":0.003}
`
		pass = `{"Action":"output","Package":"p","Test":"TestC","Output":"--- PASS: TestC (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestC","Elapsed":0}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.003s\n"}
{"Action":"pass","Package":"p","Elapsed":0.003}
`
		build = `{"ImportPath":"p","Action":"build-output","Output":"p.go:1:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
`
	)
	for _, x := range []struct {
		name, in, out string
		accepted      []string
		failed        bool
	}{
		{"pass", pass, "ok  \tp\t0.003s\n", nil, false},
		{"fail", fail, "    b_test.go:3: wrong\n--- FAIL: TestB (0.00s)\nFAIL\nFAIL\tp\t0.003s\n", nil, true},
		{"skip accepted", skip, "    a_test.go:3: wants a terminal: no device\n--- SKIP: TestA (0.00s)\nok  \tp\t0.003s\n", []string{"wants a terminal"}, false},
		{"skip", skip, "    a_test.go:3: wants a terminal: no device\n--- SKIP: TestA (0.00s)\n" +
			"    this skip should not happen here: install what the test wants\nFAIL\tp (skipped tests)\n", []string{"wants a modem"}, true},
		{"build", build, "p.go:1:1: syntax error\n", nil, true},
		{"not JSON", "go: no such module\n", "go: no such module\n", nil, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			var out strings.Builder
			failed, err := check(strings.NewReader(x.in), &out, x.accepted)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != x.out || failed != x.failed {
				t.Errorf("failed %v, printed:\n%s\nwant %v:\n%s", failed, out.String(), x.failed, x.out)
			}
		})
	}
}
