package incident_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/wire"
)

// The traffic scripts in this folder are kept as captures, too, for the pages that work
// through examples: their readers have tcplife and no Go.
const trafficCaptures = "../testdata/traffic"

// TestTrafficCaptures holds the captures against their scripts. They are compressed: a
// thousand connections are alike.
func TestTrafficCaptures(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(trafficCaptures, "*.txt"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no traffic scripts in %s: %v", trafficCaptures, err)
	}
	for _, path := range scripts {
		script, err := readTraffic(path)
		if err != nil {
			t.Fatal(err)
		}
		frames := script.frames(t)
		if len(frames) == 0 {
			t.Errorf("%s makes no frame: is \"-- traffic --\" missing in it?", path)
		}
		want := pcapOf(frames)
		name := strings.TrimSuffix(filepath.Base(path), ".txt") + ".pcap.gz"
		file := filepath.Join("../testdata/pcaps", name)
		// Compared is what it holds: how it is compressed is the library's affair.
		if have, err := unzipped(file); err == nil && bytes.Equal(have, want) {
			continue
		} else if !incident.Update() {
			t.Errorf("%s is stale (%v): go test ./incident -update writes it", file, err)
			continue
		}
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		z.Write(want)
		z.Close()
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func unzipped(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// pcapOf returns frames as a pcap file with microseconds.
func pcapOf(frames []wire.Frame) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(le.AppendUint32(b, 1<<18), uint32(wire.LinkEthernet))
	for i := range frames {
		f := &frames[i]
		us := int64(f.At) / 1000
		b = le.AppendUint32(le.AppendUint32(b, uint32(us/1e6)), uint32(us%1e6))
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(f.Data))), f.Length)
		b = append(b, f.Data...)
	}
	return b
}
