package pipeline

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Time depends on the machine and on who else uses it; what a program executes does not.
// So this counts the instructions of the whole program, of a larger capture less those of
// a smaller one: what each further packet costs, without start-up.
//
// A bound is a quarter above what was counted when it was set. Whoever makes something
// cheaper sets it lower; whoever has to make something dearer says so in the commit.
func TestInstructionsPerPacket(t *testing.T) {
	program := buildProgram(t)
	count := func(frames []wire.Frame, format string) float64 {
		path := filepath.Join(t.TempDir(), "c.pcap")
		if err := os.WriteFile(path, pcapBytes(frames), 0o644); err != nil {
			t.Fatal(err)
		}
		return instructions(t, program, "analyze", "--jobs", "1", "--format", format, path)
	}
	for _, c := range []struct {
		name   string
		format string
		frames func(n int) []wire.Frame
		most   float64 // per packet
	}{
		{"short connections", "text", shortOnes, 1970},
		{"short connections", "ndjson", shortOnes, 5920},
		{"long transfers", "text", longOnes, 1320},
		{"SYNs without answer", "text", attempts, 2670},
	} {
		const few, many = 10_000, 30_000
		per := (count(c.frames(many), c.format) - count(c.frames(few), c.format)) / (many - few)
		t.Logf("%s, %s: %.0f instructions for each packet", c.name, c.format, per)
		if per > c.most {
			t.Errorf("%s, %s: %.0f instructions for each packet, more than %.0f: profile it (docs/performance.md says how)", c.name, c.format, per, c.most)
		}
	}
}

// TestStartUp bounds what the program costs before it does anything: the instructions, and
// the pages that are touched for the first time, of which each is as dear as thousands of
// them. Every library that is linked may add to it, unasked (docs/adr/0001). The bounds are a
// quarter above what was counted, as above; for pages half, since kernels differ in how many
// they map at once.
func TestStartUp(t *testing.T) {
	program := buildProgram(t)
	const mostPages, most = 1_450, 10_600_000
	run := exec.Command(program, "version")
	if err := run.Run(); err != nil {
		t.Fatal(err)
	}
	pages := run.ProcessState.SysUsage().(*syscall.Rusage).Minflt
	if t.Logf("%d pages", pages); pages > mostPages {
		t.Errorf("tcplife version: %d pages touched for the first time, more than %d: GODEBUG=inittrace=1 says which package begins with how much", pages, mostPages)
	}
	n := instructions(t, program, "version")
	if t.Logf("%.0f instructions", n); n > most {
		t.Errorf("tcplife version: %.0f instructions, more than %d: GODEBUG=inittrace=1 says which package takes how long", n, most)
	}
}

// buildProgram returns the path of the program, made of this source.
func buildProgram(t *testing.T) string {
	t.Helper()
	if raced {
		t.Skip("wants no race detector: it counts another program, which has none")
	}
	program := filepath.Join(t.TempDir(), "tcplife")
	build := exec.Command("go", "build", "-o", program, "../cmd/tcplife")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return program
}

// instructions returns how many of them a run of the program executes. It skips the test
// where nobody counts them.
func instructions(t *testing.T, program string, args ...string) float64 {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("wants amd64: another machine's instructions are others")
	}
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		t.Skip("wants valgrind, which counts instructions (apt-get install valgrind)")
	}
	run := exec.Command(valgrind, append([]string{"--tool=callgrind", "--callgrind-out-file=/dev/null", program}, args...)...)
	// Without collections: when one happens depends on the clock.
	run.Env = append(os.Environ(), "GOGC=off", "TCPLIFE_CONFIG=none", "GODEBUG=asyncpreemptoff=1")
	var told bytes.Buffer
	run.Stderr = &told
	if err := run.Run(); err != nil {
		t.Fatalf("valgrind: %v\n%s", err, &told)
	}
	m := regexp.MustCompile(`Collected : (\d+)`).FindStringSubmatch(told.String())
	if m == nil {
		t.Fatalf("valgrind says nothing of instructions:\n%s", &told)
	}
	n, _ := strconv.ParseFloat(m[1], 64)
	return n
}

// shortOnes are connections that open, ask, answer and close in eleven packets.
func shortOnes(n int) (frames []wire.Frame) {
	at := wire.Time(1_700_000_000_000_000_000)
	for i := uint32(0); len(frames) < n; i++ {
		a, b, port := 0x0a000001+i%50, 0x0a800001+i%7, uint16(10000+i)
		c, s := uint32(1000*i), uint32(7000*i)
		for _, p := range []packet{
			{src: a, dst: b, seq: c, flags: syn},
			{src: b, dst: a, seq: s, ack: c + 1, flags: syn | ack},
			{src: a, dst: b, seq: c + 1, ack: s + 1, flags: ack},
			{src: a, dst: b, seq: c + 1, ack: s + 1, flags: ack, payload: 200},
			{src: b, dst: a, seq: s + 1, ack: c + 201, flags: ack},
			{src: b, dst: a, seq: s + 1, ack: c + 201, flags: ack, payload: 900},
			{src: a, dst: b, seq: c + 201, ack: s + 901, flags: ack},
			{src: a, dst: b, seq: c + 201, ack: s + 901, flags: fin},
			{src: b, dst: a, seq: s + 901, ack: c + 202, flags: ack},
			{src: b, dst: a, seq: s + 901, ack: c + 202, flags: fin},
			{src: a, dst: b, seq: c + 202, ack: s + 902, flags: ack},
		} {
			if p.srcPort, p.dstPort = port, 443; p.src == b {
				p.srcPort, p.dstPort = 443, port
			}
			at = at.Add(100 * time.Microsecond)
			frames = append(frames, tcp(at, p))
		}
	}
	return frames
}

// longOnes are ten connections that carry data one way.
func longOnes(n int) (frames []wire.Frame) {
	at := wire.Time(1_700_000_000_000_000_000)
	for i := uint32(0); len(frames) < n; i++ {
		port, turn := uint16(10000+i%10), i/10
		at = at.Add(10 * time.Microsecond)
		frames = append(frames, tcp(at, packet{src: 0x0a000001, dst: 0x0a000002, srcPort: port, dstPort: 443, seq: 1 + 1400*turn, ack: 1, flags: ack, payload: 1400}))
		if turn%2 == 1 {
			frames = append(frames, tcp(at, packet{src: 0x0a000002, dst: 0x0a000001, srcPort: 443, dstPort: port, seq: 1, ack: 1 + 1400*(turn+1), flags: ack}))
		}
	}
	return frames
}

// attempts are SYNs of as many clients, which nothing answers.
func attempts(n int) (frames []wire.Frame) {
	at := wire.Time(1_700_000_000_000_000_000)
	for i := range uint32(n) {
		at = at.Add(10 * time.Microsecond)
		frames = append(frames, tcp(at, packet{src: 0x0b000000 + i*2654435, dst: 0x0a000002, srcPort: uint16(i), dstPort: 443, seq: i, flags: syn}))
	}
	return frames
}

// An ordinary connection allocates nothing for itself; what is left is that lists grow
// which all of them share.
func TestAllocationsPerConnection(t *testing.T) {
	frames := shortOnes(40_000)
	for _, format := range []string{"text", "ndjson", "json", "csv"} {
		one := func(n int) uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			report, _ := reportOf(t, frames[:n], format, 1, 7)
			runtime.ReadMemStats(&after)
			if !strings.Contains(report, "orderly") {
				t.Fatal(report)
			}
			return after.Mallocs - before.Mallocs
		}
		one(len(frames)) // what is made once
		few, many := one(10_000), one(40_000)
		per := float64(many-few) / (30_000 / 11)
		t.Logf("%s: %.2f allocations for each connection", format, per)
		if per >= 1 {
			t.Errorf("%s: %.2f allocations for each further connection: an ordinary one needs none of its own", format, per)
		}
	}
}
