package check

// LivesOf makes connections that differ in nothing but what stands before the colon,
// the reason of their close, and behind it, the server's port.
func LivesOf(words []string) *Lives {
	l := &Lives{Capture: "a.pcap"}
	for i, w := range words {
		l.Connections = append(l.Connections, rememberedLife{Client: "client 1", Server: "server 1" + w[1:], Life: 1, Close: w[:1], id: uint64(i + 1)})
	}
	return l
}
