package archtest

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// A rule lists what breaks it, each with the place and the reason.
type rule func(m *module) []string

// eachImport visits the imports of our own packages by files that are no tests.
func (m *module) eachImport(visit func(p *pkg, f *file, imported string)) {
	for _, p := range m.packages {
		for _, f := range p.files {
			if f.isTest {
				continue
			}
			for _, i := range f.imports() {
				if imported, ok := ours(i); ok {
					visit(p, f, imported)
				}
			}
		}
	}
}

// importsGoDown is ARC-1, and BRK-2 with it: the broker cannot know its doors.
func importsGoDown(m *module) (broken []string) {
	for _, p := range m.packages {
		if _, _, ok := layerOf(p.path); !ok {
			broken = append(broken, fmt.Sprintf("%s is in no layer: add it to the row where it belongs in internal/archtest/layers_test.go", p.path))
		}
	}
	m.eachImport(func(p *pkg, f *file, imported string) {
		from, _, ok := layerOf(p.path)
		to, _, known := layerOf(imported)
		if !ok || !known || isBelow(imported, p.path) || p.isTestSupport() && isBelow(p.path, imported) {
			return
		}
		switch {
		case to > from:
			broken = append(broken, fmt.Sprintf("%s: %s (layer %q) imports %s of the higher layer %q: calls go down, completions come up", f.path, p.path, layers[from].name, imported, layers[to].name))
		case to == from:
			broken = append(broken, fmt.Sprintf("%s: %s imports %s of its own layer %q: what both need belongs below them, and who joins them above", f.path, p.path, imported, layers[from].name))
		}
	})
	return broken
}

// outsideStaysOutside is ARC-2.
func outsideStaysOutside(m *module) (broken []string) {
	m.eachImport(func(p *pkg, f *file, imported string) {
		if within(p.path, outside) && strings.HasPrefix(imported, "internal/") && !within(imported, outsideMayUse) {
			broken = append(broken, fmt.Sprintf("%s: %s lives outside the broker and imports %s; it may use %s", f.path, p.path, imported, strings.Join(outsideMayUse, ", ")))
		}
	})
	return broken
}

// clockFuncs read a clock or wait for one.
var clockFuncs = set("Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker")

// impureImports are what a pure package does without.
var impureImports = set("os", "os/exec", "os/signal", "net", "net/http", "net/rpc", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "golang.org/x/sys/unix")

// coresStayPure is ARC-3.
func coresStayPure(m *module) (broken []string) {
	for _, p := range m.packages {
		if !within(p.path, pure) || within(p.path, notPure) {
			continue
		}
		for _, f := range p.files {
			if f.isTest {
				continue
			}
			for _, i := range f.imports() {
				if impureImports[i] {
					broken = append(broken, fmt.Sprintf("%s: the pure package %s imports %s: let the caller pass in what it needs", f.path, p.path, i))
				}
			}
			for _, sel := range f.uses("time", clockFuncs) {
				broken = append(broken, fmt.Sprintf("%s: the pure package %s calls time.%s: let the caller pass now", m.fset.Position(sel.Pos()), p.path, sel.Sel.Name))
			}
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if g, ok := n.(*ast.GoStmt); ok {
					broken = append(broken, fmt.Sprintf("%s: the pure package %s starts a goroutine: its shell owns those", m.fset.Position(g.Pos()), p.path))
				}
				return true
			})
		}
	}
	return broken
}

// fileFuncs are the functions of package os that touch the file system.
var fileFuncs = set("Open", "OpenFile", "OpenRoot", "OpenInRoot", "Create", "CreateTemp", "NewFile", "ReadFile", "WriteFile", "ReadDir", "Mkdir", "MkdirAll",
	"MkdirTemp", "Remove", "RemoveAll", "Rename", "Truncate", "Stat", "Lstat", "Link", "Symlink", "Readlink", "Chmod", "Chown", "Chtimes", "DirFS", "CopyFS")

// filesGoThroughVFS is ARC-4, and VFS-1 with it.
func filesGoThroughVFS(m *module) (broken []string) {
	for _, p := range m.packages {
		if !strings.HasPrefix(p.path, "internal/") || mayTouchFiles[p.path] != "" || p.isTestSupport() {
			continue
		}
		for _, f := range p.files {
			if f.isTest {
				continue
			}
			for _, sel := range f.uses("os", fileFuncs) {
				broken = append(broken, fmt.Sprintf("%s: %s calls os.%s: files go through internal/vfs, which tests can crash", m.fset.Position(sel.Pos()), p.path, sel.Sel.Name))
			}
		}
	}
	return broken
}

// enginesStayConcealed is ARC-5.
func enginesStayConcealed(m *module) (broken []string) {
	m.eachImport(func(p *pkg, f *file, imported string) {
		if within(imported, engines) && !within(p.path, []string{imported}) && !isBelow(imported, p.path) && mayNameEngines[p.path] == "" && !p.isTestSupport() && !within(p.path, engines) {
			broken = append(broken, fmt.Sprintf("%s: %s imports the engine %s: use storage.Engine, internal/app chooses", f.path, p.path, imported))
		}
	})
	return broken
}

// packagesSayWhatTheyAre is ARC-6.
func packagesSayWhatTheyAre(m *module) (broken []string) {
	for _, p := range m.packages {
		name, hasCode := "", false
		for _, f := range p.files {
			if !f.isTest {
				name, hasCode = f.syntax.Name.Name, true
			}
		}
		if !hasCode {
			continue
		}
		want := "Package " + name + " "
		if name == "main" {
			want = "Command "
		}
		i := slices.IndexFunc(p.files, func(f *file) bool { return strings.HasSuffix("/"+f.path, "/doc.go") })
		switch {
		case i < 0:
			broken = append(broken, fmt.Sprintf("%s has no doc.go: write one that begins %q and says in a sentence what the package is", p.path, want))
		case !strings.HasPrefix(p.files[i].syntax.Doc.Text(), want) || !strings.Contains(p.files[i].syntax.Doc.Text(), "."):
			broken = append(broken, fmt.Sprintf("%s does not begin with a sentence %q", p.files[i].path, want+"… ."))
		}
	}
	return broken
}

// An invariant stands at the start of an indented line of a doc.go: three letters, a dash, a number.
var (
	invariantLine = regexp.MustCompile(`(?m)^[ \t]+([A-Z]{3}-[0-9]+)[ \t]`)
	invariantID   = regexp.MustCompile(`\b[A-Z]{3}-[0-9]+\b`)
)

// invariantsAreTested is ARC-7. Several packages may keep one invariant together and name it; one test that cites it is enough.
func invariantsAreTested(m *module) (broken []string) {
	cited := map[string]bool{}
	for _, p := range m.packages {
		for _, f := range p.files {
			if f.isTest || p.isTestSupport() {
				for _, id := range f.citations(p.path == "internal/archtest") {
					cited[id] = true
				}
			}
		}
	}
	for _, p := range m.packages {
		for _, f := range p.files {
			if !strings.HasSuffix("/"+f.path, "/doc.go") {
				continue
			}
			for _, match := range invariantLine.FindAllStringSubmatch(f.syntax.Doc.Text(), -1) {
				if !cited[match[1]] {
					broken = append(broken, fmt.Sprintf("%s: no test cites %s: write the test that would notice, and name the invariant in its comment", f.path, match[1]))
				}
			}
		}
	}
	return broken
}

// citations are the invariants a test file names. Of this package only comments count: its strings are made-up trees.
func (f *file) citations(commentsOnly bool) []string {
	if !commentsOnly {
		return invariantID.FindAllString(f.text, -1)
	}
	if !f.isTest {
		return nil
	}
	var ids []string
	for _, c := range f.syntax.Comments {
		ids = append(ids, invariantID.FindAllString(c.Text(), -1)...)
	}
	return ids
}

// testSupportStaysInTests is ARC-8. rafkatest is public and made for other people's tests; nothing of ours imports it outside tests.
func testSupportStaysInTests(m *module) (broken []string) {
	m.eachImport(func(p *pkg, f *file, imported string) {
		q := m.packages[imported]
		if q != nil && q.isTestSupport() && !p.isTestSupport() && !within(p.path, []string{"test", "examples"}) {
			broken = append(broken, fmt.Sprintf("%s: %s imports %s, which is made for tests", f.path, p.path, imported))
		}
	})
	return broken
}

func set(names ...string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, n := range names {
		s[n] = true
	}
	return s
}
