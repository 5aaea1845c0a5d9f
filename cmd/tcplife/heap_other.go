//go:build !linux

package main

// reserveHeap does nothing: other systems choose the size of pages themselves.
func reserveHeap(int64) {}
