package wire

// Seq is a 32-bit sequence number. It wraps, so < and > between two of them are
// always a mistake; Before and After compare modulo 2^32 (RFC 9293 section 3.4).
type Seq uint32

// Add returns the number n octets later.
func (s Seq) Add(n uint32) Seq { return s + Seq(n) }

// Sub returns the signed distance from t to s: positive when s lies after t. It
// means something only for numbers less than 2^31 apart.
func (s Seq) Sub(t Seq) int32 { return int32(s - t) }

// Before reports whether s lies before t.
func (s Seq) Before(t Seq) bool { return int32(s-t) < 0 }

// After reports whether s lies after t.
func (s Seq) After(t Seq) bool { return int32(s-t) > 0 }

// InWindow reports whether s lies in the n numbers that begin at start.
func (s Seq) InWindow(start Seq, n uint32) bool { return uint32(s-start) < n }
