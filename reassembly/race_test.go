//go:build race

package reassembly

func init() { raced = true }
