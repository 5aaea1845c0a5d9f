package rosetta

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// A script is a connection in words, a segment each:
//
//	[+SECONDS] SIDE FLAGS [SEQ[:LEN]] [ack N] [win N] [snapped]
//
// SIDE is c or s, FLAGS are tcpdump's letters, numbers count from each side's SYN. A
// segment follows 10 ms after the one before unless it says otherwise.
func script(t *testing.T, text string) (segs []wire.Segment) {
	t.Helper()
	const start = wire.Time(1_700_000_000_000_000_000)
	isn := map[string]wire.Seq{"c": 1000, "s": 0xfffffff0} // the server's wraps
	tuple := wire.Tuple{Src: wire.AddrFrom4([]byte{10, 0, 0, 1}), Dst: wire.AddrFrom4([]byte{10, 0, 0, 2}), SrcPort: 40000, DstPort: 7777}
	number := func(s string) uint32 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("script: %v", err)
		}
		return uint32(n)
	}
	at := start
	for i, part := range strings.Split(text, ";") {
		words := strings.Fields(part)
		gap := 10 * time.Millisecond
		if strings.HasPrefix(words[0], "+") {
			seconds, err := strconv.ParseFloat(words[0][1:], 64)
			if err != nil {
				t.Fatalf("script: %v", err)
			}
			gap = time.Duration(seconds * float64(time.Second))
			words = words[1:]
		}
		if i > 0 {
			at = at.Add(gap)
		}
		side, peer := words[0], "s"
		s := wire.Segment{Frame: wire.NewFrameID(0, uint64(i+1)), At: at, Tuple: tuple, Window: 500, TTL: 64, Seq: isn[side]}
		if side == "s" {
			s.Tuple, peer = tuple.Reverse(), "c"
		}
		for _, f := range words[1] {
			s.Flags |= 1 << strings.IndexRune("FSRP.UEWA", f)
		}
		for rest := words[2:]; len(rest) > 0; {
			switch rest[0] {
			case "ack":
				s.Ack = isn[peer].Add(number(rest[1]))
				rest = rest[2:]
			case "win":
				s.Window = uint16(number(rest[1]))
				rest = rest[2:]
			case "snapped":
				s.Traits |= wire.TraitSnapped
				rest = rest[1:]
			default:
				seq, n, _ := strings.Cut(rest[0], ":")
				s.Seq = isn[side].Add(number(seq))
				if n != "" {
					s.Len = number(n)
				}
				rest = rest[1:]
			}
		}
		segs = append(segs, s)
	}
	return segs
}

// result is one connection of a script.
type result struct {
	Views
	history   string
	conntrack Conntrack
	argus     Argus
	suricata  Suricata
	// originator is the port of Zeek's originator.
	originator uint16
}

// views runs a script through a tracker and returns what is said of each connection,
// in the order of their opening.
// port is the server's.
func views(t *testing.T, text string, port uint16) []result {
	t.Helper()
	var w Watcher
	results := map[uint64]result{}
	tr := reassembly.New(reassembly.Config{Watch: &w, Settled: func(c *reassembly.Conn, opened uint64) {
		v := w.Views(c)
		originator, _ := ports{c.Tuple.SrcPort, c.Tuple.DstPort}.of(v.Zeek.Originator)
		results[opened] = result{v, string(v.Zeek.History), ConntrackOf(c), ArgusOf(c), SuricataOf(c), originator}
	}})
	for _, s := range script(t, text) {
		if s.Tuple.SrcPort == 7777 {
			s.Tuple.SrcPort = port
		} else {
			s.Tuple.DstPort = port
		}
		tr.Feed(&s)
	}
	tr.Flush()
	var list []result
	for i := range uint64(len(results)) {
		list = append(list, results[i])
	}
	return list
}

const (
	opens = "c S; s S. ack 1; c . 1 ack 1"
	talks = opens + "; c P. 1:10 ack 1; s . 1 ack 11; s P. 1:20 ack 11; c . 11 ack 21"
	ends  = talks + "; c F. 11 ack 21; s F. 21 ack 12; c . 12 ack 22"
)
