package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestLifecycleOnly: what is told of the frames that --lifecycle-only leaves is told of
// the whole capture too. Only a reset may be called a plain one where the data before it
// showed more.
func TestLifecycleOnly(t *testing.T) {
	files, err := filepath.Glob(pcapDir + "/*.pcap*")
	if err != nil || len(files) < 50 {
		t.Fatalf("only %d captures: %v", len(files), err)
	}
	more, err := filepath.Glob(pcapDir + "/incidents/*.pcap*")
	if err != nil || len(more) < 5 {
		t.Fatalf("only %d captures of incidents: %v", len(more), err)
	}
	connections, same := 0, 0
	for _, f := range append(files, more...) {
		all, allEnds := told(t, f)
		some, ends := told(t, "--lifecycle-only", f)
		for what := range some {
			if !all[what] && !strings.HasSuffix(what, " abort") {
				t.Errorf("%s: told without data alone: %s", filepath.Base(f), what)
			}
		}
		for c, end := range allEnds {
			connections++
			if ends[c] == end {
				same++
			}
		}
	}
	t.Logf("of %d connections %d ended in the same way and in the same states", connections, same)
	if same*10 < connections*8 {
		t.Errorf("of %d connections only %d ended in the same way and in the same states", connections, same)
	}
}

// told returns the findings of a report, and how each connection ended.
func told(t *testing.T, args ...string) (findings map[string]bool, ends map[string]string) {
	t.Helper()
	var out, errOut bytes.Buffer
	run(context.Background(), append([]string{"analyze", "--quiet", "--format", "ndjson"}, args...), strings.NewReader(""), &out, &errOut)
	findings, ends = map[string]bool{}, map[string]string{}
	type end struct {
		IP   string
		Port int
	}
	for line := range strings.Lines(out.String()) {
		var x struct {
			Type, ID       any
			Client, Server end
			Start          string
			Scope          any
			Close          struct{ Reason string }
			Final          any
			Findings       []struct{ ID string }
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch x.Type {
		case "connection":
			c := fmt.Sprint(x.Client, x.Server, x.Start)
			ends[c] = fmt.Sprint(x.Close.Reason, x.Final)
			for _, f := range x.Findings {
				findings[c+" "+f.ID] = true
			}
		case "finding":
			findings[fmt.Sprint(x.Scope, " ", x.ID)] = true
		}
	}
	return findings, ends
}
