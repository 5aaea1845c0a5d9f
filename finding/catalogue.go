package finding

// catalogued is one numbered phenomenon of a TCP connection's life.
type catalogued struct{ number, title string }

// catalogueSection is a chapter of the catalogue.
type catalogueSection struct {
	title   string
	entries []catalogued
}

// catalogue is what this program shall recognise in one connection, in many together, and
// in the capture that holds them, by number. A
// number never changes its meaning; findings carry it.
var catalogue = []catalogueSection{
	{"Handshake", []catalogued{
		{"H01", "Clean three-way handshake"},
		{"H02", "SYN with no answer (connect timeout)"},
		{"H03", "Closed port"},
		{"H04", "ICMP refusal"},
		{"H05", "SYN_RCVD never completed"},
		{"H06", "Accept-queue overflow, ACK ignored"},
		{"H07", "Overflow with abort"},
		{"H08", "SYN silently dropped under full queue"},
		{"H09", "SYN cookies in use"},
		{"H10", "Cookie hang"},
		{"H11", "SYN flood"},
		{"H12", "Port scan / host sweep / worm"},
		{"H13", "Half-open (stealth) scan"},
		{"H14", "NULL, FIN, Xmas, ACK scans"},
		{"H15", "Simultaneous open"},
		{"H16", "Self-connect"},
		{"H17", "Split handshake"},
		{"H18", "Old duplicate SYN"},
		{"H19", "SYN-ACK with wrong ack, answered by RST"},
		{"H20", "SYN on an existing connection (peer restarted)"},
		{"H21", "TFO accepted / ignored / black-holed"},
		{"H22", "Data on SYN without TFO; T/TCP"},
		{"H23", "MSS or PMTUD black hole"},
		{"H24", "Deferred accept"},
		{"H25", "Option stripping / scaling mismatch"},
		{"H26", "ECN or AccECN fallback"},
		{"H27", "MPTCP fallback / join failure"},
		{"H28", "Connect then close without data"},
		{"H29", "Slow connect quantiles at RTO steps"},
	}},
	{"Data phase and death of connections", []catalogued{
		{"D01", "Retransmission timeout death"},
		{"D02", "Zero-window stall and recovery"},
		{"D03", "Zero-window death"},
		{"D04", "Lost window update"},
		{"D05", "Keepalive exchange"},
		{"D06", "Keepalive death"},
		{"D07", "Idle timeout in NAT or firewall, silent"},
		{"D08", "Idle timeout with RST"},
		{"D09", "Keepalive-reuse race"},
		{"D10", "Half-open after crash, found by data"},
		{"D11", "Unacknowledged tail"},
		{"D12", "Window shrink"},
		{"D13", "Retransmission storm, dup-ACK loop"},
		{"D14", "Urgent data"},
		{"D15", "PAWS drop"},
		{"D16", "User timeout"},
		{"D17", "Network change"},
	}},
	{"Teardown", []catalogued{
		{"C01", "Four-segment close"},
		{"C02", "Three-segment close"},
		{"C03", "Half-close with data"},
		{"C04", "Simultaneous close"},
		{"C05a", "Lost final ACK, never seen at tap"},
		{"C05b", "Lost final ACK, seen then FIN repeated"},
		{"C05c", "FIN answered by RST"},
		{"C05d", "Final ACK not yet seen, capture stops"},
		{"C06", "FIN_WAIT_1 stuck"},
		{"C07", "FIN_WAIT_2 stuck or orphaned"},
		{"C08", "CLOSE_WAIT leak"},
		{"C09", "LAST_ACK stuck"},
		{"C10", "CLOSING stuck"},
		{"C11", "Abortive close, SO_LINGER(0)"},
		{"C12", "Close with unread data"},
		{"C13", "Late data after close (RST on a closed connection)"},
		{"C14", "FIN then RST from the same side"},
		{"C15", "RST instead of last ACK"},
		{"C16", "FIN beyond a hole"},
		{"C17", "FIN retransmission with data"},
		{"C18", "FIN in SYN_RCVD, close on SYN_SENT"},
		{"C19", "Crash of host"},
		{"C20", "Process exit"},
		{"C21", "Graceful drain"},
	}},
	{"TIME_WAIT, reuse, old duplicates", []catalogued{
		{"W01", "Reuse accepted"},
		{"W02", "Reuse refused, ACK then RST then retry"},
		{"W03", "Reuse refused silently"},
		{"W04", "TIME_WAIT assassination"},
		{"W05", "Old duplicate data from an earlier incarnation"},
		{"W06", "Old duplicate FIN or ACK in TIME_WAIT"},
		{"W07", "Ephemeral port exhaustion by TIME_WAIT"},
		{"W08", "SYN into CLOSE_WAIT or ESTABLISHED leftover"},
		{"W09", "Server holds TIME_WAIT"},
		{"W10", "NAT frees the port early"},
		{"W11", "TIME_WAIT bucket overflow"},
		{"W12", "SYN with decreasing timestamp"},
	}},
	{"Resets and attacks", []catalogued{
		{"R01", "RST provenance classes"},
		{"R02", "Injected RST"},
		{"R03", "Challenge ACK"},
		{"R04", "RST ignored"},
		{"R05", "RST storm"},
		{"R06", "RST with payload"},
		{"R07", "Backscatter"},
		{"R08", "Quick RST after request"},
		{"R09", "RST from conntrack INVALID"},
		{"R10", "Overlapping data with different bytes"},
	}},
	{"The capture itself", []catalogued{
		{"K01", "Capture starts mid-connection"},
		{"K02", "Capture ends"},
		{"K03", "Capture loss"},
		{"K04", "One-way tap or asymmetric route"},
		{"K05", "Duplicate frames"},
		{"K06", "Timestamp disorder"},
		{"K07", "Offload"},
		{"K08", "Snap length"},
		{"K09", "Control-only capture"},
		{"K10", "NAT inside the capture"},
		{"K11", "Proxy or balancer in front"},
		{"K12", "SYN proxy"},
		{"K13", "ECMP or route flap"},
		{"K14", "Overlapping address space"},
	}},
	{"Many connections", []catalogued{
		{"G01", "State census at an instant and over time"},
		{"G02", "Churn"},
		{"G03", "RST ratio by class"},
		{"G04", "Handshake failure ratio"},
		{"G05", "Active-closer ratio"},
		{"G06", "Close latency quantiles"},
		{"G07", "CLOSE_WAIT slope"},
		{"G08", "TIME_WAIT headroom"},
		{"G09", "Idle-before-death histogram"},
		{"G10", "Incident grouping"},
		{"G11", "Baseline difference"},
	}},
}

// Numbers returns every number of the catalogue, in order.
func Numbers() (all []string) {
	for _, s := range catalogue {
		for _, e := range s.entries {
			all = append(all, e.number)
		}
	}
	return all
}
