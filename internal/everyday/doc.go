// Package everyday holds a test without code: thousands of connections of programs in
// everyday use, none of which may be warned of.
//
// A rule that fires on what is wrong is only half of a rule. Scenarios show that it is
// silent on the near misses its author thought of; what browsers, databases and
// shells do all day, nobody thinks of: a server that resets what a satisfied client
// has closed, a pool that closes its connections at once, a health check that hangs up.
// So the test runs the programs themselves, as Debian packs them, in network
// namespaces of its own, captures them with tcpdump and has the pipeline judge.
package everyday
