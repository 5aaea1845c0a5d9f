package wire

import "time"

// Time is an instant of capture time: nanoseconds since 1970-01-01 UTC. It is an
// integer and not a time.Time so that records hold no pointers and two equal
// instants compare equal. The span reaches from 1678 to 2262.
type Time int64

// Std returns the instant as the standard library's type, in UTC.
func (t Time) Std() time.Time { return time.Unix(0, int64(t)).UTC() }

// Sub returns the time from u to t; negative when t is earlier.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Add returns the instant d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// String returns RFC 3339 with nine digits, as every report prints it.
func (t Time) String() string { return t.Std().Format("2006-01-02T15:04:05.000000000Z07:00") }
