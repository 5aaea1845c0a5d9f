// Package housetest holds the tests of the house itself: which package may import
// which and why not another, that everything exported is documented, that every
// capture has its origin written down, and that nothing of one machine stands in
// the files.
//
// It has no code of its own but skipcheck, the command that makes a test run of the
// continuous integration fail when a test was skipped that should not be.
package housetest
