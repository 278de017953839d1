package readme

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/testbin"
)

// pages are checked from top to bottom, each against a broker of its own.
var pages = []string{"README.md", "docs/guide/getting-started.md", "docs/guide/groups.md", "docs/guide/queues.md", "docs/guide/cluster.md", "docs/guide/embedding.md", "docs/guide/troubleshooting.md", "docs/ops/running.md"}

// Whoever copies a command from a page gets what the page shows.
func TestPagesTellTheTruth(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the pages are for a Unix shell")
	}
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			marked := blocks(t, page)
			if page == "README.md" && !slices.ContainsFunc(marked, func(b block) bool { return b.mark == "run: server" }) {
				t.Error("README does not say how to start the server")
			}
			var shell *shell
			for _, b := range marked {
				switch kind, what, _ := strings.Cut(b.mark, ": "); kind {
				case "run":
					if what == "server" {
						checkServerCommand(t, page, b)
						continue
					}
					if program, ok := strings.CutPrefix(what, "needs "); ok {
						if _, err := exec.LookPath(program); err != nil {
							t.Logf("%s:%d is not run: %v", page, b.at, err)
							continue
						}
					}
					if shell == nil {
						shell = newShell(t)
					}
					for _, c := range b.commands() {
						shell.run(t, page, c)
					}
				case "same as":
					checkSource(t, page, b, what)
				}
			}
			checkSettings(t, page, marked)
		})
	}
}

// checkServerCommand holds the server's command to the program that the shell's broker runs.
func checkServerCommand(t *testing.T, page string, b block) {
	t.Helper()
	for _, c := range b.commands() {
		if c.text != "go run ./cmd/rafka" && c.text != "rafka" {
			t.Errorf("%s:%d: %q is not what the tests start", page, c.at, c.text)
		}
	}
	testbin.Binary(t) // which go run would build
}

func checkSource(t *testing.T, page string, b block, file string) {
	t.Helper()
	source, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), strings.Join(b.lines, "\n")) {
		t.Errorf("%s:%d differs from %s", page, b.at, file)
	}
}

// shell runs commands against a broker of its own.
type shell struct {
	dir   string
	env   []string
	ports *strings.Replacer
}

func newShell(t *testing.T) *shell {
	t.Helper()
	s := testbin.Start(t, "--data-dir", t.TempDir(), "--kafka-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0")
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "RAFKA_") || strings.HasPrefix(v, "KAFKA_") || strings.HasPrefix(v, "PATH=")
	})
	path := "PATH=" + filepath.Dir(testbin.Binary(t)) + string(os.PathListSeparator) + os.Getenv("PATH")
	return &shell{
		dir: t.TempDir(), env: append(env, path, "RAFKA_BROKERS="+s.Kafka),
		ports: strings.NewReplacer("9092", port(t, s.Kafka), "8080", port(t, s.HTTP), "50051", port(t, s.GRPC)),
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *shell) run(t *testing.T, page string, c command) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", s.ports.Replace(c.text))
	cmd.Dir, cmd.Env = s.dir, s.env
	var notes strings.Builder
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s:%d: %s: %v\n%s%s", page, c.at, c.text, err, out, notes.String())
		return
	}
	if want := c.pattern(); !want.Match(out) {
		t.Errorf("%s:%d: %s printed\n%swhich is not\n%s", page, c.at, c.text, out, strings.Join(c.prints, "\n"))
	}
}

// checkSettings loads every configuration of a page: all of them mean the same.
func checkSettings(t *testing.T, page string, marked []block) {
	t.Helper()
	var first *config.Static
	for _, b := range marked {
		form, ok := strings.CutPrefix(b.mark, "settings: ")
		if !ok {
			continue
		}
		text := strings.Join(b.lines, "\n")
		var src config.Sources
		switch form {
		case "environment":
			for _, word := range strings.Fields(text) {
				if strings.HasPrefix(word, "RAFKA_") || strings.HasPrefix(word, "KAFKA_") {
					src.Env = append(src.Env, word)
				}
			}
		case "flags":
			words := strings.Fields(text)
			for i, word := range words {
				if word == "--set" && i+1 < len(words) {
					src.Flags = append(src.Flags, words[i+1])
				}
			}
		default:
			src.Files = []config.File{{Name: form, Data: []byte(text)}}
		}
		static, _, err := config.Load(src)
		if err != nil {
			t.Errorf("%s:%d: %v", page, b.at, err)
			continue
		}
		if first == nil {
			first = static
			continue
		}
		for _, key := range []string{"num.partitions", "log.retention.hours"} {
			if static.Int(key) != first.Int(key) {
				t.Errorf("%s:%d: %s is %d, and %d before", page, b.at, key, static.Int(key), first.Int(key))
			}
		}
	}
}
