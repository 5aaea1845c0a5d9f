package report

import "testing"

func TestAimed(t *testing.T) {
	const advice = "Look first. H03: is it listening? If not, start it. H02, H05: look for a filter. H04: ask the device."
	for _, tt := range []struct{ advice, catalogue, want string }{
		{advice, "H03", "Look first. Is it listening? If not, start it."},
		{advice, "H05", "Look first. Look for a filter."},
		{advice, "H04", "Look first. Ask the device."},
		{advice, "G04", advice},
		{"Nothing to do.", "H03", "Nothing to do."},
		{"H03: start it.", "H03", "Start it."},
		{"H03: start it.", "H02", "H03: start it."},
	} {
		if got := aimed(tt.advice, tt.catalogue); got != tt.want {
			t.Errorf("%s of %q: %q, want %q", tt.catalogue, tt.advice, got, tt.want)
		}
	}
}
