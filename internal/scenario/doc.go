// Package scenario is the packet script: a readable text file with the segments
// of one or more TCP connections, what the tap made of them, and what tcplife must
// say about them. It parses and prints scripts, compiles them to frames and
// capture files in many variants, runs them through decoder, tracker and rules,
// and compares.
//
// README.md is the reference of the language. The scripts themselves lie in
// testdata/scenarios at the top of the repository.
//
// A script's expectations come from an RFC, a kernel or a peer and are written
// before the program prints them; the package only compares.
package scenario
