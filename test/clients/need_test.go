package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/testbin"
)

// need skips the test unless real clients were asked for and the programs are there.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("RAFKA_CLIENTS") == "" {
		t.Skip("runs other programs as clients: set RAFKA_CLIENTS=1, or run make clients")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// serve starts the real binary with its Kafka door on a free port and returns it with its data directory.
func serve(t *testing.T, args ...string) (*testbin.Server, string) {
	t.Helper()
	dir := t.TempDir()
	s := testbin.Start(t, append([]string{"--data-dir", dir, "--kafka-addr", "127.0.0.1:0", "--http-addr", "", "--grpc-addr", "", "--log-level", "warn"}, args...)...)
	return s, dir
}

// run runs a program to its end and returns what it wrote to both of its outputs, and whether it ended well.
func run(t *testing.T, limit time.Duration, input string, name string, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end within %v:\n%s", name, strings.Join(args, " "), limit, tail(out.String()))
	}
	return out.String(), err == nil
}

// tail is the end of a text, for messages.
func tail(s string) string {
	const most = 4000
	if len(s) <= most {
		return s
	}
	return "..." + s[len(s)-most:]
}

// numbered is n lines "prefix-0" and so on.
func numbered(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s-%d\n", prefix, i)
	}
	return b.String()
}
