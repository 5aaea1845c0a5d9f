package reassembly

import "time"

// Profile holds the timers of a host's TCP. They are not on the wire; a Timer
// transition is given only where the profile says that it must have happened.
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
}
