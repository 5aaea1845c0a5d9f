//go:build race

package pipeline

func init() { raced = true }
