// Package census counts endpoints by state: how many stood in which state at an
// instant, over time and at the peak, by host, listener and client, and for how
// long endpoints stay in each state.
//
// It is what `netstat -n | awk '/^tcp/ {++S[$NF]}'` prints on a live host, from a
// capture and at any instant. It reads timelines as reassembly hands them out and
// adds no inference of its own: a state counts whatever its evidence, from the
// transition into it up to the one out of it.
//
// All counters are integers. Durations fall into buckets and never into sums, time
// is coarsened by doubling when there is too much of it, and the long tail of hosts
// goes into one entry. So memory is bounded, and what is printed does not depend on
// how the work was shared out.
package census
