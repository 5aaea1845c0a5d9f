package record

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

const pcaps = "../testdata/pcaps/"

func open(t *testing.T, name string) capture.Source {
	t.Helper()
	src, err := capture.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// annotated extracts everything with comments.
func annotated(t *testing.T, name string) string {
	t.Helper()
	notes := &Notes{}
	cfg := &pipeline.Config{Source: open(t, name), Name: "capture", Format: notes, Output: io.Discard, Incidents: []*incident.Rule{}}
	if _, err := pipeline.Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := NewPcapng(&out, PcapngOptions{Comment: "a comment on all"})
	e := Extract{Source: open(t, name), Notes: notes, To: w}
	if _, err := e.Run(); err != nil {
		t.Fatal(err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "annotated.pcapng")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tsharkFields returns what tshark says of each frame of a capture.
func tsharkFields(t *testing.T, path string, fields ...string) (rows [][]string) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("wants tshark, to read what was written")
	}
	args := []string{"-n", "-r", path, "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	var errOut bytes.Buffer
	c := exec.Command(tshark, args...)
	c.Stderr = &errOut
	out, err := c.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, errOut.String())
	}
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// Comments stand at the frames that they are about: those of the timelines and findings
// in the report, as tshark reads them.
func TestCommentsStandAtTheirFrames(t *testing.T) {
	name := pcaps + "lost-final-ack.pcap"
	rows := tsharkFields(t, annotated(t, name), "frame.number", "frame.comment")
	if len(rows) != 44 {
		t.Fatalf("%d frames", len(rows))
	}
	want := map[int]string{}
	// What the report says, connection by connection, in words of its own.
	var told collector
	if _, err := pipeline.Run(context.Background(), &pipeline.Config{Source: open(t, name), Format: &told, Output: io.Discard}); err != nil {
		t.Fatal(err)
	}
	for _, s := range told.said {
		if got := rows[s.frame-1][1]; !strings.Contains(got, s.text) {
			t.Errorf("frame %d: %q lacks %q", s.frame, got, s.text)
		}
		want[s.frame] = s.text
	}
	if len(told.said) < 20 {
		t.Errorf("only %d comments looked at", len(told.said))
	}
	for i, r := range rows {
		if r[1] != "" && want[i+1] == "" {
			t.Errorf("frame %d has the comment %q", i+1, r[1])
		}
	}
}

// collector is a format that notes which states and findings belong to which frames.
type collector struct {
	pipeline.Discard
	said []saidOf
}

type saidOf struct {
	frame int
	text  string
}

func (c *collector) Add(id uint64, d *report.Digest, b *report.Buffer) error {
	for line := range strings.Lines(string(b.AppendTo(nil, id))) {
		var s saidOf
		fmt.Sscanf(line, "%d", &s.frame)
		_, s.text, _ = strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		c.said = append(c.said, s)
	}
	return nil
}

func (*collector) Needs() report.Needs { return report.Needs{Names: true} }

func (*collector) Encode(b *report.Buffer, c *report.Connection) {
	say := func(frame wire.FrameID, format string, args ...any) {
		b.B = fmt.Appendf(b.B, "%d connection ", frame.Number())
		b.ID()
		b.B = fmt.Appendf(b.B, format+"\n", args...)
	}
	for _, side := range []string{"client", "server"} {
		for _, tr := range c.Ends[map[string]int{"client": 0, "server": 1}[side]].Timeline {
			if side == "client" {
				say(tr.Frame, ": client %s (%s", tr.State, tr.Evidence)
			}
		}
	}
	for _, f := range c.Findings {
		say(f.Frames[0], ": %s (%s, %s): %s", f.Rule.ID, f.Severity, f.Confidence, f.Message)
		for _, frame := range f.Frames[1:] {
			say(frame, ": %s, shown by this frame too", f.Rule.ID)
		}
	}
	say(c.First, " begins: client %s, server %s, uid %s", c.Tuple.Source(), c.Tuple.Destination(), c.UID)
	say(c.Last, ": its last frame; close: %s", c.Close.Reason)
	for _, tr := range c.Ends[1].Timeline {
		b.B = fmt.Appendf(b.B, "%d server %s (%s", tr.Frame.Number(), tr.State, tr.Evidence)
		b.B = append(b.B, '\n')
	}
}

// What is written is read as what was written, also by tshark: link types, times, lengths.
func TestWritersKeepFrames(t *testing.T) {
	frames := []wire.Frame{
		{ID: 1, At: wire.Time(time.Date(2026, 11, 21, 1, 2, 3, 4, time.UTC).UnixNano()), Link: wire.LinkEthernet, Data: bytes.Repeat([]byte{7}, 60), Length: 60},
		{ID: 2, At: wire.Time(time.Date(2026, 11, 21, 1, 2, 2, 999999999, time.UTC).UnixNano()), Link: wire.LinkEthernet, Data: []byte{1, 2, 3}, Length: 9000},
		{ID: 3, At: wire.Time(time.Date(2026, 11, 21, 1, 2, 4, 0, time.UTC).UnixNano()), Link: wire.LinkEthernet, Data: []byte{}, Length: 10},
		{ID: 4, At: wire.Time(time.Date(2026, 11, 21, 1, 2, 4, 1, time.UTC).UnixNano()), Link: wire.LinkLinuxSLL2, Data: bytes.Repeat([]byte{9}, 41), Length: 41},
	}
	for _, format := range Formats() {
		var out bytes.Buffer
		var w interface {
			Writer
			End() error
		} = NewPcapng(&out, PcapngOptions{})
		want := frames
		if format == "pcap" {
			w, want = NewPcap(&out), frames[:3]
		}
		for i := range want {
			if err := w.Write(&want[i], "one", strings.Repeat("é", maxComment)); err != nil {
				t.Fatal(err)
			}
		}
		if format == "pcap" {
			if err := w.Write(&frames[3]); err != ErrLinkTypes {
				t.Errorf("pcap takes two link types: %v", err)
			}
		}
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "written")
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		var got []wire.Frame
		var f wire.Frame
		src := open(t, path)
		for next(src, &f) {
			g := f
			g.Data = slices.Clone(f.Data)
			if g.Data == nil {
				g.Data = []byte{}
			}
			got = append(got, g)
		}
		if d := cmp.Diff(want, got); d != "" || len(src.Info().Damage) > 0 {
			t.Errorf("%s: %s %v", format, d, src.Info().Damage)
		}
		rows := tsharkFields(t, path, "frame.time_epoch", "frame.len", "frame.cap_len", "frame.comment")
		for i, r := range rows {
			if r[1] != fmt.Sprint(want[i].Length) || r[2] != fmt.Sprint(len(want[i].Data)) {
				t.Errorf("%s: frame %d: %v", format, i+1, r[:3])
			}
			if format == "pcapng" && (!strings.HasPrefix(r[3], "one|éé") || !strings.HasSuffix(r[3], "é...")) {
				t.Errorf("frame %d: %.40q ends with %.10q", i+1, r[3], r[3][max(0, len(r[3])-10):])
			}
		}
		if len(rows) != len(want) {
			t.Errorf("%s: tshark reads %d frames of %d", format, len(rows), len(want))
		}
	}
}

// A segment that came in fragments is picked with all of them, in whatever order they
// came, and other tuples' fragments are not.
func TestChoiceOfFragments(t *testing.T) {
	var frames []wire.Frame
	add := func(id uint16, ports [2]uint16, from, to int, more bool) {
		segment := make([]byte, 48)
		segment[0], segment[1], segment[2], segment[3] = byte(ports[0]>>8), byte(ports[0]), byte(ports[1]>>8), byte(ports[1])
		segment[12], segment[13] = 0x50, 0x18
		ip := []byte{0x45, 0, 0, byte(20 + to - from), byte(id >> 8), byte(id), 0, byte(from / 8), 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
		if more {
			ip[6] = 0x20
		}
		b := append(ip, segment[from:to]...)
		n := uint64(len(frames) + 1)
		frames = append(frames, wire.Frame{ID: wire.NewFrameID(0, n), At: wire.Time(n), Link: wire.LinkRaw, Data: b, Length: uint32(len(b))})
	}
	ours, others := [2]uint16{1000, 80}, [2]uint16{1001, 80}
	add(1, ours, 0, 24, true)
	add(2, others, 0, 24, true)
	add(2, others, 24, 48, false)
	add(1, ours, 24, 48, false)
	add(3, ours, 24, 48, false) // the last one first
	add(3, ours, 0, 24, true)
	add(4, ours, 0, 24, true) // never whole
	add(5, others, 0, 24, true)
	add(6, ours, 0, 48, false)
	c := NewChoice()
	a4 := func(last byte) wire.Addr { return wire.AddrFrom4([]byte{10, 0, 0, last}) }
	c.Add(wire.Tuple{Src: a4(2), Dst: a4(1), SrcPort: 80, DstPort: 1000})
	if err := c.Fragments(&slice{frames: frames}); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for i := range frames {
		if c.Has(&frames[i]) {
			got = append(got, frames[i].ID.Number())
		}
	}
	if d := cmp.Diff([]uint64{1, 4, 5, 6, 7, 9}, got); d != "" {
		t.Error(d)
	}
}

// slice is a source of frames in memory.
type slice struct {
	frames []wire.Frame
	n      int
}

func (s *slice) Next(f *wire.Frame) error {
	if s.n == len(s.frames) {
		return io.EOF
	}
	*f = s.frames[s.n]
	s.n++
	return nil
}
func (s *slice) Info() capture.Info { return capture.Info{} }
func (s *slice) Close() error       { return nil }

// Beyond its room Notes counts the connections of which it says nothing.
func TestNotesAreBounded(t *testing.T) {
	notes := &Notes{Limit: 2000}
	cfg := &pipeline.Config{Source: open(t, pcaps+"lost-final-ack.pcap"), Format: notes, Output: io.Discard}
	if _, err := pipeline.Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if notes.Left == 0 || notes.Left == 3 {
		t.Errorf("%d of 3 connections left out", notes.Left)
	}
	if said := notes.For(wire.NewFrameID(0, 1), nil); len(said) == 0 {
		t.Error("nothing is said of the first")
	}
}

func mustOpen(t testing.TB, name string) capture.Source {
	src, err := capture.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
