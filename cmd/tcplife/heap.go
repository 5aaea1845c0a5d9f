package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Go collects when the heap has grown by as much as it held before. That suits neither
// end here: a small heap would be collected every few megabytes, and a large one is records
// without pointers, which cost the collector nothing. To let it grow to twice of that would
// be a waste of memory.
const (
	// heapFree is what a heap may always take.
	heapFree = 40 << 20
	// heapRoom is by how much one may grow that is larger.
	heapRoom = 16 << 20
	// heapGrowth is by how many percent one may grow for which that is little.
	heapGrowth = 25
)

// paceCollector says so to the runtime, after each collection anew. Who has set GOGC
// knows better.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	// That is heapFree before anything is held: the runtime reckons with five megabytes of
	// global variables.
	debug.SetGCPercent(800)
	runtime.SetFinalizer(new(*int), collected)
}

// collected is called, by way of a finalizer, after each collection.
func collected(token **int) {
	held := [...]metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(held[:])
	if live := held[0].Value.Uint64(); live > 0 {
		debug.SetGCPercent(growth(live, held[1].Value.Uint64()))
	}
	runtime.SetFinalizer(token, collected)
}

// growth returns by how many percent the heap may grow. The runtime reckons them from
// what it goes through, global variables included.
func growth(live, globals uint64) int {
	room := uint64(heapRoom)
	if live+room < heapFree {
		room = heapFree - live
	}
	return max(heapGrowth, int(100*room/(live+globals)))
}
