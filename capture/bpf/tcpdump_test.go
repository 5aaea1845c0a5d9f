package bpf_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	xbpf "golang.org/x/net/bpf"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/wire"
)

// targets are the link types that filters are compiled for, as tcpdump names them.
var targets = []struct {
	link wire.LinkType
	name string
}{
	{wire.LinkEthernet, "EN10MB"}, {wire.LinkRaw, "RAW"}, {wire.LinkLinuxSLL, "LINUX_SLL"}, {wire.LinkLinuxSLL2, "LINUX_SLL2"},
	{wire.LinkIPv4, "IPV4"}, {wire.LinkIPv6, "IPV6"},
}

// byTcpdump compiles a filter with tcpdump. What it refuses is returned as an error.
func byTcpdump(t *testing.T, link, filter string, more ...string) (bpf.Program, error) {
	t.Helper()
	var stderr strings.Builder
	c := exec.Command("tcpdump", append(more, "-y", link, "-ddd", "--", filter)...)
	c.Stderr = &stderr
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("wants tcpdump, to compare with what it compiles")
	}
	if err != nil {
		return nil, errors.New(strings.TrimSpace(stderr.String()))
	}
	p, err := bpf.ParseProgram(string(out))
	if err != nil {
		t.Fatalf("what tcpdump -ddd prints for %q: %v", filter, err)
	}
	return p, nil
}

// frame is what a filter decides on.
type frame struct {
	data   []byte
	length uint32
	from   string
}

// frames returns those of the project's captures and made ones, by link type.
func frames(t *testing.T) map[wire.LinkType][]frame {
	t.Helper()
	all := map[wire.LinkType][]frame{}
	files, err := filepath.Glob("../../testdata/pcaps/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, name := range files {
		src, err := capture.Open(name)
		if err != nil {
			continue // damaged on purpose
		}
		var f wire.Frame
		for n := 0; n < 40; n++ {
			if err := src.Next(&f); err != nil {
				break
			}
			all[f.Link] = append(all[f.Link], frame{append([]byte(nil), f.Data...), f.Length, fmt.Sprintf("%s %d", filepath.Base(name), f.ID.Number())})
		}
		src.Close()
	}
	r := rand.New(rand.NewPCG(8, 8))
	for i := range 3000 {
		ip, ethertype := packet(r)
		from := fmt.Sprintf("made %d", i)
		add := func(link wire.LinkType, head, b []byte) {
			b = append(append([]byte(nil), head...), b...)
			f := frame{b, uint32(len(b)), from}
			if r.IntN(12) == 0 { // cut off by a snapshot length
				f.data = b[:r.IntN(len(b)+1)]
			}
			all[link] = append(all[link], f)
		}
		e := []byte{byte(ethertype >> 8), byte(ethertype)}
		eth := []byte{2, 0, 0, 0, 0, byte(r.IntN(3)), 2, 0, 0, 0, 0, byte(r.IntN(3))}
		switch r.IntN(12) {
		case 0:
			copy(eth, "\xff\xff\xff\xff\xff\xff")
		case 1:
			copy(eth, "\x33\x33\x00\x00\x00\x01")
		}
		for range max(r.IntN(6)-3, 0) { // tags
			eth = append(eth, []string{"\x81\x00", "\x88\xa8", "\x91\x00"}[r.IntN(3)]...)
			eth = append(eth, byte(r.IntN(2)), byte(5*r.IntN(3)))
		}
		add(wire.LinkEthernet, append(eth, e...), ip)
		if ethertype == 0x800 || ethertype == 0x86dd {
			add(wire.LinkRaw, nil, ip)
		}
		if ethertype == 0x800 {
			add(wire.LinkIPv4, nil, ip)
		}
		if ethertype == 0x86dd {
			add(wire.LinkIPv6, nil, ip)
		}
		add(wire.LinkLinuxSLL, append([]byte{0, byte(r.IntN(5)), 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, e...), ip)
		add(wire.LinkLinuxSLL2, append(e, 0, 0, 0, 0, 0, 3, 0, 1, byte(r.IntN(5)), 6, 2, 0, 0, 0, 0, 1, 0, 0), ip)
	}
	return all
}

// packet makes a network packet whose addresses, ports and flags are those that the
// filters below ask for, now and then.
func packet(r *rand.Rand) (b []byte, ethertype uint16) {
	four := func() []byte {
		return []byte{[]byte{10, 192, 224}[r.IntN(3)], []byte{1, 168}[r.IntN(2)], byte(r.IntN(3)), []byte{3, 4, 255}[r.IntN(3)]}
	}
	six := func() []byte {
		a := []byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, byte(r.IntN(2)), 0, 0, 0, 0, 0, 0, 0, byte(r.IntN(3))}
		if r.IntN(5) == 0 {
			a[0] = 0xff
		}
		return a
	}
	port := func() []byte {
		n := []uint16{22, 80, 443, 53, 8000, 8040, 8080, 40000}[r.IntN(8)]
		return []byte{byte(n >> 8), byte(n)}
	}
	proto := []byte{6, 6, 6, 6, 17, 1, 132, 58, 2, 50, 103, 112}[r.IntN(12)]
	l4 := append(port(), port()...)
	switch proto {
	case 1:
		l4 = []byte{[]byte{0, 3, 8, 11}[r.IntN(4)], byte(r.IntN(3)), 1, 2}
	case 58:
		l4 = []byte{[]byte{1, 128, 129, 135}[r.IntN(4)], byte(r.IntN(3)), 1, 2}
	}
	l4 = append(l4, byte(r.IntN(256)), 0, 0, 1, 0, 0, 0, byte(r.IntN(3)), 0x50, oneOrTwoBits(r), byte(r.IntN(256)), 0, 0, 0, 0, 0)
	l4 = append(l4, make([]byte, r.IntN(60))...)
	switch r.IntN(10) {
	case 0:
		b = append([]byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1}, four()...)
		return append(append(b, 0, 0, 0, 0, 0, 0), four()...), []uint16{0x806, 0x8035}[r.IntN(2)]
	case 1, 2, 3:
		next, ext := proto, []byte(nil)
		switch r.IntN(4) {
		case 0:
			next, ext = 44, []byte{proto, 0, byte(r.IntN(2)), 0, 0, 0, 0, 1}
		case 1:
			next, ext = 0, []byte{proto, 0, 1, 4, 0, 0, 0, 0}
		}
		n := len(ext) + len(l4)
		b = append([]byte{0x60, 0, 0, 0, byte(n >> 8), byte(n), next, byte(r.IntN(256))}, six()...)
		b = append(b, six()...)
		return append(append(b, ext...), l4...), 0x86dd
	case 4:
		return []byte("some other protocol, of no interest"), []uint16{0x88cc, 0x0026, 0x8863}[r.IntN(3)]
	}
	options := make([]byte, 4*max(r.IntN(5)-2, 0))
	n := 20 + len(options) + len(l4)
	fragment := []byte{0x40, 0}
	if r.IntN(6) == 0 {
		fragment = []byte{byte(0x20 * r.IntN(2)), byte(r.IntN(3))}
	}
	b = append([]byte{byte(0x45 + len(options)/4), byte(r.IntN(256)), byte(n >> 8), byte(n), 0, 1}, fragment...)
	b = append(append(append(b, byte(r.IntN(256)), proto, 0, 0), four()...), four()...)
	return append(append(b, options...), l4...), 0x800
}

// filters are compared on every link type that tcpdump takes them for.
var filters = func() []string {
	b, err := os.ReadFile("testdata/filters.txt")
	if err != nil {
		panic(err)
	}
	return append(strings.Split(strings.TrimSpace(string(b)), "\n"), "")
}()

// TestAsTcpdump decides on every frame as the program of tcpdump does, and refuses what
// it refuses. A frame that is cut off inside its headers is decided by whether a program
// looks past its end at all; tcpdump looks less when it optimises, and either will do.
func TestAsTcpdump(t *testing.T) {
	all := frames(t)
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			t.Parallel()
			selected := 0
			for _, filter := range filters {
				selected += compare(t, target.link, target.name, filter, all[target.link])
			}
			if selected < 1000 || len(all[target.link]) < 500 {
				t.Errorf("of %d frames, %d were selected by any filter", len(all[target.link]), selected)
			}
		})
	}
}

// TestAsTcpdumpAnything does so with filters that nobody would write, and with what
// tcpdump makes of them before it optimises: of "tcp[13] & 0 = 0 and port 53" its optimiser
// forgets to load the length of the header (libpcap 1.10.3).
func TestAsTcpdumpAnything(t *testing.T) {
	all := frames(t)
	n := 100
	if s := os.Getenv("TCPLIFE_FILTERS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	seed := rand.Uint64()
	if os.Getenv("TCPLIFE_CI") != "" {
		seed = 8 // what it says of a commit must not depend on luck
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		target := targets[max(r.IntN(8)-4, 0)]
		compare(t, target.link, target.name, anything(r, 4), all[target.link], "-O")
		if t.Failed() {
			t.Logf("seed %d", seed)
			return
		}
	}
}

// anything returns a filter.
func anything(r *rand.Rand, depth int) string {
	if depth > 0 {
		switch r.IntN(6) {
		case 0:
			return anything(r, depth-1) + " and " + anything(r, depth-1)
		case 1:
			return anything(r, depth-1) + " or " + anything(r, depth-1)
		case 2:
			return "not " + anything(r, depth-1)
		case 3:
			return "(" + anything(r, depth-1) + ")"
		case 4:
			return number(r, depth-1) + []string{" = ", " != ", " > ", " < ", " >= ", " <= "}[r.IntN(6)] + number(r, depth-1)
		}
	}
	for {
		f := filters[r.IntN(len(filters))]
		// Neither parentheses around a filter nor another one behind it must change what
		// it is: that is asked with those that nothing was added to.
		if f != "" && f != "1 = 1" && f != "1 = 2" && (r.IntN(4) == 0 || !strings.Contains(f, "vlan")) {
			return f
		}
	}
}

// number returns something to compare.
func number(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(3) > 0 {
		op := []string{" + ", " - ", " * ", " / ", " % ", " & ", " | ", " ^ ", " << ", " >> "}[r.IntN(10)]
		right := number(r, depth-1)
		if strings.ContainsAny(op, "/%<>") {
			right = []string{"3", "5", "ip[1]", "(tcp[13] & 7)"}[r.IntN(4)]
		}
		// What is divided or shifted by must not become part of a constant that is refused.
		if r.IntN(3) == 0 || strings.ContainsAny(op, "/%<>") {
			return "(" + number(r, depth-1) + op + right + ")"
		}
		return number(r, depth-1) + op + right
	}
	return []string{"1", "7", "64", "80", "0x1fff", "len", "tcp[13]", "tcp[2:2]", "ip[8]", "ip[6:2]", "ip6[6]", "icmp[0]", "udp[4:2]", "ip[12:4]", "tcp[4:4]", "-ip[1]", "ip[ip[0] & 0xf]", "tcp[tcp[12] >> 4]", "tcp-syn"}[r.IntN(19)]
}

// compare returns how many frames were selected.
func compare(t *testing.T, link wire.LinkType, name, filter string, frames []frame, options ...string) (selected int) {
	t.Helper()
	theirs, refused := byTcpdump(t, name, filter, options...)
	f, err := bpf.Parse(filter)
	var ours bpf.Program
	if err == nil {
		ours, err = f.Compile(bpf.Target{Link: link}, 262144)
	}
	if refused != nil && strings.Contains(refused.Error(), "rejects all") && err == nil {
		theirs, refused = bpf.Program{{Op: 6}}, nil
	}
	if (err != nil) != (refused != nil) {
		t.Errorf("%s: %q: we say %v, tcpdump says %v", name, filter, err, refused)
		return 0
	}
	if err != nil {
		return 0
	}
	plain := theirs
	if link == wire.LinkEthernet && len(options) == 0 {
		plain, _ = byTcpdump(t, name, filter, "-O")
	}
	wrong := 0
	for _, f := range frames {
		cut := len(f.data) < int(f.length)
		if cut && (link != wire.LinkEthernet || len(options) > 0) {
			continue
		}
		got, want := ours.Run(f.data, f.length), theirs.Run(f.data, f.length)
		if want > 0 {
			selected++
		}
		if got != want && !(cut && got == plain.Run(f.data, f.length)) {
			if wrong++; wrong <= 2 {
				t.Errorf("%s: %q: %s: we keep %d, tcpdump %d\n%x", name, filter, f.from, got, want, f.data)
			}
		}
	}
	if wrong > 2 {
		t.Errorf("%s: %q: %d more frames", name, filter, wrong-2)
	}
	return selected
}

// TestRunAsVM compares the machine with that of golang.org/x/net, which has no length
// but that of the octets.
func TestRunAsVM(t *testing.T) {
	all, compared := frames(t)[wire.LinkEthernet][:400], 0
	for _, filter := range filters {
		f, err := bpf.Parse(filter)
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.Compile(bpf.Target{Link: wire.LinkEthernet}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		ins, ok := xbpf.Disassemble(p)
		if !ok {
			t.Fatalf("%q: an instruction that is none: %v", filter, ins)
		}
		vm, err := xbpf.NewVM(ins)
		if err != nil {
			continue // it knows no length and no negation
		}
		if strings.HasPrefix(filter, "- ") {
			continue // and says so only here
		}
		compared++
		for _, fr := range all {
			want, err := vm.Run(fr.data)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Run(fr.data, uint32(len(fr.data))); int(got) != want && !strings.ContainsAny(filter, "/%") {
				t.Errorf("%q: %s: %d, the other machine says %d", filter, fr.from, got, want)
			}
		}
	}
	if compared < len(filters)*8/10 {
		t.Errorf("%d of %d filters were compared", compared, len(filters))
	}
}

// oneOrTwoBits is what most flags look like.
func oneOrTwoBits(r *rand.Rand) byte {
	one, other := byte(1)<<r.IntN(8), byte(1)<<r.IntN(8)
	return one | other
}
