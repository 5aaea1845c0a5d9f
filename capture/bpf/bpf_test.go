package bpf_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/wire"
)

// TestErrors: what is wrong is said where it is, and what is not supported has the way
// out.
func TestErrors(t *testing.T) {
	const way = `--bpf "$(tcpdump -ddd`
	for _, c := range []struct {
		filter string
		at     int
		what   string
	}{
		{"less", 4, "a number of octets"},
		{"tcp prot 80", 4, "expected and, or, or the end"},
		{"host example.com", 5, "getent ahosts example.com"},
		{"mpls", 0, way}, {"tcp and inbound", 8, way}, {"gateway 10.1.1.1", 0, way}, {"byte 5 = 3", 0, way}, {"ip protochain 6", 3, way}, {"ether proto 0x42", 12, way},
		{"net 10/8", 4, "written with dots"},
		{"tcp port", 8, "an address, a port or a number"},
		{"tcp[13", 6, "an operator, : or ]"},
		{"tcp[0:3] = 1", 6, "1, 2 or 4 octets"},
		{"tcp[70000] = 1", 0, "no frame has an octet 70000"},
		{"tcp[1]/0 = 1", 6, "a division by zero"},
		{"tcp[1] << 32 = 1", 7, "a shift by more than 31 bits"},
		{"tcp[1]", 6, "a comparison"},
		{"ip broadcast", 0, "10.0.0.255"},
		{"tcp broadcast", 0, "only ether, ip and ip6"},
		{"(tcp", 4, "a closing parenthesis"},
		{"tcp)", 3, "expected and, or, or the end"},
		{"port (80 or 443", 15, "a closing parenthesis"},
		{"vlan 5000", 5, "at most 4095"},
		{"port 70000", 5, "at most 65535"},
		{"port nosuchservice", 5, "no service has that name"},
		{"udp port ssh", 9, "does not use udp"},
		{"icmp port 5", 10, "icmp has no ports"},
		{"port 10.1.2.3", 5, "expected a port"},
		{"portrange 5-70000", 10, "two ports up to 65535"},
		{"net 10.1.2.3/8", 4, "the network is 10.0.0.0"},
		{"net 10.1.2.0 mask 255.255.0.0", 4, "the network is 10.1.0.0"},
		{"host 10.0.0.0/8", 5, "only a network has a mask"},
		{"net 10.0.0.0/33", 13, "a prefix length up to 32"},
		{"net 2001:db8::1/32", 4, "the network is 2001:db8::/32"},
		{"net 2001:db8::/129", 15, "a prefix length up to 128"},
		{"host 2001:db8::/32", 5, "only a network has a mask"},
		{"ip host 2001:db8::1", 8, "of ip6 and not of ip"},
		{"ip6 host 10.1.1.1", 9, "ip6 needs an IPv6 address"},
		{"tcp host 10.1.1.1", 9, "say tcp and host"},
		{"host 1.2.3.400", 5, "not looked up"},
		{"host 1:2:3:4:5:6", 5, "ether host 1:2:3:4:5:6"},
		{"ether host 10.1.1.1", 11, "an Ethernet address"},
		{"foo", 0, "say what it is"},
		{"10.1.2.3", 0, "host, net or port before it"},
		{"tcp or 80", 7, "say what it is"},
		{"tcp and", 7, "a primitive"},
		{"ether", 5, "host, proto"},
		{"ether[0] ~ 1", 9, "no word of the filter language"},
		{"port \\", 5, "a backslash stands before a name"},
		{"src proto 6", 10, "no direction"},
		{"proto 300", 6, "at most 255"},
		{"proto foo", 6, "give its number"},
		{"tcp proto 6", 10, "and not of tcp"},
		{"tcp = 5", 4, "expected and, or, or the end"},
		{"len > 5000000000", 6, "not of 32 bits"},
		{strings.Repeat("(", 200) + "tcp", 100, "100 levels"},
		{strings.Repeat("not ", 200) + "tcp", 400, "100 levels"},
	} {
		_, err := bpf.Parse(c.filter)
		var e *bpf.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		if e.At != c.at || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%q: octet %d: %v; wanted octet %d and %q", c.filter, e.At, err, c.at, c.what)
		}
	}
	if _, err := bpf.Parse(strings.Repeat(" ", 1<<20)); err == nil {
		t.Error("a megabyte is read")
	}
}

// TestTargets: what a link layer does not have is refused.
func TestTargets(t *testing.T) {
	cooked := bpf.Target{Link: wire.LinkRaw, Kernel: true, Cooked: true}
	for _, c := range []struct {
		filter string
		target bpf.Target
		what   string
	}{
		{"vlan", bpf.Target{Link: wire.LinkRaw}, "Ethernet alone"},
		{"vlan", cooked, "Ethernet alone"},
		{"ether host 2:0:0:0:0:1", bpf.Target{Link: wire.LinkLinuxSLL}, "Ethernet alone"},
		{"tcp or broadcast", cooked, "at character 8"},
		{"ether[0] = 1", cooked, "Ethernet alone"},
		{"tcp", bpf.Target{Link: wire.LinkWLAN}, "tcpdump -ddd -r FILE"},
	} {
		f, err := bpf.Parse(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Compile(c.target, 1); err == nil || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%q for %+v: %v", c.filter, c.target, err)
		}
	}
}

// TestLong compiles filters whose jumps do not fit into eight bits.
func TestLong(t *testing.T) {
	all := frames(t)[wire.LinkEthernet][:500]
	many := func(n int) (s string) {
		for i := range n {
			if i > 0 {
				s += " or "
			}
			s += fmt.Sprintf("tcp src port %d", 30000+i)
		}
		return s
	}
	f, err := bpf.Parse("tcp and not (" + many(100) + ") and port 80")
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Compile(bpf.Target{Link: wire.LinkEthernet}, 9)
	if err != nil {
		t.Fatal(err)
	}
	short, _ := bpf.Parse("tcp and port 80")
	q, _ := short.Compile(bpf.Target{Link: wire.LinkEthernet}, 9)
	for _, x := range all {
		if len(x.data) == int(x.length) && p.Run(x.data, x.length) != q.Run(x.data, x.length) {
			t.Errorf("%s: the long filter says %d", x.from, p.Run(x.data, x.length))
		}
	}
	if f, err = bpf.Parse(many(600)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Compile(bpf.Target{Link: wire.LinkEthernet}, 9); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("a program that the kernel does not take: %v", err)
	}
}

func TestParseProgram(t *testing.T) {
	const arp = "4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n"
	p, err := bpf.ParseProgram(arp)
	if err != nil {
		t.Fatal(err)
	}
	q, err := bpf.ParseProgram(strings.ReplaceAll(arp, "\n", ","))
	if d := cmp.Diff(p, q); d != "" || err != nil {
		t.Errorf("with commas: %v\n%s", err, d)
	}
	if p, err = p.Compile(bpf.Target{}, 77); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 60)
	if n := p.Run(frame, 60); n != 0 {
		t.Errorf("of no ARP %d octets are kept", n)
	}
	frame[12], frame[13] = 8, 6
	if n := p.Run(frame, 60); n != 77 {
		t.Errorf("of ARP %d octets are kept", n)
	}
	for text, want := range map[string]string{
		"":                           "it is empty",
		"tcp port 80":                `"tcp" is no number`,
		"2 6 0 0 0":                  "2 instructions, and 4 numbers",
		"0":                          "0 instructions",
		"1 6 300 0 0":                "instruction 0 is none",
		"1 40 0 0 12":                "does not end with a return",
		"2 21 1 0 5 6 0 0 0":         "jumps past the end",
		"2 5 0 0 1 6 0 0 0":          "jumps past the end",
		"2 5 0 0 4294967295 6 0 0 0": "jumps past the end",
		"2 9999 0 0 0 6 0 0 0":       "is unknown",
		"2 96 0 0 16 6 0 0 0":        "memory",
		"2 2 0 0 16 6 0 0 0":         "memory",
		"2 52 0 0 0 6 0 0 0":         "divides by zero",
		"2 100 0 0 32 6 0 0 0":       "shifts",
	} {
		if _, err := bpf.ParseProgram(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; wanted %q", text, err, want)
		}
	}
	live, err := bpf.ParseProgram("2 32 0 0 4294963248 22 0 0 0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.Compile(bpf.Target{Link: wire.LinkEthernet}, 1); err == nil || !strings.Contains(err.Error(), "only the kernel knows") {
		t.Errorf("a program for the kernel, over a file: %v", err)
	}
	if _, err := live.Compile(bpf.Target{Link: wire.LinkEthernet, Kernel: true}, 1); err != nil {
		t.Errorf("a program for the kernel, there: %v", err)
	}
}

// FuzzParse: whatever is typed, what comes of it is a program that ends, or an error
// that says where.
func FuzzParse(f *testing.F) {
	for _, s := range filters {
		f.Add(s)
	}
	frame := make([]byte, 80)
	copy(frame, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45")
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := bpf.Parse(s)
		if err != nil {
			var e *bpf.Error
			if errors.As(err, &e) && (e.At < 0 || e.At > len(s)) {
				t.Errorf("%q: the error is at %d", s, e.At)
			}
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, target := range []bpf.Target{{Link: wire.LinkEthernet}, {Link: wire.LinkRaw}, {Link: wire.LinkEthernet, Kernel: true}} {
			p, err := filter.Compile(target, 96)
			if err != nil {
				continue
			}
			text := fmt.Sprint(len(p))
			for _, x := range p {
				text += fmt.Sprintf(" %d %d %d %d", x.Op, x.Jt, x.Jf, x.K)
			}
			if _, err := bpf.ParseProgram(text); err != nil {
				t.Errorf("%q: %v", s, err)
			}
			if n := p.Run(frame, 80); n != 0 && n != 96 {
				t.Errorf("%q keeps %d octets", s, n)
			}
		}
	})
}

// FuzzParseProgram: what is taken for a program runs, and ends.
func FuzzParseProgram(f *testing.F) {
	f.Add("4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n", []byte("frame"))
	f.Add("2 52 0 0 0 6 0 0 0", []byte{})
	f.Add("3,177 0 0 14,80 0 0 4294967295,22 0 0 0", []byte("0123456789012345"))
	f.Fuzz(func(t *testing.T, text string, frame []byte) {
		if p, err := bpf.ParseProgram(text); err == nil {
			p.Run(frame, uint32(len(frame)))
		}
	})
}

func BenchmarkRun(b *testing.B) {
	f, err := bpf.Parse("tcp port 443 and net 10.0.0.0/8 and not host 10.1.2.3")
	if err != nil {
		b.Fatal(err)
	}
	p, err := f.Compile(bpf.Target{Link: wire.LinkEthernet}, 96)
	if err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, 80)
	copy(frame, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45")
	frame[23], frame[26], frame[34], frame[35] = 6, 10, 443>>8, 443&255
	if p.Run(frame, 80) == 0 {
		b.Fatal("the frame is not selected")
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Run(frame, 80)
	}
}
