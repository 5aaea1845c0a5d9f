package scenario

import (
	"encoding/hex"
	"strings"

	"github.com/tcplife/tcplife/wire"
)

// otherLinks are link types whose header can be written down: octets in hex, in
// which TYPE stands for the EtherType.
func otherLinks() []Link {
	const (
		snap  = " aaaa03 000000 TYPE"
		wlan  = " 8801 0000 020000000002 020000000001 020000000003 1000 0000" + snap
		ether = " 020000000002 020000000001 TYPE"
	)
	zeros := func(octets int) string { return strings.Repeat("00", octets) }
	pflog := func(family string) string { return "3d" + family + "0000 656d3000" + zeros(56) }
	return []Link{
		written("wlan", wire.LinkWLAN, wlan),
		written("wlan-prism", wire.LinkWLANPrism, "44000000 90000000"+zeros(136)+wlan),
		written("wlan-radiotap", wire.LinkWLANRadiotap, "00 00 0900 02000000 00"+wlan),
		written("wlan-avs", wire.LinkWLANAVS, "80211001 00000040"+zeros(56)+wlan),
		written("ppi", wire.LinkPPI, "00 00 0800 69000000"+wlan),
		written("pktap", wire.LinkPKTAP, "6c000000 01000000 01000000"+zeros(96)+ether),
		written("pktap-user2", wire.LinkUser2, "6c000000 01000000 01000000"+zeros(96)+ether),
		{"nflog", wire.LinkNFLOG, true, true, nflog},
		written("fddi", wire.LinkFDDI, "50 020000000002 020000000001"+snap),
		written("token-ring", wire.LinkTokenRing, "10 40 020000000002 020000000001"+snap),
		{"arcnet", wire.LinkARCNET, true, false, hexHeader("01 02 d4 00 0001", "")},
		{"arcnet-linux", wire.LinkARCNETLinux, true, false, hexHeader("01 02 0000 f0", "")},
		{"frame-relay", wire.LinkFrameRelay, true, true, hexHeader("1841 03 cc", "1841 03 8e")},
		written("frame-relay-dir", wire.LinkFrameRelayDir, "00 1841 TYPE"), // Cisco's encapsulation
		written("chdlc-dir", wire.LinkCiscoHDLCDir, "01 0f00 TYPE"),
		{"ppp-dir", wire.LinkPPPDir, true, true, hexHeader("00 ff03 0021", "00 ff03 0057")},
		{"slip", wire.LinkSLIP, true, true, hexHeader("00"+zeros(15), "00"+zeros(15))},
		written("atm", wire.LinkATM1483, snap),
		{"atm-bsd", wire.LinkATM1483BSD, true, true, hexHeader("fefe03 cc", "fefe03 8e")},
		{"atm-clip", wire.LinkATMCLIP, true, true, prefixed(bare)},
		written("sunatm", wire.LinkSunATM, "02 00 0064"+snap),
		written("ip-over-fc", wire.LinkIPOverFC, "1000020000000002 1000020000000001"+snap),
		written("firewire", wire.LinkIEEE1394, "0200000000000002 0200000000000001 TYPE"),
		{"ipnet", wire.LinkIPNET, true, true, hexHeader("01 02 0000"+zeros(20), "01 1a 0000"+zeros(20))},
		written("ipoib", wire.LinkIPoIB, zeros(40)+"TYPE 0000"),
		{"pflog", wire.LinkPFLog, true, true, hexHeader(pflog("02"), pflog("18"))},
		{"enc", wire.LinkEnc, true, true, hexHeader("02000000 00000001 00000000", "18000000 00000001 00000000")},
		written("juniper-ethernet", wire.LinkJuniperEthernet, "4d4743 80 0003 010106"+ether),
		{"juniper-ppp", wire.LinkJuniperPPP, true, true, hexHeader("4d4743 00 ff03 0021", "4d4743 00 ff03 0057")},
		{"juniper-frame-relay", wire.LinkJuniperFrameRelay, true, true, hexHeader("4d4743 01 1841 03 cc", "4d4743 01 1841 03 8e")},
		written("juniper-chdlc", wire.LinkJuniperCiscoHDLC, "4d4743 00 0f00 TYPE"),
		written("dsa-broadcom", wire.LinkDSABroadcom, "020000000002 020000000001 00000003 TYPE"),
		written("dsa-broadcom-prepend", wire.LinkDSABroadcomPrepend, "00000003"+ether),
		written("dsa-marvell", wire.LinkDSAMarvell, "020000000002 020000000001 c0180001 TYPE"),
		written("dsa-marvell-ether", wire.LinkDSAMarvellEther, "020000000002 020000000001 dada 0000 c0180001 TYPE"),
		written("netanalyzer", wire.LinkNetAnalyzer, "00440000"+ether),
		written("mpacket", wire.LinkMPacket, "55555555555555d5"+ether),
		written("epon", wire.LinkEPON, "5555d555550001aa"+ether),
		written("docsis", wire.LinkDOCSIS, "00 00 0000 0000"+ether),
		written("erf", wire.LinkERF, "0000000000000000 02 04 0000 0000 0000 0000"+ether),
	}
}

// written is a link type for both versions whose header differs in the EtherType.
func written(name string, number wire.LinkType, octets string) Link {
	return Link{name, number, true, true, hexHeader(strings.ReplaceAll(octets, "TYPE", "0800"), strings.ReplaceAll(octets, "TYPE", "86dd"))}
}

// hexHeader is a wrapping by one header for IPv4 and one for IPv6.
func hexHeader(v4, v6 string) func([]byte, int, bool) []byte {
	four, six := octets(v4), octets(v6)
	return func(packet []byte, _ int, v6 bool) []byte {
		if v6 {
			return append(six[:len(six):len(six)], packet...)
		}
		return append(four[:len(four):len(four)], packet...)
	}
}

// octets reads hex with blanks.
func octets(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic("scenario: " + text + ": " + err.Error())
	}
	return b
}

// nflog writes attributes in the order of a small-endian host: the packet's length
// stands before it.
func nflog(packet []byte, _ int, v6 bool) []byte {
	b := octets("02 00 0000 0800 0100 0800 01 00 0000 0900")
	if v6 {
		b[0], b[8], b[9] = 10, 0x86, 0xdd
	}
	n := 4 + len(packet)
	b[12], b[13] = byte(n), byte(n>>8)
	return append(b, packet...)
}
