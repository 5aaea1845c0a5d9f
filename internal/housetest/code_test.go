package housetest

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxLines is how long a file may be before it must say why: what is longer is
// mostly two things.
const maxLines = 600

var longReason = regexp.MustCompile(`(?m)^// Longer than [0-9]+ lines because `)

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.lines() > maxLines && !longReason.Match(s.text) {
			t.Errorf("%s has %d lines: part it, or give the reason in a line that begins with \"// Longer than %d lines because \"", s.path, s.lines(), maxLines)
		}
	}
}

// saysNothing are names that any package could have.
var saysNothing = map[string]bool{"util": true, "utils": true, "common": true, "types": true, "helpers": true, "misc": true, "model": true, "core": true, "pkg": true, "lib": true, "shared": true}

func TestPackageNames(t *testing.T) {
	for _, s := range sources(t) {
		name := strings.TrimSuffix(s.ast.Name.Name, "_test")
		if saysNothing[name] || saysNothing[path.Base(s.dir())] {
			t.Errorf("%s: a package named %q says nothing about what belongs in it: name it after what it adds", s.path, name)
		}
		if base := path.Base(s.path); strings.ToLower(base) != base {
			t.Errorf("%s: files are in snake_case", s.path)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]int{}
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		documented[s.dir()] += 0
		if s.ast.Doc == nil {
			continue
		}
		documented[s.dir()]++
		want := "Package " + s.ast.Name.Name + " "
		if s.ast.Name.Name == "main" {
			want = "Command " + path.Base(s.dir()) + " "
		}
		if text := s.ast.Doc.Text(); !strings.HasPrefix(text, want) {
			t.Errorf("%s: the package's comment begins %q, want %q", s.path, strings.SplitN(text, "\n", 2)[0], want)
		}
	}
	for dir, n := range documented {
		if n != 1 {
			t.Errorf("package %s has %d doc comments, want one", dir, n)
		}
	}
}

func TestExportedAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || s.ast.Name.Name == "main" {
			continue
		}
		for _, d := range s.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					t.Errorf("%s: %s has no doc comment", s.at(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				checkGroup(t, s, d)
			}
		}
	}
}

// checkGroup wants a comment on each exported name or, in a group of constants or
// variables, on the group.
func checkGroup(t *testing.T, s *source, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && (d.Doc == nil || len(d.Specs) > 1) {
				t.Errorf("%s: type %s has no doc comment", s.at(spec.Pos()), spec.Name.Name)
			}
		case *ast.ValueSpec:
			if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
				continue
			}
			for _, n := range spec.Names {
				if n.IsExported() {
					t.Errorf("%s: %s has no doc comment", s.at(n.Pos()), n.Name)
				}
			}
		}
	}
}

// exportedReceiver reports whether a function is reachable from outside: a method
// of a type that is not exported documents itself through the interface it serves.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// TestTrackingIsPure looks for what imports cannot show: reading the clock and
// starting goroutines where only the segments may count.
func TestTrackingIsPure(t *testing.T) {
	pure := map[string]string{
		"reassembly": "time is the frame's time; idle time comes in as Advance",
		"finding":    "a rule is a pure function of its connection",
		"wire":       "decoding is a pure function of the frame",
	}
	clock := map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true, "NewTimer": true, "NewTicker": true}
	for _, s := range sources(t) {
		why, ok := pure[s.dir()]
		if !ok || s.test() {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: starts a goroutine: %s", s.at(n.Pos()), why)
			case *ast.ChanType:
				t.Errorf("%s: has a channel: %s", s.at(n.Pos()), why)
			case *ast.SelectorExpr:
				if p, ok := n.X.(*ast.Ident); ok && p.Name == "time" && p.Obj == nil && clock[n.Sel.Name] {
					t.Errorf("%s: time.%s: %s", s.at(n.Pos()), n.Sel.Name, why)
				}
			}
			return true
		})
	}
}

// TestErrorsReadOn holds error texts to the house's form: they stand in the middle
// of a line, behind "tcplife: ".
func TestErrorsReadOn(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			p, ok := f.X.(*ast.Ident)
			if !ok || p.Name+"."+f.Sel.Name != "fmt.Errorf" && p.Name+"."+f.Sel.Name != "errors.New" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text := strings.Trim(lit.Value, "`\"")
			if strings.HasPrefix(text, "failed to") || strings.HasPrefix(text, "could not") || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") {
				t.Errorf("%s: %q: say what was tried, on what and why, without a full stop", s.at(n.Pos()), text)
			}
			return true
		})
	}
}
