package readme

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link is a Markdown link to a place in this repository.
var link = regexp.MustCompile(`\]\(([^)#:]+)?(#[^)]*)?\)`)

// every calls f for each file of the repository that ends in suffix, with its path and text.
func every(t *testing.T, suffix string, f func(file, text string)) {
	t.Helper()
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir // a directory of tools, or one that went while we looked
		}
		if !d.IsDir() && strings.HasSuffix(name, suffix) {
			data, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			f(name, string(data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A link leads to a file that is there, and to a heading that the file has.
func TestLinksLeadSomewhere(t *testing.T) {
	every(t, ".md", func(file, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := file
			if m[1] != "" {
				target = path.Join(path.Dir(file), m[1])
			}
			data, err := os.ReadFile(filepath.Join("../..", target))
			if info, e := os.Stat(filepath.Join("../..", target)); e == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s: %s leads nowhere", file, m[0])
				continue
			}
			if m[2] != "" && !hasHeading(string(data), m[2][1:]) {
				t.Errorf("%s: %s has no heading %s", file, target, m[2])
			}
		}
	})
}

var notInAnchors = regexp.MustCompile(`[^a-z0-9 _-]`)

func hasHeading(text, anchor string) bool {
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			if strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-") == anchor {
				return true
			}
		}
	}
	return false
}

// ARCHITECTURE.md says of every package what it is.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	page, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	every(t, "/doc.go", func(file, _ string) {
		dir := path.Dir(file)
		if strings.HasPrefix(dir, "cmd/rafka/internal/") || strings.HasPrefix(dir, "examples/") || strings.HasPrefix(dir, "test/examples") {
			return // named together
		}
		if !strings.Contains(string(page), "`"+dir+"`") {
			t.Errorf("ARCHITECTURE.md does not say what %s is", dir)
		}
	})
}

// The index of decision records is complete.
func TestEveryDecisionIsListed(t *testing.T) {
	index, err := os.ReadFile("../../docs/adr/README.md")
	if err != nil {
		t.Fatal(err)
	}
	every(t, ".md", func(file, _ string) {
		if path.Dir(file) == "docs/adr" && path.Base(file) != "README.md" && !strings.Contains(string(index), "("+path.Base(file)+")") {
			t.Errorf("docs/adr/README.md does not list %s", file)
		}
	})
}
