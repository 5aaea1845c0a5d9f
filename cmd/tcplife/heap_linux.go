package main

import (
	"math"
	"os"
	"runtime/debug"
	"syscall"
)

// A page that is touched for the first time costs a thousand instructions, and analysing a
// large capture touches tens of thousands. A large page is 512 of them at once, and quicker to
// find ever after. But Linux gives them only to who asks for them before touching the
// memory, and Go does not: it maps its heap a little at a time, just before it is used.
const (
	// heapPerOctet is how much heap an octet of a capture takes at most: 70 octets, which is a
	// SYN without options and its record header, become some 200 (docs/performance.md).
	heapPerOctet = 3
	// heapReserved is how much is reserved at most. What is not used of it is never touched.
	heapReserved = 256 << 20
	// heapWorthwhile is what it is worth while for: asking takes two or three milliseconds, and
	// the last large page of each sort of value is hardly ever full.
	heapWorthwhile = 48 << 20
)

// reserveHeap has the heap lie in large pages while a capture of so many octets is read.
func reserveHeap(octets int64) {
	size := min(octets, heapReserved) * heapPerOctet
	size = min(size, heapReserved)
	if size < heapWorthwhile || os.Getenv("GOGC") != "" || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return // who has set one of them knows better
	}
	// Go gives up if it cannot have what it asks for, so that is found out before.
	probe, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil || syscall.Munmap(probe) != nil {
		return
	}
	// A value of this size has all of its memory mapped at once. When it has been collected,
	// that is free for other values, of which the lowest addresses come first. The collection
	// is due at once, since the heap is as large as it may not be, and nobody waits for it:
	// what is allocated in the meantime comes to lie behind.
	percent := debug.SetGCPercent(-1)
	room := make([]byte, size)
	// Where there are no large pages the heap is as it would have been.
	_ = syscall.Madvise(room, syscall.MADV_HUGEPAGE)
	debug.SetGCPercent(percent)
}
