package scenario

import (
	"fmt"
	"strconv"
	"strings"
)

// Print returns the script in its canonical form: parsing it again gives an equal
// Script, line numbers included.
func (s *Script) Print() []byte {
	var b strings.Builder
	for _, l := range s.Prose {
		b.WriteString(l + "\n")
	}
	begin := func(section int) { b.WriteString("-- " + sectionNames[section] + " --\n") }
	begin(sectionPackets)
	for _, l := range s.Packets {
		writeLine(&b, l.String(), l.Comment)
	}
	begin(sectionStates)
	for _, l := range s.States {
		writeLine(&b, l.String(), l.Comment)
	}
	begin(sectionFindings)
	for _, l := range s.Findings {
		writeLine(&b, l.String(), l.Comment)
	}
	if s.HasClose {
		begin(sectionClose)
		for _, l := range s.Close {
			writeLine(&b, l.String(), l.Comment)
		}
	}
	if s.HasConns {
		begin(sectionConns)
		for _, l := range s.Conns {
			writeLine(&b, l.String(), l.Comment)
		}
	}
	return []byte(b.String())
}

func writeLine(b *strings.Builder, text, comment string) {
	if comment != "" {
		if text != "" {
			text += "  "
		}
		text += "# " + comment
	}
	b.WriteString(strings.TrimRight(text, " ") + "\n")
}

// String returns the line without its comment.
func (l Line) String() string {
	switch {
	case l.Packet != nil:
		return l.Packet.String()
	case l.New != nil:
		return fmt.Sprintf("new %s isn %d %s isn %d", l.New.Ends[0], l.New.ISN[0], l.New.Ends[1], l.New.ISN[1])
	case l.Host != nil:
		s := "host " + l.Host.Name
		if l.Host.Port != 0 {
			s += fmt.Sprintf(" port %d", l.Host.Port)
		}
		if l.Host.TTL != 0 {
			s += fmt.Sprintf(" ttl %d", l.Host.TTL)
		}
		return s
	}
	return ""
}

// String returns the packet as scripts write it.
func (p *Packet) String() string {
	t := formatTime(p.Time)
	if p.Delta {
		t = "+" + t
	}
	if p.Quote != nil {
		s := fmt.Sprintf("%-8s %-9s %s", t, p.Src.String()+" > "+p.Dst.String(), p.Quote)
		for _, w := range p.Tap.words() {
			s += " {" + w + "}"
		}
		return s
	}
	s := fmt.Sprintf("%-8s %-9s %-2s  %-14s", t, p.Src.String()+" > "+p.Dst.String(), p.Flags, p.seqString())
	if p.HasAck {
		s += fmt.Sprintf(" ack %d", p.Ack)
	}
	if p.HasWin {
		s += fmt.Sprintf(" win %d", p.Win)
	}
	if p.HasUrg {
		s += fmt.Sprintf(" urg %d", p.Urg)
	}
	if len(p.Options) > 0 {
		var o []string
		for _, opt := range p.Options {
			o = append(o, opt.String())
		}
		s += " <" + strings.Join(o, ",") + ">"
	}
	for _, w := range p.Tap.words() {
		s += " {" + w + "}"
	}
	return s
}

func (p *Packet) seqString() string { return fmt.Sprintf("%d:%d(%d)", p.Start, p.End, p.Len) }

// words returns what stands in braces, in canonical order.
func (t *Tap) words() []string {
	var w []string
	flag := func(set bool, word string) {
		if set {
			w = append(w, word)
		}
	}
	number := func(n int64, word string) {
		if n != 0 {
			w = append(w, word+" "+strconv.FormatInt(n, 10))
		}
	}
	number(t.Life, "life")
	flag(t.Abs, "abs")
	flag(t.Unseen, "unseen")
	flag(t.LostBefore, "lost before")
	flag(t.LostAfter, "lost after")
	flag(t.Dup, "dup")
	flag(t.Forged, "forged")
	flag(t.Bogus, "bogus")
	if t.Late != 0 {
		w = append(w, "late "+formatTime(t.Late))
	}
	number(t.Snap, "snap")
	number(t.TTL, "ttl")
	number(t.IPID, "ipid")
	return w
}

// formatTime prints nanoseconds as seconds with three, six or nine decimals.
func formatTime(ns int64) string {
	s := fmt.Sprintf("%d.%09d", ns/1e9, ns%1e9)
	s = strings.TrimSuffix(s, "000")
	return strings.TrimSuffix(s, "000")
}

func connPrefix(conn int, numbered bool) string {
	if numbered {
		return strconv.Itoa(conn) + " "
	}
	return ""
}

// String returns the line without its comment.
func (l StateLine) String() string {
	if l.Host == "" {
		return ""
	}
	s := connPrefix(l.Conn, l.Numbered) + l.Host + " "
	if len(l.Steps) == 0 {
		return s + " -"
	}
	return s + " " + joinSteps(l.Steps)
}

func joinSteps(steps []Step) string {
	var w []string
	for _, st := range steps {
		w = append(w, st.String())
	}
	if len(w) == 0 {
		return "-"
	}
	return strings.Join(w, " ")
}

// String returns the line without its comment.
func (l FindingLine) String() string {
	switch l.Kind {
	case FindingNone:
		return "none"
	case FindingNoneWarning:
		return "none warning"
	case FindingNot:
		return "no " + l.ID
	case FindingWant:
	default:
		return ""
	}
	s := connPrefix(l.Conn, l.Numbered) + l.ID + " " + l.Endpoint
	if len(l.Frames) > 0 {
		s += " frames " + joinInts(l.Frames)
	}
	if l.Confidence != "" {
		s += " " + l.Confidence
	}
	if l.Catalogue != "" {
		s += " " + l.Catalogue
	}
	return s
}

func joinInts(n []int) string {
	var w []string
	for _, v := range n {
		w = append(w, strconv.Itoa(v))
	}
	return strings.Join(w, ",")
}

// String returns the line without its comment.
func (l CloseLine) String() string {
	if l.Key == "" {
		return ""
	}
	return connPrefix(l.Conn, l.Numbered) + l.Key + " " + strings.Join(l.Value, " ")
}

// String returns the line without its comment.
func (l ConnLine) String() string {
	s := fmt.Sprintf("%s > %s %d-%d", l.Client, l.Server, l.First, l.Last)
	switch {
	case l.Late:
		return "late " + s
	case l.Conn == 0:
		return ""
	case l.RoleBy != "":
		s += " " + l.RoleBy
	}
	return strconv.Itoa(l.Conn) + " " + s
}
