package scenario

import (
	"fmt"
	"strings"

	"github.com/tcplife/tcplife/wire"
)

// maxLen is the most payload that still fits IPv4's total length with all options.
const maxLen = 65535 - 60 - 60

// parsePacketLine reads one line of the packets section. text is the line without
// its comment, f the same in fields.
func parsePacketLine(text string, f []string) (Line, error) {
	if len(f) == 0 {
		return Line{}, nil
	}
	switch f[0] {
	case "new":
		n, err := parseNew(f[1:])
		return Line{New: n}, err
	case "host":
		h, err := parseHost(f[1:])
		return Line{Host: h}, err
	}
	p, err := parsePacket(text)
	return Line{Packet: p}, err
}

func parseNew(f []string) (*New, error) {
	if len(f) != 6 || f[1] != "isn" || f[4] != "isn" {
		return nil, fmt.Errorf("want: new A isn N B isn N")
	}
	n := &New{}
	for i := range n.Ends {
		var err error
		if n.Ends[i], err = parseEndpoint(f[3*i]); err != nil {
			return nil, err
		}
		if n.ISN[i], err = parseInt(f[3*i+2], 0, 1<<32-1); err != nil {
			return nil, fmt.Errorf("isn of %s: %w", n.Ends[i], err)
		}
	}
	if n.Ends[0].Host == n.Ends[1].Host {
		return nil, fmt.Errorf("a pair has two hosts, got %s twice", n.Ends[0].Host)
	}
	return n, nil
}

func parseHost(f []string) (*HostDecl, error) {
	if len(f) < 3 || len(f)%2 == 0 {
		return nil, fmt.Errorf("want: host NAME [port N] [ttl N]")
	}
	name, err := parseName(f[0])
	if err != nil {
		return nil, err
	}
	h := &HostDecl{Name: name}
	for i := 1; i < len(f); i += 2 {
		field, high := &h.Port, int64(65535-maxPort)
		switch f[i] {
		case "port":
		case "ttl":
			field, high = &h.TTL, 255
		default:
			return nil, fmt.Errorf("want port or ttl, got %q", f[i])
		}
		n, err := parseInt(f[i+1], 1, high)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f[i], err)
		}
		*field = int(n)
	}
	return h, nil
}

// parsePacket reads: TIME A > B FLAGS START:END(LEN) [ack N] [win N] [urg N]
// [<options>] {tap}..., or TIME A > B icmp KIND quotes C > D START [mtu N] {tap}...
func parsePacket(text string) (*Packet, error) {
	p := &Packet{}
	text, err := p.cutBraces(text)
	if err != nil {
		return nil, err
	}
	if text, err = p.cutOptions(text); err != nil {
		return nil, err
	}
	f := strings.Fields(text)
	if len(f) < 6 || f[2] != ">" {
		return nil, fmt.Errorf("want: TIME A > B FLAGS START:END(LEN) ..., got %q", strings.TrimSpace(text))
	}
	t := f[0]
	t, p.Delta = strings.CutPrefix(t, "+")
	if p.Time, err = parseTime(t); err != nil {
		return nil, err
	}
	if p.Src, err = parseEndpoint(f[1]); err != nil {
		return nil, err
	}
	if p.Dst, err = parseEndpoint(f[3]); err != nil {
		return nil, err
	}
	if p.Src.Host == p.Dst.Host {
		return nil, fmt.Errorf("%s sends to itself", p.Src.Host)
	}
	if f[4] == "icmp" {
		if p.Quote, err = parseQuote(f[5:]); err == nil && len(p.Options) > 0 {
			err = fmt.Errorf("an ICMP error has no <options>")
		} else if err == nil && p.Quote.Src.Host != p.Dst.Host {
			err = fmt.Errorf("an error goes to the sender of what it quotes: %s, not %s", p.Quote.Src.Host, p.Dst.Host)
		}
		return p, err
	}
	if p.Flags, err = parseFlags(f[4]); err != nil {
		return nil, err
	}
	if err = p.parseRange(f[5]); err != nil {
		return nil, err
	}
	return p, p.parseNumbers(f[6:])
}

const flagLetters = "FSRP.UEWA"

func parseFlags(s string) (wire.Flags, error) {
	if s == "none" {
		return 0, nil
	}
	var fl wire.Flags
	for _, r := range s {
		i := strings.IndexRune(flagLetters, r)
		if i < 0 || fl.Any(1<<i) {
			return 0, fmt.Errorf("want flags of the letters %s, each once, or none; got %q", flagLetters, s)
		}
		fl |= 1 << i
	}
	return fl, nil
}

// parseRange reads START:END(LEN).
func (p *Packet) parseRange(s string) error {
	start, rest, ok1 := strings.Cut(s, ":")
	end, length, ok2 := strings.Cut(rest, "(")
	length, ok3 := strings.CutSuffix(length, ")")
	if !ok1 || !ok2 || !ok3 {
		return fmt.Errorf("want START:END(LEN), got %q", s)
	}
	var err error
	if p.Start, err = parseInt(start, 0, 1<<32-1); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if p.End, err = parseInt(end, 0, 1<<33); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	if p.Len, err = parseInt(length, 0, maxLen); err != nil {
		return fmt.Errorf("len: %w", err)
	}
	return nil
}

func (p *Packet) parseNumbers(f []string) error {
	for len(f) > 0 {
		var (
			field *int64
			has   *bool
			high  int64 = 65535
		)
		switch f[0] {
		case "ack":
			field, has, high = &p.Ack, &p.HasAck, 1<<32-1
		case "win":
			field, has = &p.Win, &p.HasWin
		case "urg":
			field, has = &p.Urg, &p.HasUrg
		default:
			return fmt.Errorf("want ack, win, urg, <options> or {tap}, got %q", f[0])
		}
		if *has || len(f) < 2 {
			return fmt.Errorf("want %s once, with a number", f[0])
		}
		n, err := parseInt(f[1], 0, high)
		if err != nil {
			return fmt.Errorf("%s: %w", f[0], err)
		}
		*field, *has, f = n, true, f[2:]
	}
	return nil
}

// cutOptions takes <...> out of the line.
func (p *Packet) cutOptions(text string) (string, error) {
	open := strings.IndexByte(text, '<')
	if open < 0 {
		return text, nil
	}
	inner, after, ok := strings.Cut(text[open+1:], ">")
	if !ok || strings.ContainsAny(after, "<>") {
		return "", fmt.Errorf("want one list of options in < >")
	}
	room := 0
	for _, o := range strings.Split(inner, ",") {
		opt, err := parseOption(o)
		if err != nil {
			return "", err
		}
		p.Options = append(p.Options, opt)
		room += opt.size()
	}
	if room > maxOptions {
		return "", fmt.Errorf("options take %d octets, a header has room for %d", room, maxOptions)
	}
	return text[:open] + " " + after, nil
}

// cutBraces takes every {...} out of the line.
func (p *Packet) cutBraces(text string) (string, error) {
	for {
		open := strings.IndexByte(text, '{')
		if open < 0 {
			return text, nil
		}
		inner, after, ok := strings.Cut(text[open+1:], "}")
		if !ok {
			return "", fmt.Errorf("{ without }")
		}
		if err := p.Tap.parse(strings.Fields(inner)); err != nil {
			return "", err
		}
		text = text[:open] + " " + after
	}
}

// parse reads what stands between two braces.
func (t *Tap) parse(f []string) error {
	word := strings.Join(f, " ")
	flags := map[string]*bool{
		"unseen": &t.Unseen, "lost before": &t.LostBefore, "lost after": &t.LostAfter,
		"dup": &t.Dup, "forged": &t.Forged, "bogus": &t.Bogus, "abs": &t.Abs,
	}
	if b := flags[word]; b != nil {
		if *b {
			return fmt.Errorf("{%s} stands twice", word)
		}
		*b = true
		return nil
	}
	if len(f) != 2 {
		return fmt.Errorf("unknown word {%s}", word)
	}
	if f[0] == "late" {
		ns, err := parseTime(f[1])
		if err != nil || ns == 0 {
			return fmt.Errorf("want {late SECONDS}, got {%s}", word)
		}
		t.Late = ns
		return nil
	}
	numbers := map[string]struct {
		field *int64
		high  int64
	}{
		"snap": {&t.Snap, 65535}, "ttl": {&t.TTL, 255}, "ipid": {&t.IPID, 65535}, "life": {&t.Life, maxConns},
	}
	n, ok := numbers[f[0]]
	if !ok {
		return fmt.Errorf("unknown word {%s}", word)
	}
	v, err := parseInt(f[1], 1, n.high)
	if err != nil {
		return fmt.Errorf("{%s}: %w", word, err)
	}
	*n.field = v
	return nil
}
