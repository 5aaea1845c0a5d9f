package bpf

// Lifecycle selects what the life of a connection is known by: segments with SYN, FIN or
// RST, segments without data, which acknowledge those and the data, and ICMP errors,
// which end an attempt. A filter keeps nothing in mind from one frame to the next, so it
// cannot tell the ACK of a FIN from that of data: every segment without data counts. It
// looks behind no tag that is in the frame and into no tunnel.
const Lifecycle = `tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0
or (ip and tcp and ip[6:2] & 0x1fff = 0 and ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) = 0)
or icmp[icmptype] = icmp-unreach or icmp[icmptype] = icmp-timxceed or icmp[icmptype] = icmp-paramprob`

// lifecycle6 is the same of IPv6, in which "tcp[...]" does not look.
const lifecycle6 = `ip6[6] = 6 and (ip6[53] & (tcp-syn|tcp-fin|tcp-rst) != 0 or ip6[4:2] - ((ip6[52] & 0xf0) >> 2) = 0) or icmp6[icmp6type] < icmp6-echo`

// OnlyLifecycle returns a filter that selects what f does, of Lifecycle's frames.
func (f *Filter) OnlyLifecycle() (*Filter, error) {
	g := &Filter{text: f.text}
	for _, text := range []string{Lifecycle, lifecycle6} {
		l, err := Parse(text)
		if err != nil {
			return nil, err
		}
		if g.root == nil {
			g.root = l.root
		} else {
			g.root = disjunction{g.root, l.root}
		}
	}
	if f.root != nil {
		g.root = conjunction{f.root, g.root}
	}
	return g, nil
}
