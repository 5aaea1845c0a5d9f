package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tcplife/tcplife/report"
)

var update = flag.Bool("update", false, "rewrite the expected outputs (testdata/script here, testdata/golden at the top of the repository); "+
	"then read the diff, line by line: whatever is committed is what users get")

// TestMain makes this test binary the program when a script runs `tcplife`: the
// scripts see the real main, with its signals, streams and exit codes.
func TestMain(m *testing.M) {
	testscript.Main(withoutSettings{m}, map[string]func(){"tcplife": main})
}

// withoutSettings runs the tests, though not the program in scripts, without the
// settings of whoever runs them.
type withoutSettings struct{ *testing.M }

func (m withoutSettings) Run() int {
	for _, name := range settingNames {
		os.Unsetenv(settingVariable(name))
	}
	os.Setenv(configVariable, "none")
	return m.M.Run()
}

func TestScripts(t *testing.T) {
	pcaps, err := filepath.Abs(pcapDir)
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"status": status,
		"cut":    cut,
		"many":   many,
		"rotate": rotate,
		"zero":   zero,
		"joined": joined,
		"valid":  valid,
		"fits":   fits,
	}
	for name, command := range pipeCommands {
		commands[name] = command
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Cmds:          commands,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PCAPS", pcaps)
			e.Setenv("NO_COLOR", "")
			// A script's own settings are in the folder conf.
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "conf"))
			// With the race detector each of some hundred programs would sleep for a
			// second before it exits.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}

const pcapDir = "../../testdata/pcaps"

// status N COMMAND...: runs a command and demands its exit code.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND...")
	}
	demand(ts, args[0], ts.Exec(args[1], args[2:]...))
}

func demand(ts *testscript.TestScript, want string, err error) {
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s (%v)", code, want, err)
	}
}

// cut N FROM TO: copies the first N octets of a file, or without its last -N.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut OCTETS FROM TO")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[1]))
	if n < 0 {
		n += len(b)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b[:n], 0o644))
}

// many N FILE: writes a capture of N refused connection attempts, one a second.
func many(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: many N FILE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), manyRefused(n), 0o644))
}

// manyRefused returns a pcap (microseconds, raw IP) of n SYNs from different ports,
// each answered by a RST.
func manyRefused(n int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(le.AppendUint32(b, 1<<16), 101)
	for i := range n {
		client := []byte{10, 1, 0, 1}
		server := []byte{10, 2, 0, 1}
		port := []byte{byte(i>>8) | 0x80, byte(i)}
		for answer := range 2 {
			for _, v := range []uint32{1_700_000_000 + uint32(i), uint32(answer) * 1000, 40, 40} {
				b = le.AppendUint32(b, v)
			}
			b = append(b, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0)
			if answer == 0 {
				b = slices.Concat(b, client, server, port, []byte{1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xfa, 0xf0, 0, 0, 0, 0})
			} else {
				b = slices.Concat(b, server, client, []byte{1, 187}, port, []byte{0, 0, 0, 0, 0, 0, 0, 2, 0x50, 0x14, 0, 0, 0, 0, 0, 0})
			}
		}
	}
	return b
}

// rotate N FILE PREFIX: cuts a capture (little-endian pcap) between records into the
// files PREFIX0, PREFIX1, ..., as a program that rotates its files has it.
func rotate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: rotate N FILE PREFIX")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i, part := range parts([]byte(ts.ReadFile(args[1])), n) {
		ts.Check(os.WriteFile(ts.MkAbs(args[2]+strconv.Itoa(i)), part, 0o644))
	}
}

// parts cuts a little-endian pcap between records into n files of about as many
// frames each.
func parts(pcap []byte, n int) (files [][]byte) {
	head, rest := pcap[:24], pcap[24:]
	var records [][]byte
	for len(rest) > 0 {
		end := 16 + int(binary.LittleEndian.Uint32(rest[8:]))
		records = append(records, rest[:end])
		rest = rest[end:]
	}
	for i := range n {
		files = append(files, slices.Concat(append([][]byte{head}, records[i*len(records)/n:(i+1)*len(records)/n]...)...))
	}
	return files
}

// zero FROM TO: copies a list, each line ended by a zero octet.
func zero(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: zero FROM TO")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\x00")), 0o644))
}

// joined FROM... TO: writes files one behind the other.
func joined(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: joined FROM... TO")
	}
	var all []byte
	for _, from := range args[:len(args)-1] {
		all = append(all, ts.ReadFile(from)...)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[len(args)-1]), all, 0o644))
}

// fits COLUMNS FILE: no line of a text is wider, unless it is a single word, which cannot
// be broken. FILE may be stdout.
func fits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fits COLUMNS FILE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(ts.ReadFile(args[1]), "")
	if text == "" {
		ts.Fatalf("nothing was printed")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if utf8.RuneCountInString(line) > n && len(strings.Fields(line)) > 1 {
			ts.Fatalf("more than %d columns: %q", n, line)
		}
	}
}

// valid ndjson|json FILE: holds a report against the published schema. FILE may be
// stdout.
func valid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: valid ndjson|json FILE")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.SchemaJSON))
	ts.Check(err)
	c := jsonschema.NewCompiler()
	ts.Check(c.AddResource("tcplife.json", doc))
	schema, err := c.Compile("tcplife.json")
	ts.Check(err)
	text := ts.ReadFile(args[1])
	parts := []string{text}
	if args[0] == "ndjson" {
		parts = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	for i, p := range parts {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(p))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			ts.Fatalf("line %d: %v\n%s", i+1, err, p)
		}
	}
}

// slowly writes b in small pieces, as a capture that is being made comes.
func slowly(w io.Writer, b []byte, piece int) error {
	for len(b) > 0 {
		n := min(piece, len(b))
		if _, err := w.Write(b[:n]); err != nil {
			return fmt.Errorf("feeding the program: %w", err)
		}
		b = b[n:]
	}
	return nil
}
