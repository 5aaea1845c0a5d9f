package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	const in = `{"type":"connection","id":1,"capture":"a","findings":[{"id":"abort","catalogue":"C11","severity":"info","confidence":"likely"},{"id":"abort","catalogue":"C11","severity":"info","confidence":"likely"}]}
{"type":"finding","id":"port-scan","catalogue":"H12","severity":"warning","confidence":"likely"}
{"type":"summary"}
{"type":"connection","id":1,"capture":"b","findings":[{"id":"abort","catalogue":"C11","severity":"info","confidence":"likely"}]}
`
	const want = `4 findings on 2 connections of 2 captures.

| Finding | Catalogue | Severity | Confidence | Findings | Captures |
| --- | --- | --- | --- | --- | --- |
| abort | C11 | info | likely | 3 | 2 |
| port-scan | H12 | warning | likely | 1 | 1 |
`
	var out strings.Builder
	if err := tally(strings.NewReader(in), &out); err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := tally(strings.NewReader(`{"type":"connection","findings":3}`), &out); err == nil {
		t.Error("findings that are no list give no error")
	}
}
