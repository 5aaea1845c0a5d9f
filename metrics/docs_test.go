package metrics

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md; then read the diff")

// table is what stands between the marks of a page.
func table(name, text string, page []byte) []byte {
	place := regexp.MustCompile("(?s)<!-- " + name + " -->\n.*?<!-- end -->")
	return place.ReplaceAllFunc(page, func([]byte) []byte { return []byte("<!-- " + name + " -->\n" + text + "<!-- end -->") })
}

// TestPage keeps docs/metrics.md as the catalogue, of which TestEveryMetricIsSent says
// that it is what is sent.
func TestPage(t *testing.T) {
	const path = "../docs/metrics.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fresh := table("labels", MarkdownLabels(), table("metrics", Markdown(), page))
	for _, m := range All() {
		if !bytes.Contains(fresh, []byte("| `"+m.Name+"` |")) {
			t.Errorf("%s does not mention %s", path, m.Name)
		}
	}
	if !strings.Contains(portsHeld.More, fmt.Sprintf(" %d ports ", pairLeast)) {
		t.Errorf("the text of %s does not say %d", portsHeld.Name, pairLeast)
	}
	if bytes.Equal(fresh, page) {
		return
	}
	if !*update {
		t.Errorf("%s is not as the catalogue (-page +catalogue); go test ./metrics -update writes it:\n%s", path, cmp.Diff(string(page), string(fresh)))
		return
	}
	if err := os.WriteFile(path, fresh, 0o644); err != nil {
		t.Fatal(err)
	}
}
