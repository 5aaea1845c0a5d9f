// Package check holds captures against expectations, so that they can be regression
// tests: what a reviewer wrote down (Load), what the same capture said before
// (Baseline), or another capture (Compare).
//
// A Run is a report.Format that prints nothing: the pipeline hands it every connection
// and the summary, and at the end it has a Verdict for each expectation, with what was
// expected, what was found, and the connections and frames that show it. Formats for
// people and for machines print verdicts; each is one file.
//
// A kind of expectation is a section of the file: its name, and what reads it. It keeps
// counters and a few examples of what speaks for a failure, so memory does not follow
// the capture. Baselines do keep every connection, and refuse captures that are too
// large for that.
package check
