package housetest

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of the design, section 2: arrows point towards wire. A
// package that does not stand here is a new room: put it in, with what it needs.
var mayImport = map[string][]string{
	"wire":    {},
	"capture": {"wire", "capture/bpf"},
	// A filter is compiled for a link type.
	"capture/bpf": {"wire"},
	"reassembly":  {"wire"},
	"finding":     {"reassembly", "wire"},
	"rosetta":     {"reassembly", "wire"},
	"census":      {"reassembly", "wire"},
	"incident":    {"finding", "reassembly", "wire"},
	// report knows capture for one type, capture.Info: the summary prints what
	// reading an input showed, and copying it field by field would let them drift.
	"report": {"incident", "finding", "census", "rosetta", "reassembly", "wire", "capture"},
	// selection computes what report's fields say, and knows no format.
	"selection": {"report", "incident", "finding", "reassembly", "wire"},
	"pipeline":  {"report", "incident", "finding", "census", "rosetta", "reassembly", "wire", "capture"},
	// check is handed to the pipeline as a format, and prints verdicts by formats of its own.
	"check": {"report", "selection", "incident", "finding", "census", "reassembly", "wire"},
	// ui draws what a report would print. What it shows comes to it through an interface,
	// from a file or a live run alike.
	"ui": {"report", "incident", "finding", "census", "reassembly", "wire"},
	// record writes what pipeline and report say of frames into captures.
	"record": {"pipeline", "report", "incident", "finding", "reassembly", "wire", "capture"},
	// It knows threads and rights, and nothing of packets.
	"confine": {},
	// metrics presents what a run hands out, as report does what it leaves behind.
	"metrics": {"pipeline", "report", "incident", "finding", "census", "reassembly", "wire", "capture"},
	// cmd is where everything meets, and scenario stands outside as the judge.
	"cmd/tcplife":                  {"*"},
	"internal/scenario":            {"*"},
	"internal/scenario/mkpcaps":    {"*"},
	"internal/housetest":           {},
	"internal/housetest/skipcheck": {},
	// It compares programs from outside.
	"internal/peers": {},
	// It reads what the program printed.
	"internal/tally": {},
	// It times programs.
	"internal/rivals": {},
	// It has tests only.
	"internal/everyday": {},
	// Tests import it for its effect.
	"internal/property": {},
	// Tests get a network from it.
	"internal/ownnet": {},
}

// whyNot says what would break, by the package imported.
var whyNot = map[string]string{
	"wire":       "",
	"capture":    "frames reach the other rooms as wire.Frame, so that files and interfaces are equal behind capture.Source",
	"reassembly": "wire and capture come before connections: they know frames and segments only",
	"finding":    "only those who present findings know rules; tracking must not depend on what is looked for",
	"rosetta":    "what other tools would say must have no say in what is found",
	"census":     "only those who present counts know it; tracking must not depend on what is counted",
	"incident":   "only those who present incidents know them; a finding on a connection must not depend on its neighbours",
	"report":     "formats are chosen at the end; a room that knows them could not be printed in a new one",
	"selection":  "which connections a report is about is the caller's choice: the pipeline gets it as a function, so that a run without one costs nothing",
	"check":      "what is expected of a capture is said from outside; a room that knows it would be judged by itself",
	"ui":         "screens are chosen at the end; a room that knows them could not be used without a terminal",
	"record":     "captures are written from what the other rooms say; none of them may depend on that",
	"metrics":    "who looks at a run from outside must not be needed to run",
	"pipeline":   "the pipeline wires the rooms together; a room that knows it closes a circle",
}

// unpacking holds libraries that read compressed input where they can be replaced.
func unpacking(s *source) bool { return s.dir() == "capture" || s.test() }

const whyUnpacking = "packed and plain input are equal behind capture.Source: one room bounds what unpacking takes, names its damage, and can change the library"

// foreign are the packages that only few files may import, with the reason.
var foreign = []struct {
	prefix string
	may    func(s *source) bool
	why    string
}{
	{"github.com/google/gopacket", func(s *source) bool {
		return s.dir() == "internal/scenario" || s.test()
	}, "it judges, and so has no part in what it judges; to start its layers also takes longer than everything else that starts (adr/0001)"},
	{"github.com/gopacket/gopacket", func(s *source) bool {
		return s.dir() == "internal/scenario" || s.test() || s.path == "record/writer.go" || s.path == "wire/fallback.go"
	}, "its types cross a border in two files: wire/fallback.go, whose headers it reads, and record/writer.go, whose captures it writes; its readers have bugs that capture's own do not, and judge those in tests"},
	{"github.com/spf13/", func(s *source) bool { return s.dir() == "cmd/tcplife" },
		"flags and commands are wiring: a room that reads flags cannot be used by another program"},
	{"github.com/klauspost/compress", unpacking, whyUnpacking},
	{"github.com/pierrec/lz4", unpacking, whyUnpacking},
	{"github.com/ulikunitz/xz", unpacking, whyUnpacking},
	{"github.com/expr-lang/expr", func(s *source) bool { return s.dir() == "selection" },
		"its language is what users type: one room maps it to the JSON contract, and can change the library"},
	{"github.com/prometheus/", func(s *source) bool { return s.dir() == "metrics" },
		"one room knows the exposition format; what is counted does not depend on who reads it"},
	{"github.com/mattn/go-runewidth", func(s *source) bool { return s.path == "report/canvas.go" || s.test() },
		"how wide a letter is must be the same in every line of a report"},
	{"charm.land/", func(s *source) bool { return s.dir() == "ui" },
		"one room draws screens: the others must work where there is no terminal"},
	{"github.com/charmbracelet/", func(s *source) bool { return s.dir() == "ui" },
		"one room draws screens: the others must work where there is no terminal"},
	{"go.yaml.in/yaml", func(s *source) bool { return s.dir() == "cmd/tcplife" || s.dir() == "check" },
		"a profile's file is wiring, as flags are: a room gets values, and what a key is called is decided once (in check, the language of expectations is the room's own matter)"},
	{"github.com/landlock-lsm/", func(s *source) bool { return s.dir() == "confine" },
		"rights are given away in one place, for all threads, and looked at behind it"},
	{"kernel.org/pub/linux/libs/security/", func(s *source) bool { return s.dir() == "confine" },
		"rights are given away in one place, for all threads, and looked at behind it"},
	{"testing", func(s *source) bool {
		return s.test() || s.dir() == "internal/scenario" || s.dir() == "internal/ownnet"
	},
		"it registers flags in whatever program links it"},
	{"unsafe", func(*source) bool { return false }, "input is hostile"},
	{"C", func(*source) bool { return false }, "CGO_ENABLED=0 always works, and the binary is one static file"},
}

// bare are the packages that must stay free of the world: same input, same output,
// to the byte.
var bare = map[string]map[string]string{
	"reassembly": {
		"encoding/json": "the JSON contract is report's; tags on tracked records would make every field of them public",
		"os":            "no I/O: what it does must follow from the segments alone",
		"io":            "no I/O: what it does must follow from the segments alone",
		"net":           "no I/O: what it does must follow from the segments alone",
		"log":           "it logs nothing: what it noticed stands in the connection",
		"log/slog":      "it logs nothing: what it noticed stands in the connection",
		"sync":          "one tracker belongs to one goroutine; a lock would hide that it is shared",
		"sync/atomic":   "one tracker belongs to one goroutine; an atomic would hide that it is shared",
		"context":       "nothing in it waits",
		"math/rand":     "same input, same output: the seed is handed in",
		"math/rand/v2":  "same input, same output: the seed is handed in",
		"crypto/rand":   "same input, same output: the seed is handed in",
	},
	"wire": {
		"os":            "decoding does no I/O",
		"net":           "decoding does no I/O; addresses are net/netip",
		"sync":          "a Decoder belongs to one goroutine",
		"encoding/json": "the JSON contract is report's",
	},
	"census": {
		"os":            "counting does no I/O",
		"net":           "counting does no I/O; addresses are net/netip",
		"sync":          "one counter belongs to one goroutine; sums are merged",
		"encoding/json": "the JSON contract is report's",
	},
	"incident": {
		"os":            "rules are pure functions of the sums",
		"net":           "rules are pure functions of the sums; addresses are net/netip",
		"sync":          "one Sums belongs to one goroutine; sums are merged",
		"encoding/json": "the JSON contract is report's",
		"math/rand/v2":  "same input, same output",
	},
	"finding": {
		"os":            "rules are pure functions of a connection",
		"net":           "rules are pure functions of a connection",
		"sync":          "rules hold no state",
		"encoding/json": "the JSON contract is report's",
	},
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := mayImport[s.dir()]
		if !known {
			t.Errorf("%s: the room %s is not in the table of imports: say in imports_test.go (and in the design) what it may know", s.path, s.dir())
			continue
		}
		for _, imported := range s.imports() {
			checkForeign(t, s, imported)
			if why, ok := bare[s.dir()][imported]; ok && !s.test() {
				t.Errorf("%s imports %s: %s", s.path, imported, why)
			}
			room, ours := strings.CutPrefix(imported, module+"/")
			// A test may compare with whatever judges it; what is linked into the
			// program is the question.
			if !ours || s.test() || room == s.dir() || allowed == nil || slices.Contains(allowed, "*") || slices.Contains(allowed, room) {
				continue
			}
			why := whyNot[room]
			if strings.HasPrefix(room, "internal/") || strings.HasPrefix(room, "cmd/") {
				why = "it is a tool of the tests or the program itself, on which no room may depend"
			}
			t.Errorf("%s imports %s, and %s may import only %v: %s", s.path, room, s.dir(), allowed, why)
		}
	}
}

// TestSeedsAreFixed wants every package that tries properties to let the continuous
// integration fix their seed.
func TestSeedsAreFixed(t *testing.T) {
	const rapid, property = "pgregory.net/rapid", module + "/internal/property"
	random, fixed := map[string]bool{}, map[string]bool{"internal/property": true}
	for _, s := range sources(t) {
		for _, imported := range s.imports() {
			random[s.dir()] = random[s.dir()] || imported == rapid
			fixed[s.dir()] = fixed[s.dir()] || imported == property
		}
	}
	for dir := range random {
		if random[dir] && !fixed[dir] {
			t.Errorf("%s: its tests import %s: one of them imports _ %q too, so that a run of the continuous integration can be repeated", dir, rapid, property)
		}
	}
}

func checkForeign(t *testing.T, s *source, imported string) {
	t.Helper()
	for _, f := range foreign {
		exact := imported == f.prefix || strings.HasPrefix(imported, strings.TrimSuffix(f.prefix, "/")+"/")
		if exact && f.prefix == "testing" && imported != "testing" {
			exact = false
		}
		if exact && !f.may(s) {
			t.Errorf("%s imports %s: %s", s.path, imported, f.why)
		}
	}
}

// TestRoomsExist keeps the table of imports honest: what it names must be there,
// and what go list finds must stand in it.
func TestRoomsExist(t *testing.T) {
	list := exec.Command("go", "list", "./...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Skipf("wants the go command, to list the packages: %v", err)
	}
	have := map[string]bool{}
	for p := range strings.FieldsSeq(string(out)) {
		room := strings.TrimPrefix(p, module+"/")
		have[room] = true
		if _, ok := mayImport[room]; !ok {
			t.Errorf("package %s is not in the table of imports", room)
		}
	}
	for room := range mayImport {
		if !have[room] {
			t.Errorf("the table of imports names %s, which does not exist", room)
		}
	}
}
