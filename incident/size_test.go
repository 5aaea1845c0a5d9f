package incident

import (
	"reflect"
	"testing"
)

// Each pair begins where a line of the cache does, and what every connection changes of a pair
// and of a listener lies in the first two and three of them.
func TestLines(t *testing.T) {
	const line = 64
	behind := func(of any, field string) uintptr {
		f, _ := reflect.TypeOf(of).FieldByName(field)
		return f.Offset + 16
	}
	if n := reflect.TypeFor[pair]().Size(); n != pairSize || n%line != 0 {
		t.Errorf("a pair takes %d octets, not %d", n, pairSize)
	}
	var all slab[pair]
	for i := range int32(3 * slabChunk) {
		if all.add(); reflect.ValueOf(all.at(i)).Pointer()%line != 0 {
			t.Fatalf("pair %d does not begin where a line does", i)
		}
	}
	if n := behind(pair{}, "some"); n > 2*line {
		t.Errorf("how a pair's examples begin ends at %d", n)
	}
	if n := behind(listener{}, "closing"); n > 3*line {
		t.Errorf("what a listener counts of CLOSE_WAIT ends at %d", n)
	}
}
