package archtest

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// modulePath is the import path of the module's root.
const modulePath = "github.com/rafka-io/rafka"

// module is the parsed source of every package, for all build tags at once.
type module struct {
	fset     *token.FileSet
	packages map[string]*pkg // by path inside the module; "." is the root
}

type pkg struct {
	path  string
	files []*file
}

type file struct {
	path   string
	isTest bool
	syntax *ast.File
	text   string
}

// load parses every Go file of the tree. Directories that the go command ignores are ignored here too.
func load(tree fs.FS) (*module, error) {
	m := &module{fset: token.NewFileSet(), packages: map[string]*pkg{}}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed since its directory was listed
		}
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || base[0] == '.' || base[0] == '_' {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(m.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := m.packages[dir]
		if p == nil {
			p = &pkg{path: dir}
			m.packages[dir] = p
		}
		p.files = append(p.files, &file{path: name, isTest: strings.HasSuffix(base, "_test.go"), syntax: syntax, text: string(text)})
		return nil
	})
	return m, err
}

// imports are the import paths of a file.
func (f *file) imports() []string {
	var all []string
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// ours turns an import path into a path inside the module.
func ours(importPath string) (string, bool) {
	if importPath == modulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

// nameOf is the name under which a file imports a package, or "" if it does not.
func (f *file) nameOf(importPath string) string {
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err != nil || p != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		base := path.Base(importPath)
		if base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
			base = path.Base(path.Dir(importPath)) // math/rand/v2 is rand
		}
		return base
	}
	return ""
}

// uses lists where a file names one of the given members of an imported package.
func (f *file) uses(importPath string, members map[string]bool) []*ast.SelectorExpr {
	name := f.nameOf(importPath)
	if name == "" {
		return nil
	}
	var found []*ast.SelectorExpr
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == name && members[sel.Sel.Name] {
			found = append(found, sel)
		}
		return true
	})
	return found
}

// isTestSupport reports whether a package exists for tests: its name ends or begins with "test", as brokertest, logtest and testbin.
func (p *pkg) isTestSupport() bool {
	base := path.Base(p.path)
	return strings.HasSuffix(base, "test") || strings.HasPrefix(base, "test")
}
