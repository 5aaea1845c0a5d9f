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
	// heapRoom is by how much one may grow that is larger, heapGrowth by how many percent one
	// for which that is little.
	heapRoom, heapGrowth = 8 << 20, 12
	// busy is which part of processor time is too much for the collector, one of so many; then
	// heaps may grow by busyTimes as much. That comes to pass where much is held that has pointers.
	busy, busyTimes = 50, 4
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
	held := [...]metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/user:cpu-seconds"},
	}
	metrics.Read(held[:])
	collecting, working := held[2].Value.Float64(), held[3].Value.Float64()
	if live := held[0].Value.Uint64(); live > 0 {
		debug.SetGCPercent(growth(live, held[1].Value.Uint64(), collecting*busy > collecting+working))
	}
	runtime.SetFinalizer(token, collected)
}

// growth returns by how many percent the heap may grow. The runtime reckons them from
// what it goes through, global variables included.
func growth(live, globals uint64, isBusy bool) int {
	room, percent := uint64(heapRoom), heapGrowth
	if isBusy {
		room, percent = busyTimes*room, busyTimes*percent
	}
	if live+room < heapFree {
		room = heapFree - live
	}
	return max(percent, int(100*room/(live+globals)))
}
