package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tcplife/tcplife/report"
)

// hostileName steers a terminal, breaks lines and turns the direction of the text.
const hostileName = "\x1b]0;owned\x07\x1b[2J\n\u202egnp\u009b31m\xff.pcap"

// TestHostileNames looks at everything that is printed about files with such names, and
// with such interfaces and comments in them: whole, damaged and missing.
func TestHostileNames(t *testing.T) {
	t.Chdir(t.TempDir())
	whole, err := os.ReadFile(filepath.Join(pcapDirAbs, "lost-final-ack.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{hostileName: whole, "cut" + hostileName: whole[:len(whole)-7], "ng" + hostileName: hostilePcapng(), "no" + hostileName: []byte("no capture")} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Skipf("wants a file system that takes any name: %v", err)
		}
	}
	var lines [][]string
	for _, f := range report.Formats() {
		lines = append(lines, []string{"--format", f, "--verbose"}, []string{"--format", f, "--group-by", "capture", "--verbose"}, []string{"--format", f, "--name", hostileName})
	}
	lines = append(lines, []string{"--inventory"}, []string{"--inventory", "-f", "json"}, []string{"--census"}, []string{"-c", "1"}, []string{"-c", "frame:" + hostileName + ":1"}, []string{"--filter", hostileName},
		[]string{"--filter", "close.reason == \"" + hostileName + "\""}, []string{"--format", hostileName}, []string{"--" + hostileName}, []string{"--host", hostileName}, []string{"--columns", hostileName},
		[]string{"--tz", hostileName}, []string{"--since", hostileName}, []string{"--profile", hostileName}, []string{"--output", hostileName + "/x"}, []string{"--fail-on", hostileName})
	for _, args := range lines {
		for _, files := range [][]string{{hostileName}, {"cut" + hostileName}, {"ng" + hostileName}, {"no" + hostileName}, {"missing" + hostileName}, {hostileName, hostileName, "cut" + hostileName, "ng" + hostileName, "missing" + hostileName}} {
			code, out, errOut := invoke(t, nil, append(append([]string{"analyze"}, args...), files...)...)
			for what, text := range map[string]string{"standard output": out, "standard error": errOut} {
				if bad := steering(text); bad != "" {
					t.Errorf("analyze %q %q (exit code %d): %s holds %q", args, files, code, what, bad)
				}
			}
			if strings.Contains(errOut, "\ngnp") || strings.Contains(errOut, "\n\\u202e") {
				t.Errorf("analyze %q %q: a name breaks a line of standard error: %q", args, files, errOut)
			}
		}
	}
	for _, args := range [][]string{{hostileName}, {"explain", hostileName}, {"help", hostileName}, {"version", hostileName}, {"completion", hostileName}} {
		_, out, errOut := invoke(t, nil, args...)
		if bad := steering(out + errOut); bad != "" {
			t.Errorf("%q: %q", args, bad)
		}
	}
}

// steering returns what in a text would steer a terminal; tabs and line ends do not.
func steering(text string) string {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 || r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return text[max(i-10, 0):min(i+20, len(text))]
		}
		i += n
	}
	return ""
}

// pcapDirAbs is found before any test changes the folder.
var pcapDirAbs = func() string {
	dir, _ := filepath.Abs(pcapDir)
	return dir
}()

// hostilePcapng is a capture with an interface and comments of such names, without
// frames.
func hostilePcapng() []byte {
	le := binary.LittleEndian
	option := func(b []byte, code uint16, text string) []byte {
		b = le.AppendUint16(le.AppendUint16(b, code), uint16(len(text)))
		b = append(b, text...)
		return append(b, make([]byte, (4-len(text)%4)%4)...)
	}
	block := func(kind uint32, body []byte) []byte {
		n := uint32(len(body) + 12)
		b := le.AppendUint32(le.AppendUint32(nil, kind), n)
		return le.AppendUint32(append(b, body...), n)
	}
	section := le.AppendUint32(nil, 0x1a2b3c4d)
	section = le.AppendUint16(le.AppendUint16(section, 1), 0)
	section = le.AppendUint64(section, 1<<64-1)
	for code := range uint16(4) { // comment, hardware, system, program
		section = option(section, code+1, hostileName)
	}
	section = option(section, 0, "")
	face := le.AppendUint16(le.AppendUint16(nil, 1), 0)
	face = le.AppendUint32(face, 65535)
	face = option(face, 1, hostileName)
	face = option(face, 2, hostileName)
	face = option(face, 3, hostileName)
	face = option(face, 0, "")
	return bytes.Join([][]byte{block(0x0a0d0d0a, section), block(1, face)}, nil)
}
