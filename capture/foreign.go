package capture

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// foreignHead is how many octets nameForeign likes to see: a tar archive says late
// what it is.
const foreignHead = 512

const (
	unpackFirst  = "unpack it first, for example: %s FILE | tcplife analyze -"
	convertFirst = "convert it first: editcap -F pcapng FILE FILE.pcapng"
	binaryMode   = "copy it again in binary mode"
)

// foreign lists what people hand to a reader of captures and what is not one that
// it reads, by first octets: a name is worth more than "unknown magic".
var foreign = []struct{ magic, what, remedy string }{
	{"PK\x03\x04", "a zip archive", fmt.Sprintf(unpackFirst, "unzip -p")},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", fmt.Sprintf(unpackFirst, "7z x -so")},
	{"GMBU", "a Microsoft Network Monitor 2 capture", convertFirst},
	{"RTSS", "a Microsoft Network Monitor 1 capture", convertFirst},
	{"XCP\x00", "a NetXRay or Windows Sniffer capture", convertFirst},
	{"TRSNIFF data", "a DOS Sniffer capture", convertFirst},
	{"iptrace ", "an AIX iptrace capture", convertFirst},
	{"btsnoop\x00", "a Bluetooth capture (btsnoop)", "it holds no TCP"},
	{"\x54\x52\x00", "a nettl trace of HP-UX", convertFirst},
	{"ObserverPktBuffe", "an Observer capture", convertFirst},
	{"\x05VNF", "a Visual Networks capture", convertFirst},
	{"\xaa\xaa\xaa\xaa", "a 5View capture", convertFirst},
	// The pcapng draft (section 4.1) chose the first block's type so that a
	// text-mode transfer cannot leave it whole.
	{"\r\n\r\r\r\n", "pcapng that a text-mode transfer has changed", binaryMode},
	{"\n\r\n", "pcapng that a text-mode transfer has changed", binaryMode},
	{"\n\n\n\n", "pcapng that a text-mode transfer has changed", binaryMode},
	{"\x7fELF", "a program", "name a capture file"},
	{"SQLite format 3\x00", "an SQLite database", "name a capture file"},
}

// nameForeign says in words what an input that begins with head is, and what to
// do about it.
func nameForeign(head []byte) (what, remedy string) {
	for _, f := range foreign {
		if strings.HasPrefix(string(head), f.magic) {
			return f.what, f.remedy
		}
	}
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return "a tar archive", fmt.Sprintf(unpackFirst, "tar -xO CAPTURE -f")
	}
	if isText(head[:min(len(head), 64)]) {
		return "text", "write packets rather than print them, with tcpdump -w or tshark -w, and name that file"
	}
	return fmt.Sprintf("something that begins with octets %x", head[:min(len(head), 8)]),
		"if Wireshark opens it, " + convertFirst
}

// isText reports whether head is printable; a character cut at the end counts.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(head)
		}
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
		head = head[n:]
	}
	return true
}
