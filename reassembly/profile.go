package reassembly

import (
	"net/netip"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Profile holds the timers of a host's TCP. They are not on the wire; a Timer
// transition is given only where the profile says that it must have happened, so
// where a system's documentation leaves a choice, the longest time stands here.
type Profile struct {
	Name string
	// TimeWait is how long TIME_WAIT lasts (2MSL).
	TimeWait time.Duration
	// TimerSlack is how much later than told a timer may fire.
	TimerSlack time.Duration
	// SYNSpan is the time from the first SYN to giving up, SYNACKSpan the same for
	// a SYN,ACK.
	SYNSpan, SYNACKSpan time.Duration
	// FINRetrySpan is how long a FIN without answer is repeated after its socket
	// was closed.
	FINRetrySpan time.Duration
	// FinWait2 is how long FIN_WAIT_2 lasts once no program holds the socket; 0: for
	// ever (RFC 9293 knows no such timer).
	FinWait2 time.Duration
	// DataRetrySpan is the time from the first transmission of data to giving it up
	// without an answer, KeepaliveSpan that from the first keepalive probe; 0: for ever.
	DataRetrySpan, KeepaliveSpan time.Duration
	// MaxRTO is the longest time between two retransmissions (RFC 6298 section 2.5).
	MaxRTO time.Duration
	// Ports are those that a host gives to its clients' sockets by itself, the first
	// and the last. No inference uses them; they bound how many connections a client
	// can have to one listener.
	Ports [2]uint16
}

// Linux is the default profile: Documentation/networking/ip-sysctl of kernel 6.x
// and include/net/tcp.h.
var Linux = Profile{
	Name: "linux",
	// TCP_TIMEWAIT_LEN, not tunable.
	TimeWait: 60 * time.Second,
	// The timer wheel's granularity grows with the timeout: 1/8 of it at most.
	TimerSlack: 7500 * time.Millisecond,
	// tcp_syn_retries 6 and tcp_syn_linear_timeouts 4: the last SYN leaves after 67
	// seconds, the attempt ends after 131; older kernels give up after 127.
	SYNSpan: 131 * time.Second,
	// tcp_synack_retries 5: 1+2+4+8+16+32 seconds.
	SYNACKSpan: 63 * time.Second,
	// tcp_orphan_retries 0 stands for 8: with the smallest RTO of 0.2 s the last
	// repetition leaves after 51 s and the socket ends after 102; a longer RTO
	// stretches it up to retransmissions 120 s apart (TCP_RTO_MAX).
	FINRetrySpan: 120 * time.Second,
	// tcp_fin_timeout.
	FinWait2: 60 * time.Second,
	// tcp_retries2 15: 924.6 s with the smallest RTO, and up to 16 times TCP_RTO_MAX.
	DataRetrySpan: 16 * 120 * time.Second,
	// tcp_keepalive_probes 9, tcp_keepalive_intvl 75 s.
	KeepaliveSpan: 9 * 75 * time.Second,
	// TCP_RTO_MAX.
	MaxRTO: 120 * time.Second,
	// ip_local_port_range.
	Ports: [2]uint16{32768, 60999},
}

// BSD is FreeBSD's sys/netinet/tcp_timer.h and tcp_syncache.c; Darwin's and the other
// BSDs' timers descend from the same.
var BSD = Profile{
	Name: "bsd",
	// 2 * TCPTV_MSL (30 s, net.inet.tcp.msl).
	TimeWait: 60 * time.Second,
	// Callouts fire within 1/8 of their time (TCP timers are precise to that).
	TimerSlack: 7500 * time.Millisecond,
	// TCPTV_KEEP_INIT ends an attempt of either side; the retries are over before.
	SYNSpan: 75 * time.Second, SYNACKSpan: 75 * time.Second,
	// TCP_MAXRXTSHIFT 12 with tcp_backoff 1, 2, 4, ..., 64, 64: 511 times the RTO,
	// here of 1 s (TCPTV_RTOBASE).
	FINRetrySpan: 511 * time.Second,
	// TCPTV_FINWAIT2_TIMEOUT (net.inet.tcp.finwait2_timeout).
	FinWait2: 60 * time.Second,
	// TCP_MAXRXTSHIFT 12: 13 times TCPTV_REXMTMAX at most.
	DataRetrySpan: 13 * 64 * time.Second,
	// net.inet.tcp.keepcnt 8, keepintvl 75 s.
	KeepaliveSpan: 8 * 75 * time.Second,
	// TCPTV_REXMTMAX.
	MaxRTO: 64 * time.Second,
	// net.inet.ip.portrange.first and last; Darwin begins at 49152.
	Ports: [2]uint16{10000, 65535},
}

// Windows is what Microsoft documents for the TCP/IP registry values and
// Get-NetTCPSetting.
var Windows = Profile{
	Name: "windows",
	// TcpTimedWaitDelay: 240 s where it is documented with a default; releases since
	// Vista use 120 or less.
	TimeWait: 240 * time.Second,
	// Timers of seconds are coalesced to a second.
	TimerSlack: time.Second,
	// MaxSynRetransmissions 2 from an InitialRto of 3 s (3+6+12), or 4 from 1 s
	// (1+2+4+8+16); the answer is repeated as often.
	SYNSpan: 31 * time.Second, SYNACKSpan: 31 * time.Second,
	// TcpMaxDataRetransmissions 5, doubling from at most 3 s: 3+6+...+96.
	FINRetrySpan: 189 * time.Second,
	// TcpFinWait2Delay, where it is documented.
	FinWait2: 240 * time.Second,
	// TcpMaxDataRetransmissions 5, as for a FIN.
	DataRetrySpan: 189 * time.Second,
	// Ten probes, KeepAliveInterval 1 s.
	KeepaliveSpan: 10 * time.Second,
	// No limit is documented; the number of retransmissions ends before.
	MaxRTO: 240 * time.Second,
	// The dynamic range since Vista (netsh int ipv4 show dynamicport tcp).
	Ports: [2]uint16{49152, 65535},
}

// RFC is what the standards ask for, and no more: for hosts of which nothing is known.
var RFC = Profile{
	Name: "rfc",
	// MSL is 2 minutes (RFC 9293 section 3.4.2).
	TimeWait:   240 * time.Second,
	TimerSlack: 500 * time.Millisecond,
	// R2 of a SYN is 3 minutes at least (RFC 9293 section 3.8.3, MUST-23).
	SYNSpan: 180 * time.Second, SYNACKSpan: 180 * time.Second,
	// R2 is 100 s at least (section 3.8.3, SHLD-11).
	FINRetrySpan: 100 * time.Second,
	// No standard says when data that is never acknowledged, or a keepalive probe, is
	// given up at the latest (R2 may be infinite; RFC 9293 sections 3.8.3, 3.8.4).
	DataRetrySpan: 0, KeepaliveSpan: 0,
	// A limit of the RTO, if there is one, is 60 s at least (RFC 6298 section 2.5).
	MaxRTO: 60 * time.Second,
	// RFC 6335 section 6.
	Ports: [2]uint16{49152, 65535},
}

// Profiles returns the built-in profiles, the default first.
func Profiles() []Profile { return []Profile{Linux, BSD, Windows, RFC} }

// Network gives the hosts of a prefix another profile than the default.
type Network struct {
	Prefix  netip.Prefix
	Profile Profile
}

// profileOf returns the profile of a host: that of the longest prefix that holds its
// address, or the default.
func (c *Config) profileOf(a wire.Addr, v6 bool) *Profile {
	if len(c.Networks) == 0 {
		return &c.Profile
	}
	return c.networkOf(a, v6)
}

func (c *Config) networkOf(a wire.Addr, v6 bool) *Profile {
	p, bits := &c.Profile, -1
	ip := a.Netip(v6)
	for i := range c.Networks {
		if n := &c.Networks[i]; n.Prefix.Bits() > bits && n.Prefix.Contains(ip) {
			p, bits = &n.Profile, n.Prefix.Bits()
		}
	}
	return p
}

// patience is the longest of each time that any host of the profiles takes: nothing
// leaves the tracker before.
func (c *Config) patience() Profile {
	p := c.Profile
	for i := range c.Networks {
		n := &c.Networks[i].Profile
		p.TimeWait, p.TimerSlack = max(p.TimeWait, n.TimeWait), max(p.TimerSlack, n.TimerSlack)
		p.SYNSpan, p.SYNACKSpan = max(p.SYNSpan, n.SYNSpan), max(p.SYNACKSpan, n.SYNACKSpan)
		p.FINRetrySpan = max(p.FINRetrySpan, n.FINRetrySpan)
	}
	return p
}
