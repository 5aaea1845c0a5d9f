package capture

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What others recorded is read as pcapgo reads it, up to where pcapgo stops, and
// has as many frames as tshark counted.
func TestCorpus(t *testing.T) {
	counts := corpusFrames(t)
	files, damaged := 0, 0
	corpus(t, func(t *testing.T, name string, b []byte) {
		files++
		src, err := NewReader(bytes.NewReader(b), name)
		b = unpacked(b)
		want, oracleErr := pcapgoRead(b)
		if err != nil {
			if oracleErr == nil {
				t.Errorf("%v, and pcapgo reads %d frames", err, len(want))
			}
			t.Log(err)
			return
		}
		frames, damage := drain(t, src)
		info := src.Info()
		for _, d := range damage {
			if strings.HasPrefix(d.What, "zeros, where a record should be") || strings.HasPrefix(d.What, "record header that cannot be") {
				// A hole or worse, which others take for empty frames of 1970.
				want = want[:min(len(frames), len(want))]
			}
		}
		sameFrames(t, info, frames, want)
		if oracleErr == nil && damage == nil && len(frames) != len(want) {
			t.Errorf("%d frames, pcapgo reads %d", len(frames), len(want))
		}
		// Wireshark numbers custom blocks too, and stops at damage.
		custom := int(info.Passed[0xbad] + info.Passed[0x40000bad])
		if n, ok := counts[name]; ok && n != len(frames)+custom && !strings.HasPrefix(name, "malformed/") {
			t.Errorf("%d frames, tshark reads %d; damage %v", len(frames), n, damage)
		}
		if damage != nil {
			damaged++
			t.Log(damage, oracleErr)
		} else if oracleErr != nil {
			t.Logf("whole, and pcapgo says after %d of %d frames: %v", len(want), len(frames), oracleErr)
		}
		if n := info.Bytes; damage == nil && n != int64(len(b)) {
			t.Errorf("%d of %d octets read", n, len(b))
		}
	})
	t.Logf("%d captures, %d of them damaged", files, damaged)
}

// corpusFrames returns tshark's frame counts by folder and file name.
func corpusFrames(t *testing.T) map[string]int {
	f, err := os.Open(filepath.Join("..", "..", "shared", "corpus", "CAPTURES.tsv"))
	if err != nil {
		t.Skipf("wants the list of the shared corpus: %v", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = '\t', -1, true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, row := range rows[1:] {
		if n, err := strconv.Atoi(strings.TrimSpace(row[2])); err == nil {
			counts[row[0]] = n
		}
	}
	return counts
}
