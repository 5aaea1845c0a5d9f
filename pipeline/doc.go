// Package pipeline takes a capture all the way: from a capture.Source to a written
// report.
//
// One goroutine reads and decodes, several track, one puts in order and writes:
//
//	Source -> reader -> batch -> workers (a tracker, rules, Encode)
//	                      ^                  |
//	                      |                  v
//	                      +---- free ---- merger (numbers, Format.Add, Summary)
//
// The reader fills a batch with segments. A full batch is an epoch: it is cut by
// count and never by time or by who is ready, so that a pipe and a file, a fast
// disk and a slow one give the same epochs. Every worker sees the whole batch and
// takes its own segments out of it. Whose a connection is says a seeded hash of its
// tuple; so which ones share a tracker depends on the seed and on the number of
// workers, and nothing that a tracker says of a connection may depend on its
// neighbours. At the end of the epoch all trackers are told the same time.
// What a worker found (connections that opened, connections that settled, already
// encoded, late groups) goes into the batch, each worker's in its own part; so the
// workers share nothing.
//
// The merger takes the batches in order and waits for all workers of each. It
// numbers the connections by first segment and writes what settled in the order of
// these numbers. That order is all there is: nothing is left in it of the seed, of
// the number of workers or of their speed, and the report is the same to the byte.
//
// Then the batch goes back to the reader. There is a fixed number of batches, and
// every channel has room for all of them: only the reader ever waits for room,
// and does so by waiting for a free batch. So there is no deadlock to be had, and
// memory follows the connections that are open, not the capture. As the batches
// come round in order, the reader also learns from each how many connections were
// open a fixed number of epochs ago: a number that depends on the capture alone,
// by which it cuts into portions what would settle at once, when time jumps and at
// the end of the input.
//
// Reading ends early when the context is cancelled (the report is then one of what
// was read), when writing fails, or when a stage panics (nothing more is written).
// In each case the source is closed, which sets a waiting Next free, and Run
// returns when all its goroutines have.
package pipeline
