// Package ui shows connections on a terminal: what happened first, then the
// connections, the listeners, the census over time, and each connection's life.
//
// A Source fills it, a file that was read or a run that goes on; the screens do not
// know which. A Source hands out Snapshots, which nobody changes afterwards, so that
// reading and drawing share nothing. Collector makes one out of a run of the pipeline.
//
// Model is the state of the screens and knows no terminal: Update takes keys and what
// was read, View returns lines that fit the size. Run puts it on a terminal. Every
// line is drawn so that it says the same without colours.
package ui
