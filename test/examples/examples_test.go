package examples

import (
	"os/exec"
	"strings"
	"testing"
)

// The smallest program does what it says, in memory and on disk.
func TestHello(t *testing.T) {
	bin := t.TempDir() + "/hello.exe" // the suffix matters on Windows only
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/rafka-io/rafka/examples/hello").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	const want = "0: hello, Ada\n1: hello, Grace\n2: hello, Barbara\n"
	for _, args := range [][]string{nil, {"-data-dir", t.TempDir()}} {
		out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), want) {
			t.Errorf("hello %q: error %v, printed\n%s", args, err, out)
		}
	}
}
