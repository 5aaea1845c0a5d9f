package pipeline

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// together returns a function that calls others, several at once, the first ones first, and
// returns when all have returned; if one panicked it panics with that.
func together(jobs int) func(all ...func()) {
	return func(all ...func()) {
		var (
			next   atomic.Int64
			failed atomic.Pointer[crash]
			wg     sync.WaitGroup
		)
		work := func() {
			defer func() {
				if v := recover(); v != nil {
					failed.CompareAndSwap(nil, &crash{v, debug.Stack()})
				}
			}()
			for i := next.Add(1); i <= int64(len(all)); i = next.Add(1) {
				all[i-1]()
			}
		}
		for range min(jobs, len(all)) - 1 {
			wg.Go(work)
		}
		work()
		wg.Wait()
		if c := failed.Load(); c != nil {
			panic(c)
		}
	}
}
