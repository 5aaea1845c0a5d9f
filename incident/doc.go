// Package incident says what many connections show together: a client that runs out
// of ports, a server that leaks sockets, a listener whose queue is full, a flood, a
// scan, a host that was gone for a minute.
//
// Sums is fed with every settled connection. It keeps counters by listener, client
// and pair of both, and counts over time, and nothing that depends on the order in
// which connections come or on how they were shared out: Merge adds two of them.
// Rules are values that read the sums at the end and report Incidents.
//
// Memory is bounded by two things that depend on the set of what was added alone.
// When there are more keys than a bound, those stay whose hash lies below a limit,
// which is halved as often as it takes; the hash is fixed, so every run keeps the
// same ones, and what a kept key has counted is whole. When there are more instants
// than a bound, the counts of the busiest keys move up to intervals whose width
// doubles.
package incident
