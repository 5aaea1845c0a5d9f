package bpf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// Error says where a filter cannot be understood, or what of it is not supported.
type Error struct {
	// Filter is the whole text, At the octet where the trouble begins.
	Filter string
	At     int
	// What describes the trouble, Remedy what can be done; it may be empty.
	What, Remedy string
}

// Error returns `filter "tcp prot 80": at character 5 ("prot"): ...`.
func (e *Error) Error() string {
	rest := e.Filter[min(e.At, len(e.Filter)):]
	where := "at its end"
	if rest != "" {
		word, _, _ := strings.Cut(rest, " ")
		if len(word) > 40 {
			word = word[:40]
		}
		where = fmt.Sprintf("at character %d (%q)", e.At+1, word)
	}
	s := fmt.Sprintf("filter %q: %s: %s", e.Filter, where, e.What)
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	return s
}

// wayOut is for what libpcap can and this package cannot.
func wayOut(filter string) string {
	return "let tcpdump compile it: --bpf \"$(tcpdump -ddd -y EN10MB '" + filter + "')\""
}

type kind int

const (
	end     kind = iota
	word         // a keyword, or an operator; text says which
	name         // an identifier that is no keyword
	number       // n
	dotted       // 10.0 or 10.1.2.3: n and bits
	ip6          // addr
	mac          // octets
	unknown      // a keyword that is not supported
)

type token struct {
	kind kind
	at   int
	text string
	n    uint32
	bits int
	addr netip.Addr
	mac  [6]byte
}

// synonyms have the keywords that mean another one.
var synonyms = map[string]string{
	"&&": "and", "||": "or", "!": "not", "==": "=", "length": "len", "ipv6": "ip6", "icmpv6": "icmp6", "link": "ether",
}

// keywords stand for themselves.
var keywords = sync.OnceValue(func() map[string]bool {
	return setOf("src dst host net mask port portrange proto and or not len less greater vlan broadcast multicast " + protocolNames)
})

const protocolNames = "ether ip ip6 arp rarp tcp udp sctp icmp icmp6 igmp pim vrrp ah esp"

// refused are keywords of libpcap that are not supported here.
var refused = sync.OnceValue(func() map[string]bool {
	return setOf("protochain gateway byte inbound outbound ifindex mpls pppoed pppoes geneve ppp slip fddi tr wlan " +
		"atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is clnp stp ipx netbeui igrp carp radio l1 l2 iih lsp snp csnp psnp " +
		"addr1 addr2 addr3 addr4 ra ta type subtype dir address1 address2 address3 address4 lane llc metac bcc oam oamf4 oamf4ec oamf4sc " +
		"sc ilmic vpi vci connectmsg metaconnect on ifname rset rulenum rnr srnr rulenset reason action fisu lssu lsu msu hfisu hlssu hmsu " +
		"sio opc dpc sls hsio hopc hdpc hsls vxlan")
})

func setOf(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// constants are names for numbers in expressions, pcap-filter(7).
var constants = sync.OnceValue(func() map[string]uint32 {
	return map[string]uint32{
		"tcpflags": 13, "tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08, "tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,
		"icmptype": 0, "icmpcode": 1, "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
		"icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14,
		"icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
		"icmp6type": 0, "icmp6code": 1, "icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4,
		"icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131,
		"icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135,
		"icmp6-neighboradvert": 136, "icmp6-redirect": 137, "icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139,
		"icmp6-nodeinformationresponse": 140, "icmp6-ineighbordiscoverysolicit": 141, "icmp6-ineighbordiscoveryadvert": 142,
		"icmp6-multicastlistenerreportv2": 143, "icmp6-homeagentdiscoveryrequest": 144, "icmp6-homeagentdiscoveryreply": 145,
		"icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147, "icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149,
		"icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152, "icmp6-multicastrouterterm": 153,
	}
})

// operators are the words made of signs, the longer first.
var operators = []string{"&&", "||", "!=", "==", ">=", "<=", "<<", ">>", "!", "(", ")", "[", "]", ":", "=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^"}

func isWordByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '.' || c == '_' || c == '-'
}

// lex cuts a filter into tokens; the last is of kind end.
func lex(s string) ([]token, error) {
	var all []token
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '\\':
			// A backslash takes its meaning from a keyword.
			j := i + 1
			for j < len(s) && isWordByte(s[j]) {
				j++
			}
			if j == i+1 {
				return nil, &Error{s, i, "a backslash stands before a name", ""}
			}
			all = append(all, token{kind: name, at: i, text: s[i+1 : j]})
			i = j
			continue
		case isWordByte(c) && c != '-' && c != '.' && c != '_' || c == ':':
			t, err := lexWord(s, i)
			if err != nil {
				return nil, err
			}
			if t.text != "" {
				all = append(all, t)
				i += len(t.text)
				t := &all[len(all)-1]
				if x, ok := synonyms[t.text]; ok && t.kind == name {
					t.text = x
				}
				if t.kind == name && keywords()[t.text] {
					t.kind = word
				} else if t.kind == name && refused()[t.text] {
					t.kind = unknown
				}
				continue
			}
		}
		found := false
		for _, o := range operators {
			if strings.HasPrefix(s[i:], o) {
				t := token{kind: word, at: i, text: o}
				if x, ok := synonyms[o]; ok {
					t.text = x
				}
				all = append(all, t)
				i += len(o)
				found = true
				break
			}
		}
		if !found {
			return nil, &Error{s, i, "no word of the filter language", ""}
		}
	}
	return append(all, token{kind: end, at: len(s)}), nil
}

// lexWord reads a number, an address or a name. Its text is empty if there is only a
// colon.
func lexWord(s string, at int) (token, error) {
	j := at
	for j < len(s) && (isWordByte(s[j]) || s[j] == ':') {
		j++
	}
	t := token{at: at}
	if long := s[at:j]; strings.Contains(long, ":") {
		if a, err := netip.ParseAddr(long); err == nil && a.Is6() && a.Zone() == "" {
			t.kind, t.text, t.addr = ip6, long, a
			return t, nil
		}
		if m, ok := parseMAC(long, ":"); ok {
			t.kind, t.text, t.mac = mac, long, m
			return t, nil
		}
		j = at + strings.IndexByte(long, ':')
	}
	// A name ends with a letter, a digit or a dot; what follows is an operator.
	for j > at && (s[j-1] == '-' || s[j-1] == '_') {
		j--
	}
	t.text = s[at:j]
	if t.text == "" {
		return t, nil
	}
	if n, ok, err := parseNumber(t.text); ok {
		if err != nil {
			return t, &Error{s, at, "the number is not of 32 bits", ""}
		}
		t.kind, t.n = number, n
		return t, nil
	}
	if n, bits, ok := parseDotted(t.text); ok {
		t.kind, t.n, t.bits = dotted, n, bits
		return t, nil
	}
	if m, ok := parseMAC(t.text, "-"); ok {
		t.kind, t.mac = mac, m
		return t, nil
	}
	t.kind = name
	return t, nil
}

// parseNumber reads a number as C writes it.
func parseNumber(s string) (n uint32, ok bool, err error) {
	base, digits := 10, s
	switch {
	case strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X"):
		base, digits = 16, s[2:]
	case len(s) > 1 && s[0] == '0':
		base, digits = 8, s[1:]
	}
	for _, c := range []byte(digits) {
		if strings.IndexByte("0123456789abcdef"[:base], c|0x20) < 0 && (c < '0' || c > '9') {
			return 0, false, nil
		}
	}
	x, err := strconv.ParseUint(digits, base, 32)
	return uint32(x), digits != "", err
}

// parseDotted reads two to four decimal numbers with dots between them: the beginning of
// an IPv4 address, of so many bits.
func parseDotted(s string) (n uint32, bits int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return 0, 0, false
	}
	for _, p := range parts {
		x, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) > 3 {
			return 0, 0, false
		}
		n = n<<8 | uint32(x)
	}
	return n, 8 * len(parts), true
}

func parseMAC(s, sep string) (m [6]byte, ok bool) {
	parts := strings.Split(s, sep)
	if len(parts) != 6 {
		return m, false
	}
	for i, p := range parts {
		x, err := strconv.ParseUint(p, 16, 8)
		if err != nil || len(p) > 2 {
			return m, false
		}
		m[i] = byte(x)
	}
	return m, true
}
