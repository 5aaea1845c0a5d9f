package incident

// Update reports whether expected outputs are to be written anew.
func Update() bool { return *update }

// NewSmall returns empty sums whose bounds are smaller by a divisor.
func NewSmall(cfg Config, by int) *Sums { return newSums(cfg, by) }
