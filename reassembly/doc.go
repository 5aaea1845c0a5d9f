// Package reassembly follows TCP connections from their segments: it keeps, for
// each 4-tuple, both endpoints' sequence spaces and both endpoints' states.
//
// It reassembles the sequence space (which octets were sent, repeated,
// acknowledged, never captured), not the application stream: it holds ranges and
// times, never payload. It is not gopacket's package of the same name and is not
// built on it.
//
// A Tracker takes segments in capture order and keeps, for each connection, a
// bounded log of the events that matter to its life. When a connection settles,
// the log is read once with hindsight: what a later segment proves or refutes
// about an earlier one is known by then, so the timeline of states is written
// once and never contradicts itself. See infer.go for how, and arcs.go for the
// table of transitions.
//
// The package does no I/O, reads no clock, starts no goroutine and logs nothing.
// Time is the segments' time; idle time comes in through Advance.
package reassembly
