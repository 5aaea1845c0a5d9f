package record

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

var all = flag.Bool("all", false, "anonymise every capture of ../shared and let tshark judge each (make anonymous)")

// Anonymised captures say the same of their connections and nothing of whose they were:
// this project's own, and what others recorded.
func TestAnonymized(t *testing.T) {
	own := glob(t, "../testdata/pcaps/*.pcap*")
	if !*all { // few, of different kinds: tshark takes its time to start
		own = slices.DeleteFunc(own, func(name string) bool {
			return !slices.Contains([]string{"lost-final-ack.pcap", "icmp-refusal.pcap", "port-exhaustion.pcap", "option-lost.pcap", "fast-open.pcap"}, filepath.Base(name))
		})
	}
	for _, name := range own {
		t.Run(filepath.Base(name), func(t *testing.T) { anonymized(t, name) })
	}
}

func TestAnonymizedTruth(t *testing.T)  { shared(t, 2, 0, "truth/*/capture.pcap") }
func TestAnonymizedCorpus(t *testing.T) { shared(t, 4, 100, "corpus/pcap/*", "corpus/no-tcp/*") }

// shared anonymises captures of the folder beside the repository: with -all the wanted
// number of them (0: all), otherwise few.
func shared(t *testing.T, few, many int, patterns ...string) {
	var names []string
	for _, p := range patterns {
		names = append(names, glob(t, "../../shared/"+p)...)
	}
	if len(names) == 0 {
		t.Skipf("wants the captures in ../shared/%s", patterns[0])
	}
	n := few
	if *all {
		n = many
	}
	if n == 0 {
		n = len(names)
	}
	// As far apart as can be, so that every project and kind is among them.
	n = min(n, len(names))
	for i := range n {
		name := names[i*len(names)/n]
		t.Run(strings.TrimPrefix(name, "../../shared/"), func(t *testing.T) { anonymized(t, name) })
	}
	t.Logf("%d captures", n)
}

func glob(t *testing.T, pattern string) []string {
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func anonymized(t *testing.T, name string) {
	t.Run("cut", func(t *testing.T) { anonymize(t, name, false) })
	t.Run("zeros", func(t *testing.T) { anonymize(t, name, true) })
}

func anonymize(t *testing.T, name string, keepLength bool) {
	src, err := capture.Open(name)
	if err != nil {
		t.Skip(err)
	}
	defer src.Close()
	a := NewAnonymizer(sampleKey)
	a.KeepLength = keepLength
	var file bytes.Buffer
	// What a capture says of itself is known when it was read.
	infos := inputsOf(t, name)
	w := NewPcapng(&file, PcapngOptions{Interface: Interfaces(infos, true)})
	e := Extract{Source: src, Anonymizer: a, To: w}
	frames, err := e.Run()
	if err == nil {
		err = w.End()
	}
	if err != nil {
		t.Fatal(err)
	}
	if a.Lost > 0 {
		t.Errorf("%d frames with TCP were lost", a.Lost)
	}
	if a.Changed > 0 {
		t.Logf("of %d frames of %d nothing was kept", a.Changed, frames)
	}
	path := filepath.Join(t.TempDir(), "anonymous.pcapng")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	// Cut frames are told as such; and Zeek takes octets that were cut off for missing.
	except := []string{"snapped", "zeek"}
	if keepLength {
		except = nil
	}
	sameReport(t, name, path, a, except)
	nothingLeft(t, name, path)
	tsharkAgrees(t, name, path, frames)
}

func inputsOf(t *testing.T, name string) []capture.Info {
	src, err := capture.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var f wire.Frame
	for next(src, &f) {
	}
	return capture.Infos(src)
}

// next is the next frame, behind damage too.
func next(src capture.Source, f *wire.Frame) bool {
	for {
		err := src.Next(f)
		if err == nil {
			return true
		}
		if _, damage := err.(*capture.DamageError); !damage {
			return false
		}
	}
}

// sameReport compares what is said of both captures, with the addresses of the one mapped.
func sameReport(t *testing.T, name, path string, a *Anonymizer, except []string) {
	t.Helper()
	image := func(ip netip.Addr) netip.Addr {
		if ip.Is4() {
			b := ip.As4()
			return a.Addr(wire.AddrFrom4(b[:]), false).Netip(false)
		}
		b := ip.As16()
		return a.Addr(wire.AddrFrom16(b[:]), true).Netip(true)
	}
	want, got := told(t, name, image, except), told(t, path, nil, except)
	if len(want) != len(got) {
		t.Errorf("%d objects, were %d", len(got), len(want))
		return
	}
	for i := range want {
		if d := cmp.Diff(want[i], got[i]); d != "" {
			t.Errorf("object %d: %s", i+1, d)
			return
		}
	}
}

// told returns the objects of a report, without what anonymising has to change: what
// names the capture and how it was cut, and hashes over addresses.
func told(t *testing.T, path string, image func(netip.Addr) netip.Addr, except []string) (all []any) {
	src, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	format, err := report.New("ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := pipeline.Run(context.Background(), &pipeline.Config{Source: src, Name: "capture", Jobs: 1, Format: format, Output: &out}); err != nil {
		t.Fatal(err)
	}
	n := &normalizer{image: image, except: except, uids: map[string]string{}}
	for line := range bytes.Lines(out.Bytes()) {
		var v any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, n.value("", v))
	}
	return all
}

type normalizer struct {
	image  func(netip.Addr) netip.Addr
	except []string
	uids   map[string]string
}

var (
	uidKeys = []string{"uid", "previous", "next", "uids"}
	// How the file is made: the anonymised one is a pcapng; and the hash over addresses.
	ownKeys = []string{"community_id", "format", "resolution", "passed_blocks", "packing", "interfaces"}
	address = regexp.MustCompile(`[0-9a-fA-F]*(\.[0-9]+){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*`)
)

func (n *normalizer) value(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) { // names are numbered as they come
			x := v[k]
			if !slices.Contains(n.except, k) && !slices.Contains(ownKeys, k) && (k != "bytes" || !isNumber(x) || v["format"] == nil) {
				out[n.text(k)] = n.value(k, x)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, x := range v {
			if o, ok := x.(map[string]any); !ok || o["id"] != "cut-frames" || n.except == nil {
				out = append(out, n.value(key, x))
			}
		}
		return out
	case string:
		if slices.Contains(uidKeys, key) {
			if _, ok := n.uids[v]; !ok {
				n.uids[v] = fmt.Sprintf("uid %d", len(n.uids))
			}
			return n.uids[v]
		}
		if key == "rfc" || key == "advice" {
			return v // sections look like addresses
		}
		return n.text(v)
	}
	return v
}

func isNumber(v any) bool { _, ok := v.(float64); return ok }

func (n *normalizer) text(s string) string {
	if n.image == nil {
		return s
	}
	return address.ReplaceAllStringFunc(s, func(w string) string {
		ip, err := netip.ParseAddr(w)
		if err != nil {
			return w
		}
		return n.image(ip).String()
	})
}

// nothingLeft looks for payload, names and whatever else can be read in the original.
func nothingLeft(t *testing.T, name, path string) {
	t.Helper()
	a, err := capture.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var before, after wire.Frame
	var l wire.Layout
	for next(a, &before) {
		if !next(b, &after) {
			t.Fatal("a frame is missing")
		}
		if before.At != after.At || max(before.Length, uint32(len(before.Data))) != after.Length || before.Link != after.Link {
			t.Fatalf("frame %d: time, length or link type has changed", before.ID.Number())
		}
		if len(after.Data) > len(before.Data) {
			t.Fatalf("frame %d: more was captured than before", before.ID.Number())
		}
		// Behind the last header there is payload; four of its octets in a row that are
		// still at their place are no accident.
		l.Read(&before)
		end := 0
		for _, h := range l.Headers {
			size := h.Size
			switch {
			case h.Kind == wire.HeaderTCP && size > 12:
				size = min(size, max(int(before.Data[h.At+12]>>4)*4, 20))
			case h.Kind == wire.HeaderICMP:
				size = min(size, 8)
			}
			end = max(end, h.At+size)
		}
		if len(l.Headers) > 0 && l.Headers[len(l.Headers)-1].Kind == wire.HeaderICMP {
			continue // it quotes headers: tshark looks at those
		}
		if n := len(l.Headers); n > 0 && l.Headers[n-1].Piece && l.Headers[n-1].From > 0 && l.Headers[n-1].From < 60 {
			continue // the TCP header goes on in it
		}
		for i := end; i+4 <= len(after.Data); i++ {
			if w := after.Data[i : i+4]; !bytes.Equal(w, make([]byte, 4)) && bytes.Equal(w, before.Data[i:i+4]) {
				t.Fatalf("frame %d: octet %d on is what it was: %x", before.ID.Number(), i, w)
			}
		}
	}
	original, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	anonymous, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Sixteen letters in a row are no numbers of a header.
	for _, w := range regexp.MustCompile(`[ -~]{16,}`).FindAll(original, -1) {
		for i := 0; i+16 <= len(w); i += 16 {
			if x := w[i : i+16]; bytes.Count(x, x[:1]) < 16 && bytes.Contains(anonymous, x) {
				t.Fatalf("%q is left", x)
			}
		}
	}
}

// identities are tshark's names of fields that say whose a frame is.
var identities = []string{"eth.addr", "sll.src.eth", "wlan.addr", "arp.src.proto_ipv4", "arp.dst.proto_ipv4", "arp.src.hw_mac",
	"ip.addr", "ipv6.addr", "ip.opt.addr", "ipv6.routing.src.addr", "tcp.options.mptcp.sendkey", "tcp.options.tfo.cookie", "tcp.options.md5.digest",
	"frame.interface_name", "frame.comment"}

// contents are those that hold what was said; an anonymised frame has none of them.
var contents = []string{"tcp.payload", "tcp.segment_data", "dns.qry.name", "http.host"}

// originals holds what tshark says of the capture that is looked at, twice.
var originals = map[string][][]string{}

// tsharkAgrees lets tshark read both captures: it reads as many frames, and in none is
// an identity that was there before.
func tsharkAgrees(t *testing.T, name, path string, frames uint64) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("wants tshark, to read what was written")
	}
	fields := func(path string) (rows [][]string) {
		args := []string{"-n", "-r", path, "-T", "fields", "-E", "separator=/t", "-E", "aggregator=;"}
		for _, f := range append(identities, contents...) {
			args = append(args, "-e", f)
		}
		c := exec.Command(tshark, args...)
		var errOut bytes.Buffer
		c.Stderr = &errOut
		out, err := c.Output()
		if err != nil && path != name {
			t.Errorf("tshark: %v: %s", err, errOut.String())
		}
		s := bufio.NewScanner(bytes.NewReader(out))
		s.Buffer(nil, 64<<20)
		for s.Scan() {
			rows = append(rows, strings.Split(s.Text(), "\t"))
		}
		return rows
	}
	before, ok := originals[name]
	if !ok {
		before = fields(name)
		clear(originals)
		originals[name] = before
	}
	after := fields(path)
	if uint64(len(after)) != frames {
		t.Errorf("tshark reads %d frames of %d", len(after), frames)
	}
	if len(before) != len(after) {
		return // it does not read the original to its end, or numbers other blocks too
	}
	common := []string{"", "0.0.0.0", "255.255.255.255", "::", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "0", "0000000000000000", "unknown"}
	for i := range after {
		was := map[string]bool{}
		for _, cell := range before[i][:len(identities)] {
			for v := range strings.SplitSeq(cell, ";") {
				was[v] = true
			}
		}
		for k, cell := range after[i] {
			for v := range strings.SplitSeq(cell, ";") {
				switch {
				case k >= len(identities) && strings.Trim(v, "0") != "":
					t.Errorf("frame %d: %s is %s", i+1, contents[k-len(identities)], v)
				case k < len(identities) && was[v] && !slices.Contains(common, v):
					t.Errorf("frame %d: %s is still %s", i+1, identities[k], v)
				}
			}
		}
	}
}
