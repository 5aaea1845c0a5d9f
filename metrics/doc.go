// Package metrics tells a monitoring system how a run goes: how many endpoints stand in
// which state now, what was opened, closed and found since the run began, how much of a
// client's ports is left, and what the capture lost. It serves that for Prometheus to
// read; docs/metrics.md lists all of it.
//
// Two sorts of numbers come from two places. Counters and histograms grow with each
// connection that has settled, so they never take anything back: a Recorder counts them.
// Gauges show the present, which is provisional: a later segment may rewrite it. They
// come as a Snapshot that is asked for at each scrape.
//
// The number of time series is bounded whatever is captured. Labels have closed lists of
// values (states, reasons, findings), or are the inputs that the command line names. Only
// listeners, and pairs of a client and a listener, have labels that the traffic decides:
// the busiest few are named and the rest is summed up (see names).
package metrics
