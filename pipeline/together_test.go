package pipeline

import (
	"errors"
	"sync/atomic"
	"testing"
)

func TestTogether(t *testing.T) {
	for _, jobs := range []int{1, 2, 8} {
		var called [20]atomic.Int32
		var all []func()
		for i := range called {
			all = append(all, func() { called[i].Add(1) })
		}
		together(jobs)(all...)
		for i := range called {
			if n := called[i].Load(); n != 1 {
				t.Errorf("%d jobs: function %d was called %d times", jobs, i, n)
			}
		}
		together(jobs)() // none
	}
}

func TestTogetherPanics(t *testing.T) {
	broken := errors.New("broken")
	for _, jobs := range []int{1, 3} {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !errors.Is(err, broken) {
					t.Errorf("%d jobs: panicked with %v", jobs, err)
				}
			}()
			together(jobs)(func() {}, func() { panic(broken) }, func() {})
			t.Errorf("%d jobs: did not panic", jobs)
		}()
	}
}
