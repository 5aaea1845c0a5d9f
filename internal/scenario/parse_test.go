package scenario

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// withPackets makes a whole script of some lines of packets.
func withPackets(lines string) []byte {
	return []byte("x\n-- packets --\n" + lines + "\n-- states --\n-- findings --\nnone\n")
}

func TestParseErrors(t *testing.T) {
	const syn = "0 a > b S 0:0(0)\n"
	for _, tc := range []struct{ name, packets, want string }{
		{"end is not start plus len", "0 a > b P. 1:100(100) ack 1", "t:3: end is 100: want start + len = 101"},
		{"ack beyond what was sent", syn + "+0.01 b > a S. 0:0(0) ack 2", "t:4: ack is 2: a has sent up to 1"},
		{"ack of what was lost", syn + "+0.01 b > a S. 0:0(0) ack 1\n+0 a > b P. 1:101(100) ack 1 {lost after}\n+0 b > a . 1:1(0) ack 101",
			"t:6: ack is 101: 1:101 of a was lost and not sent again"},
		{"ack of a packet lost before the tap", syn + "+0 a > b P. 1:11(10) ack 0 {lost before}\n+0 b > a . 1:1(0) ack 11", "1:11 of a was lost"},
		{"ack without its flag", "0 a > b P 1:2(1) ack 1", "t:3: ack N and the flag"},
		{"flag without ack", "0 a > b . 1:1(0)", "t:3: ack N and the flag"},
		{"SYN not at 0", "0 a > b S 5:5(0)", "t:3: a SYN starts at 0, not at 5"},
		{"time goes back", syn + "0.5 b > a S. 0:0(0) ack 1\n0.4 a > b . 1:1(0) ack 1", "t:5: time goes back from 0.500 to 0.400"},
		{"unknown word", "0 a > b S 0:0(0) {gone}", "t:3: unknown word {gone}"},
		{"unseen and copied", "0 a > b S 0:0(0) {unseen} {dup}", "t:3: a packet that the tap did not see"},
		{"lost and unseen", "0 a > b S 0:0(0) {unseen} {lost after}", "t:3: a packet is one of"},
		{"unknown flag", "0 a > b X 0:0(0)", "t:3: want flags of the letters"},
		{"to itself", "0 a > a S 0:0(0)", "t:3: a sends to itself"},
		{"options too long", "0 a > b S 0:0(0) <tfo 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627>", "t:3: options take 42 octets"},
		{"new without a first life", "new a isn 1 b isn 2\n" + syn, "t:3: new before the first segment"},
		{"life that is not", syn + "+1 a > b . 1:1(0) ack 1 {life 2}", "t:4: {life 2} of a pair that has had 1"},
		{"late host", syn + "host a port 5", "t:4: host a after its first segment"},
		{"no packets", "", "no packets"},
		{"an error of no kind", "0 b > a icmp lost quotes a > b 0", `t:3: want one of net-unreachable, host-unreachable, port-unreachable, prohibited, frag-needed, time-exceeded after icmp, got "lost"`},
		{"an error about nothing", "0 b > a icmp prohibited", "t:3: want: icmp KIND quotes A > B START [mtu N]"},
		{"an error to somebody else", "0 b > c icmp prohibited quotes a > b 0", "t:3: an error goes to the sender of what it quotes: a, not c"},
		{"an error with options", "0 b > a icmp prohibited quotes a > b 0 <mss 1>", "t:3: an ICMP error has no <options>"},
		{"an error cut short", "0 b > a icmp prohibited quotes a > b 0 {snap 9}", "t:3: an ICMP error has no {snap}"},
		{"a word too many", "0 a > b S 0:0(0) wine 5", `t:3: want ack, win, urg, <options> or {tap}, got "wine"`},
	} {
		_, err := Parse("t", withPackets(strings.TrimSuffix(tc.packets, "\n")))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.name, err, tc.want)
		}
	}
}

func TestParseExpectationErrors(t *testing.T) {
	for _, tc := range []struct{ name, sections, want string }{
		{"unknown state", "-- states --\na SYN-SENT\n-- findings --\n", "t:5: want a state of RFC 9293 with underscores"},
		{"unknown evidence", "-- states --\na SYN_SENT/seen\n-- findings --\n", "t:5: want one of sent, acked"},
		{"unknown host", "-- states --\nz SYN_SENT\n-- findings --\n", "t:5: no host z in the packets"},
		{"frame beyond the capture", "-- states --\na SYN_SENT@9\n-- findings --\n", "t:5: SYN_SENT@9: the capture has 1 frames"},
		{"sent by the other", "-- states --\nb SYN_SENT/sent@1\n-- findings --\n", "t:5: SYN_SENT/sent@1: frame 1 was not sent by b"},
		{"twice", "-- states --\na -\na -\n-- findings --\n", "t:6: states of connection 1, host a stand twice"},
		{"none and a finding", "-- states --\n-- findings --\nnone\nx-y a\n", "t:6: none stands beside findings"},
		{"order", "-- findings --\n-- states --\n", "out of order"},
		{"missing", "-- states --\n", "section -- findings -- is missing"},
		{"unknown section", "-- states --\n-- findings --\n-- more --\n", `t:6: unknown section "more"`},
		{"unknown close key", "-- states --\n-- findings --\n-- close --\nwhy x\n", "t:7: want: [CONNECTION] and one of reason"},
		{"connection without number", "-- states --\n-- findings --\n-- connections --\na > b 1-1\n", "t:7: want a connection's number or late"},
	} {
		_, err := Parse("t", []byte("x\n-- packets --\n0 a > b S 0:0(0)\n"+tc.sections))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.name, err, tc.want)
		}
	}
}

func TestTitle(t *testing.T) {
	s := &Script{Prose: []string{"", "The first e.g. sentence", "goes on. The second.", "", "More."}}
	if got, want := s.Title(), "The first e.g. sentence goes on."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzParse demands that nothing panics and that a script which parses is the same
// after printing and parsing.
func FuzzParse(f *testing.F) {
	for _, s := range load(f) {
		text, err := os.ReadFile(s.File)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("p\n-- packets --\nhost a port 9 ttl 3\n1.5 a:2 > b FSRP.UEWA 0:5(5) ack 4 win 3 urg 2 <eol,sack 1:2 3:4,uto 5,mptcp 01,tfo,opt 253 aa> " +
		"{life 1} {abs} {dup} {forged} {bogus} {late 0.1} {snap 9} {ttl 8} {ipid 7}\n+1 r > a:2 icmp frag-needed quotes a:2 > b 7 mtu 9 {life 1} {dup}\n-- states --\n2 a CLOSED/timer@1 # c\n1 b -\n" +
		"-- findings --\nno x\n3 y both frames 1,2 likely C05b\n-- close --\n1 handshake complete cookie\n-- connections --\nlate a > b 1-2\n1 a:2 > b 1-1 syn\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("fuzz", text)
		if err != nil {
			return
		}
		printed := s.Print()
		again, err := Parse("fuzz", printed)
		if err != nil {
			t.Fatalf("printed script does not parse: %v\n%s", err, printed)
		}
		if !reflect.DeepEqual(s, again) {
			t.Fatalf("printed script differs:\n%s", printed)
		}
		if len(s.plan.shots) > 200 {
			return // a big capture shows nothing more
		}
		for _, v := range []Variant{{}, {V6: true, Mirror: true, Double: true, Link: "sll2", Format: PcapNG}} {
			c, err := s.Compile(v)
			if err != nil {
				continue // more octets than IP can carry
			}
			if _, err := c.File(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestReadmeExample keeps the reference's example a script.
func TestReadmeExample(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n\n    ")
	example, _, _ := strings.Cut(rest, "\n\n")
	if _, err := Parse("README.md", []byte(strings.ReplaceAll(example, "\n    ", "\n")+"\n")); err != nil {
		t.Error(err)
	}
}
