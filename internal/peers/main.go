// Command peers holds tcplife's counts against tshark's, capture by capture: how many
// frames hold a TCP segment, why the others do not, and between which endpoints there were
// conversations.
//
//	go run ./internal/peers -tcplife bin/tcplife CAPTURE...
//
// It prints each capture whose counts differ and then the totals. Captures that
// tshark cannot read are named and left out.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// class is what became of a frame, as coarsely as both programs tell it.
type class int

const (
	segment   class = iota // a TCP segment, its own or put together from fragments
	notIP                  // no IP packet in it
	notTCP                 // IP without TCP; ICMP errors that quote a segment are here
	fragment               // a part of an IP packet whose segment, if any, stands in another frame
	encrypted              // what an encryption hides: IPsec ESP, MACsec, 802.11, DTLS
	broken                 // cut off or malformed before the TCP header's end
	classes
)

var classNames = [classes]string{"segments", "not IP", "not TCP", "fragments", "encrypted", "broken"}

type counts [classes]int

func main() {
	bin := flag.String("tcplife", "bin/tcplife", "the program to compare")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	var ours, theirs counts
	files, equal, unread := 0, 0, 0
	talked, absent := 0, 0
	for _, name := range flag.Args() {
		t, conversations, err := tshark(name)
		if err != nil {
			fmt.Printf("%s: tshark: %v\n", filepath.Base(name), err)
			unread++
			continue
		}
		o, connections, err := tcplife(*bin, name)
		if err != nil {
			fmt.Printf("%s: tcplife: %v\n", filepath.Base(name), err)
		}
		files++
		if o == t {
			equal++
		} else {
			fmt.Printf("%s: %s\n", filepath.Base(name), difference(o, t))
		}
		for c := range classes {
			ours[c] += o[c]
			theirs[c] += t[c]
		}
		for p := range conversations {
			talked++
			if !connections[p] {
				absent++
				fmt.Printf("%s: tshark has a conversation between %v and %v, tcplife no connection\n", filepath.Base(name), p[0], p[1])
			}
		}
	}
	fmt.Printf("\n%d captures, %d with equal counts, %d that tshark could not read\n", files, equal, unread)
	fmt.Printf("%-10s %10s %10s\n", "frames", "tcplife", "tshark")
	for c := range classes {
		fmt.Printf("%-10s %10d %10d\n", classNames[c], ours[c], theirs[c])
	}
	fmt.Printf("pairs of endpoints between which tshark has conversations: %d, %d of them without a connection in tcplife\n", talked, absent)
}

// pair are two endpoints, the lower one first.
type pair [2]netip.AddrPort

func newPair(a, b netip.AddrPort) pair {
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return pair{a, b}
}

func difference(o, t counts) string {
	var d []string
	for c := range classes {
		if o[c] != t[c] {
			d = append(d, fmt.Sprintf("%s %d, tshark %d", classNames[c], o[c], t[c]))
		}
	}
	return strings.Join(d, "; ")
}

// tcplife counts by the summary of a report, and names who was connected.
func tcplife(bin, name string) (c counts, connections map[pair]bool, err error) {
	// 3 is damage, which the report is complete without.
	out, err := exec.Command(bin, "analyze", "--format", "ndjson", "--jobs", "1", name).Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!asExit(err, &exit) || exit.ExitCode() != 3) {
		return c, nil, err
	}
	type endpoint struct {
		IP   netip.Addr
		Port uint16
	}
	connections = map[pair]bool{}
	for line := range bytes.Lines(out) {
		var o struct {
			Type           string
			Segments       int
			Skipped        map[string]int
			Client, Server endpoint
		}
		if err := json.Unmarshal(line, &o); err != nil {
			return c, nil, err
		}
		switch o.Type {
		case "connection":
			connections[newPair(netip.AddrPortFrom(o.Client.IP, o.Client.Port), netip.AddrPortFrom(o.Server.IP, o.Server.Port))] = true
		case "summary":
			c[segment] = o.Segments
			for reason, n := range o.Skipped {
				k, ok := reasons[reason]
				if !ok {
					return c, nil, fmt.Errorf("reason %q has no class here", reason)
				}
				c[k] += n
			}
		}
	}
	return c, connections, nil
}

var reasons = map[string]class{
	"link-type": notIP, "not-ip": notIP, "not-tcp": notTCP, "icmp": notTCP, "fragment": fragment,
	"truncated": broken, "malformed": broken, "encrypted": encrypted,
}

func asExit(err error, exit **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*exit = e
	return ok
}

// conversation is a line of tshark's list of them.
var conversation = regexp.MustCompile(`^(\S+):(\d+) +<-> (\S+):(\d+) `)

// tshark counts by the protocols that it names for each frame, and lists conversations.
func tshark(name string) (c counts, conversations map[pair]bool, err error) {
	args := []string{"-2", "-n", "-r", name, "-z", "conv,tcp", "-T", "fields", "-E", "occurrence=a"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if len(out) == 0 && err != nil {
		return c, nil, err
	}
	conversations = map[pair]bool{}
	frames, list, _ := strings.Cut(string(out), strings.Repeat("=", 80)+"\n")
	for line := range strings.Lines(frames) {
		values := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(values) != len(fields) {
			continue
		}
		f := map[string]string{}
		for i, name := range fields {
			f[name] = values[i]
		}
		c[classOf(f)]++
	}
	for line := range strings.Lines(list) {
		if m := conversation.FindStringSubmatch(line); m != nil {
			a, err := netip.ParseAddr(m[1])
			b, err2 := netip.ParseAddr(m[3])
			if err = cmp.Or(err, err2); err != nil {
				return c, nil, err
			}
			conversations[newPair(netip.AddrPortFrom(a, port(m[2])), netip.AddrPortFrom(b, port(m[4])))] = true
		}
	}
	return c, conversations, nil
}

// port reads what conversation lets through: digits.
func port(digits string) uint16 {
	n, _ := strconv.ParseUint(digits, 10, 16)
	return uint16(n)
}

// fields are what classOf asks tshark for. A field that stands in a frame several
// times (a tunnel) has all its values, with commas.
var fields = []string{
	"frame.protocols", "ip.flags.mf", "ip.frag_offset", "ip.proto", "ipv6.fraghdr.ident", "ipv6.fraghdr.nxt", "tcp.stream",
	"macsec.TCI.E", "macsec.TCI.C", "wlan.fc.protected",
}

func classOf(f map[string]string) class {
	protocols := strings.Split(f["frame.protocols"], ":")
	quoted := slices.IndexFunc(protocols, func(p string) bool { return p == "icmp" || p == "icmpv6" })
	tcp := slices.Index(protocols, "tcp")
	has := func(p string) bool { return slices.Contains(protocols, p) }
	set := func(flag string) bool { return strings.Contains(f[flag], "1") }
	switch {
	case tcp >= 0 && (quoted < 0 || tcp < quoted) && f["tcp.stream"] != "":
		return segment
	case tcp >= 0 && (quoted < 0 || tcp < quoted):
		return broken
	case has("esp"), set("macsec.TCI.E"), set("macsec.TCI.C"), set("wlan.fc.protected"), has("capwap") && has("dtls"):
		return encrypted
	case !has("ip") && !has("ipv6"):
		return notIP
	case has("_ws.malformed") || has("_ws.short"):
		return broken
	case f["ipv6.fraghdr.ident"] != "" && quoted < 0:
		return fragmentOf(f["ipv6.fraghdr.nxt"])
	case (set("ip.flags.mf") || strings.Trim(f["ip.frag_offset"], "0,") != "") && quoted < 0:
		return fragmentOf(f["ip.proto"])
	}
	return notTCP
}

// fragmentOf is the class of a fragment of what the innermost of several headers
// names: a fragment of UDP or ICMP holds no part of a segment.
func fragmentOf(numbers string) class {
	switch numbers[strings.LastIndexByte(numbers, ',')+1:] {
	case "1", "2", "17", "58": // ICMP, IGMP, UDP, ICMPv6
		return notTCP
	}
	return fragment
}
