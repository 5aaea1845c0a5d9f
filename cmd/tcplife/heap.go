package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/tcplife/tcplife/wire"
)

// Go collects when the heap has grown by as much as it held before. That suits neither
// end here: a small heap would be collected every few megabytes, and a large one is records
// without pointers, which cost the collector nothing. To let it grow to twice of that would
// be a waste of memory.
const (
	// heapRoom is by how much a heap may always grow.
	heapRoom = 16 << 20
	// heapGrowth is by how many percent one may grow that is larger.
	heapGrowth = 25
)

// paceCollector says so to the runtime, after each collection anew. Who has set GOGC
// knows better.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(100 * heapRoom / (4 << 20)) // the runtime begins at 4 MiB
	runtime.SetFinalizer(new(*int), func(token **int) {
		wire.DropTables() // which no collection shall go through again
		collected(token)
	})
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
	return max(heapGrowth, int(100*heapRoom/(live+globals)))
}
