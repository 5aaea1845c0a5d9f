package pipeline

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
)

// kernelArchives is the folder of captures of Linux hosts and the states that their
// kernels went through meanwhile; its README.md says how they were made.
const kernelArchives = "../testdata/truth/"

// kernelCase is one scenario of the archive.
type kernelCase struct {
	name       string
	pcap       []byte
	start, end int64 // of the capture, in ns
	down       map[string]bool
	ends       []*kernelEnd
	frames     []*kernelFrame // in the order of sending
	byNumber   map[int]*kernelFrame
}

// hostPort is one end of a 4-tuple.
type hostPort struct {
	ip   string
	port int
}

// kernelEnd is one endpoint of one connection, as its kernel had it.
type kernelEnd struct {
	host     string
	me, peer hostPort
	rows     []kernelRow
}

// kernelRow is one transition.
type kernelRow struct {
	at    int64
	state string
	// rxFrame is the frame whose arrival caused it, txFrame the first that was sent
	// because of it; 0 is none that was captured. rxPacket names the packet that
	// caused it, captured or not; "-" is none.
	rxFrame, txFrame int
	rxPacket         string
}

// frame is the one with which the transition shows in the capture.
func (r *kernelRow) frame() int {
	if r.rxFrame != 0 {
		return r.rxFrame
	}
	return r.txFrame
}

// kernelFrame is one captured segment's way.
type kernelFrame struct {
	number               int
	src, dst             hostPort
	sent, tap, delivered int64 // delivered 0: never
	injected             bool
}

// kernelSpelling gives the kernel's names of states as the RFC has them.
var kernelSpelling = map[string]string{
	"SYN_RECV": "SYN_RECEIVED", "FIN_WAIT1": "FIN_WAIT_1", "FIN_WAIT2": "FIN_WAIT_2",
}

func kernelCases(t *testing.T, archive string) (cases []*kernelCase) {
	t.Helper()
	z, err := zip.OpenReader(kernelArchives + archive)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	read := func(name string) []byte {
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, f := range z.File {
		if path.Base(f.Name) != "capture.pcap" {
			continue
		}
		name := path.Dir(f.Name)
		c := &kernelCase{name: name, pcap: read(f.Name), down: map[string]bool{}, byNumber: map[int]*kernelFrame{}}
		if err := c.parse(read(name + "/truth.txt")); err != nil {
			t.Fatalf("%s of %s: %v", name, archive, err)
		}
		cases = append(cases, c)
	}
	return cases
}

func (c *kernelCase) parse(text []byte) error {
	ends := map[string]*kernelEnd{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch word {
		case "#":
		case "capture":
			_, err = fmt.Sscan(rest, &c.start, &c.end)
		case "down":
			c.down[rest] = true
		case "state":
			var id string
			var e kernelEnd
			var r kernelRow
			_, err = fmt.Sscan(rest, &id, &e.me.ip, &e.me.port, &e.peer.ip, &e.peer.port, &r.at, &r.state, &r.rxFrame, &r.txFrame, &r.rxPacket)
			if s := kernelSpelling[r.state]; s != "" {
				r.state = s
			}
			if ends[id] == nil {
				e.host, _, _ = strings.Cut(id, "/")
				ends[id] = &e
				c.ends = append(c.ends, &e)
			}
			ends[id].rows = append(ends[id].rows, r)
		case "frame":
			var f kernelFrame
			var how string
			_, err = fmt.Sscan(rest, &f.number, &f.src.ip, &f.src.port, &f.dst.ip, &f.dst.port, &f.sent, &f.tap, &f.delivered, &how)
			f.injected = how == "injected"
			c.frames = append(c.frames, &f)
			c.byNumber[f.number] = &f
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
	}
	return lines.Err()
}

// toldConn is what the comparison reads of a connection in the report.
type toldConn struct {
	Type       string
	FirstFrame int `json:"first_frame"`
	Client     struct {
		IP   string
		Port int
	}
	Server struct {
		IP   string
		Port int
	}
	Start, End time.Time
	States     map[string][]toldState
}

type toldState struct {
	State, Evidence string
	At              time.Time
	Frame           int
}

// ends are the two ends of the connection by side.
func (c *toldConn) ends() map[string][2]hostPort {
	client, server := hostPort{c.Client.IP, c.Client.Port}, hostPort{c.Server.IP, c.Server.Port}
	return map[string][2]hostPort{"client": {client, server}, "server": {server, client}}
}

// report runs the program on the case's capture.
func (c *kernelCase) report(t *testing.T) (told []*toldConn) {
	t.Helper()
	src, err := capture.NewReader(bytes.NewReader(c.pcap), c.name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var out bytes.Buffer
	if _, err := run(t.Context(), config(t, src, "ndjson", &out), testSeed); err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out.Bytes()) {
		var x toldConn
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		if x.Type == "connection" {
			told = append(told, &x)
		}
	}
	return told
}
