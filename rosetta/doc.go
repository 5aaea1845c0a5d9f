// Package rosetta says of a connection what other tools would: Zeek's conn_state and
// history, Wireshark's completeness, the states of nf_conntrack, argus, tcptrace and
// Suricata.
//
// Each of these tools has its own idea of a connection, and its words are the ones
// that people know. So each file here keeps one tool's rules, exactly as far as they
// are known, mistakes included, and none of them has a say in what tcplife itself
// finds: the arrows point from reassembly to here and never back.
//
// Three of the views need every segment in its order: Zeek counts repetitions on a
// logarithmic scale, and its, Wireshark's and tcptrace's ideas of where a connection
// ends differ from ours. A Watcher follows for them; it is only asked for connections
// whose log does not hold every segment by itself. The other views read the log.
//
// Where another tool makes several rows of one connection, a view gives the first of
// them and says how many there are.
package rosetta
