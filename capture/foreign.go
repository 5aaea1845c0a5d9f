package capture

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// foreignHead is how many octets nameForeign likes to see.
const foreignHead = 64

const (
	unpackFirst  = "unpack it first, for example: %s FILE | tcplife analyze -"
	convertFirst = "convert it first: editcap -F pcapng FILE FILE.pcapng"
	binaryMode   = "copy it again in binary mode"
)

// foreign lists what people hand to a reader of captures and what is not one that
// it reads, by first octets: a name is worth more than "unknown magic".
var foreign = []struct{ magic, what, remedy string }{
	{"\x1f\x8b", "compressed with gzip", fmt.Sprintf(unpackFirst, "gzip -dc")},
	{"\x28\xb5\x2f\xfd", "compressed with zstd", fmt.Sprintf(unpackFirst, "zstd -dc")},
	{"\xfd7zXZ\x00", "compressed with xz", fmt.Sprintf(unpackFirst, "xz -dc")},
	{"\x04\x22\x4d\x18", "compressed with lz4", fmt.Sprintf(unpackFirst, "lz4 -dc")},
	{"BZh", "compressed with bzip2", fmt.Sprintf(unpackFirst, "bzip2 -dc")},
	{"PK\x03\x04", "a zip archive", fmt.Sprintf(unpackFirst, "unzip -p")},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", fmt.Sprintf(unpackFirst, "7z x -so")},
	{"\xa1\xb2\xcd\x34", "pcap as modified by Kuznetsov (magic a1b2cd34)", convertFirst},
	{"\x34\xcd\xb2\xa1", "pcap as modified by Kuznetsov (magic a1b2cd34)", convertFirst},
	{"snoop\x00\x00\x00", "a snoop capture", convertFirst},
	{"GMBU", "a Microsoft Network Monitor 2 capture", convertFirst},
	{"RTSS", "a Microsoft Network Monitor 1 capture", convertFirst},
	{"XCP\x00", "a NetXRay or Windows Sniffer capture", convertFirst},
	{"TRSNIFF data", "a DOS Sniffer capture", convertFirst},
	{"iptrace ", "an AIX iptrace capture", convertFirst},
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
	if isText(head) {
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
