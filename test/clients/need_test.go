package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
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

// brokers is what clients connect to.
type brokers struct {
	Kafka string        // addresses, comma-separated
	Log   func() string // what they printed
}

// serve starts the real binary with its Kafka door on a free port: one broker, or as many as RAFKA_CLIENTS_NODES says, whose topics have
// replicas on three of them if nobody says otherwise. With RAFKA_CLIENTS_ROLL these are restarted one after another all the time, so that
// leaders, coordinators and the controller move under the clients.
func serve(t *testing.T, args ...string) brokers {
	t.Helper()
	n, _ := strconv.Atoi(os.Getenv("RAFKA_CLIENTS_NODES"))
	if n < 2 {
		s, _ := serveAlone(t, args...)
		return brokers{s.Kafka, s.Log}
	}
	c := testbin.NewNodes(t, n, append([]string{"--http-addr", "", "--grpc-addr", "", "--log-level", "warn",
		"--set", fmt.Sprintf("default.replication.factor=%d", min(n, 3)), "--set", "min.insync.replicas=2"}, args...)...)
	c.Start()
	t.Cleanup(c.Logs)
	if os.Getenv("RAFKA_CLIENTS_ROLL") != "" {
		roll(t, c)
	}
	return brokers{strings.Join(c.Kafka, ","), func() string { return "(at the end)" }}
}

// ending is a test whose brokers may be killed by its end while they start.
type ending struct{ testing.TB }

func (e ending) Fatalf(format string, args ...any) {
	if e.Context().Err() != nil {
		runtime.Goexit()
	}
	e.TB.Fatalf(format, args...)
}

// roll stops one broker after another and starts it again, until the test ends.
func roll(t *testing.T, c *testbin.Nodes) {
	c.T = ending{t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i = (i + 1) % len(c.Procs) {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(3 * time.Second): // for clients to get somewhere: what is tested is the change, not that nothing ever stands
			}
			c.Stop(i)
			c.Start()
		}
	}()
	t.Cleanup(func() { <-ended })
}

// serveAlone starts one broker and returns it with its data directory.
func serveAlone(t *testing.T, args ...string) (*testbin.Server, string) {
	t.Helper()
	dir := t.TempDir()
	s := testbin.Start(t, append([]string{"--data-dir", dir, "--kafka-addr", "127.0.0.1:0", "--http-addr", "", "--grpc-addr", "", "--log-level", "warn"}, args...)...)
	return s, dir
}

// run runs a program to its end and returns what it wrote to both of its outputs, and whether it ended well.
func run(t *testing.T, limit time.Duration, input string, name string, args ...string) (string, bool) {
	t.Helper()
	out, err := finish(t, limit, input, name, args...)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%s %s did not end within %v:\n%s", name, strings.Join(args, " "), limit, tail(out))
	}
	return out, err == nil
}

// fetch runs a program that brings what a test needs from outside. The test is skipped if it does not come: that says nothing about Rafka.
func fetch(t *testing.T, what, name string, args ...string) {
	t.Helper()
	if out, err := finish(t, 8*time.Minute, "", name, args...); err != nil {
		t.Skipf("%s could not be had: %s %s: %v\n%s", what, name, strings.Join(args, " "), err, tail(out))
	}
}

func finish(t *testing.T, limit time.Duration, input string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second // for grandchildren that keep the outputs open
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return out.String(), err
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
