package wire

// icmpNames are the names of ICMP's errors by type and code (IANA), where they say
// something about a path; icmp6Names those of ICMPv6.
var (
	icmpNames = map[[2]uint8]string{
		{3, 0}: "network unreachable", {3, 1}: "host unreachable", {3, 2}: "protocol unreachable", {3, 3}: "port unreachable",
		{3, 4}: "fragmentation needed", {3, 5}: "source route failed", {3, 6}: "network unknown", {3, 7}: "host unknown",
		{3, 9}: "network prohibited", {3, 10}: "host prohibited", {3, 13}: "prohibited by a filter",
		{4, 0}: "source quench", {11, 0}: "TTL exceeded", {11, 1}: "reassembly time exceeded",
	}
	icmp6Names = map[[2]uint8]string{
		{1, 0}: "no route", {1, 1}: "prohibited by a filter", {1, 2}: "beyond the scope", {1, 3}: "address unreachable",
		{1, 4}: "port unreachable", {1, 5}: "source address refused", {1, 6}: "route refuses",
		{2, 0}: "packet too big", {3, 0}: "hop limit exceeded", {3, 1}: "reassembly time exceeded",
	}
)

// ICMPName returns the name of an ICMP error, of an ICMPv6 error if v6; empty for
// one that says nothing about a path.
func ICMPName(v6 bool, kind, code uint8) string {
	if v6 {
		return icmp6Names[[2]uint8{kind, code}]
	}
	return icmpNames[[2]uint8{kind, code}]
}
