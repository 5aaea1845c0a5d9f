package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Quote is an ICMP error about a segment, in the place of a segment: its packet's
// Src reports to its Dst.
type Quote struct {
	// Kind is one of the words of icmpKinds.
	Kind string
	// Src and Dst are the quoted segment's; Seq is its number relative to its
	// sender's ISN, and 0 quotes the SYN.
	Src, Dst Endpoint
	Seq      int64
	// MTU of the next hop; 0 where the error tells none.
	MTU int64
}

// icmpKind gives an error's type and code in IPv4 and in IPv6.
type icmpKind struct {
	word   string
	v4, v6 [2]uint8
}

// icmpKinds are the errors that scripts know: those that both IP versions have.
var icmpKinds = []icmpKind{
	{"net-unreachable", [2]uint8{3, 0}, [2]uint8{1, 0}},
	{"host-unreachable", [2]uint8{3, 1}, [2]uint8{1, 3}},
	{"port-unreachable", [2]uint8{3, 3}, [2]uint8{1, 4}},
	{"prohibited", [2]uint8{3, 13}, [2]uint8{1, 1}},
	{"frag-needed", [2]uint8{3, 4}, [2]uint8{2, 0}},
	{"time-exceeded", [2]uint8{11, 0}, [2]uint8{3, 0}},
}

func (k *icmpKind) numbers(v6 bool) [2]uint8 {
	if v6 {
		return k.v6
	}
	return k.v4
}

func kindByWord(word string) *icmpKind {
	for i := range icmpKinds {
		if icmpKinds[i].word == word {
			return &icmpKinds[i]
		}
	}
	return nil
}

// parseQuote reads: KIND quotes A > B START [mtu N].
func parseQuote(f []string) (*Quote, error) {
	if len(f) != 6 && len(f) != 8 || f[1] != "quotes" || f[3] != ">" || len(f) == 8 && f[6] != "mtu" {
		return nil, fmt.Errorf("want: icmp KIND quotes A > B START [mtu N]")
	}
	q := &Quote{Kind: f[0]}
	if kindByWord(q.Kind) == nil {
		var words []string
		for _, k := range icmpKinds {
			words = append(words, k.word)
		}
		return nil, fmt.Errorf("want one of %s after icmp, got %q", strings.Join(words, ", "), q.Kind)
	}
	var err error
	if q.Src, err = parseEndpoint(f[2]); err != nil {
		return nil, err
	}
	if q.Dst, err = parseEndpoint(f[4]); err != nil {
		return nil, err
	}
	if q.Src.Host == q.Dst.Host {
		return nil, fmt.Errorf("%s sends to itself", q.Src.Host)
	}
	if q.Seq, err = parseInt(f[5], 0, 1<<32-1); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	if len(f) == 8 {
		if q.MTU, err = parseInt(f[7], 1, 65535); err != nil {
			return nil, fmt.Errorf("mtu: %w", err)
		}
	}
	return q, nil
}

// String returns the error as scripts write it, from "icmp" on.
func (q *Quote) String() string {
	s := fmt.Sprintf("icmp %s quotes %s > %s %d", q.Kind, q.Src, q.Dst, q.Seq)
	if q.MTU != 0 {
		s += fmt.Sprintf(" mtu %d", q.MTU)
	}
	return s
}

// quoted makes the segment that an error quotes.
func (s *Script) quoted(sh *shot, v Variant) *segment {
	q := sh.packet.Quote
	seg := &segment{seq: v.ISN.of(s.hostIndex(q.Src.Host)) + uint32(sh.isn) + uint32(q.Seq), flags: wire.ACK, ttl: 60}
	if q.Seq == 0 {
		seg.flags = wire.SYN
	}
	seg.src, seg.srcPort = s.address(q.Src, v)
	seg.dst, seg.dstPort = s.address(q.Dst, v)
	return seg
}

// icmpWords says which errors a connection met, in the words of scripts.
func icmpWords(c *reassembly.Conn) []string {
	var words []string
	for i := range c.ICMP {
		e := &c.ICMP[i]
		at := slices.IndexFunc(icmpKinds, func(k icmpKind) bool { return k.numbers(c.Tuple.V6) == [2]uint8{e.Type, e.Code} })
		if at < 0 {
			words = append(words, fmt.Sprintf("%d/%d", e.Type, e.Code))
			continue
		}
		words = append(words, icmpKinds[at].word)
	}
	if len(words) == 0 {
		return []string{"none"}
	}
	return words
}
