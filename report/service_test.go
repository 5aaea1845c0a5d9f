package report

import (
	"slices"
	"testing"
)

func TestServices(t *testing.T) {
	if !slices.IsSorted(ServiceNames()) {
		t.Error("the services are not sorted by name")
	}
	taken := map[uint16]string{}
	for _, s := range services {
		for _, p := range s.ports {
			if taken[p] != "" {
				t.Errorf("port %d is of %s and of %s", p, taken[p], s.name)
			}
			taken[p] = s.name
		}
	}
	if ServiceName(443) != "https" || ServiceName(1) != "" || ServicePorts("nothing") != nil {
		t.Error("443 is https, 1 is nothing's")
	}
}
