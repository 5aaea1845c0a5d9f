package main

import (
	"os"
	"reflect"
	"syscall"
)

// giveBack gives the pages that lie wholly in a global variable back to the system, and
// reports whether it could: until somebody writes there again they are zero, and take no
// memory. The variable must have no pointers to what the collector manages.
func giveBack(variable any) bool {
	v := reflect.ValueOf(variable)
	page := uintptr(os.Getpagesize())
	start, end := v.Pointer(), v.Pointer()+v.Type().Elem().Size()
	start, end = (start+page-1)&^(page-1), end&^(page-1)
	if start >= end {
		return false
	}
	_, _, errno := syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED)
	return errno == 0
}
