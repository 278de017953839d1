package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// CLI-1: 0 done, 1 failed, 2 wrong usage. Wrong usage must not have touched the cluster, not even where the first half of a
// command line is fine.
func TestExitCodesTellWrongUsageFromFailure(t *testing.T) {
	s := newShell(t)
	for _, c := range []struct { // in this order: some need what others made
		line string
		want int
	}{
		{"topic create a", 0},
		{"topic create a --if-not-exists", 0},
		{"topic create a b", 1},
		{"topic create c --partitions 0", 2},
		{"topic create c -c novalue", 2},
		{"topic delete a --no-such-flag", 2},
		{"topic alter a -s k=1 -d k", 2},
		{"produce a -m x --acks 2", 2},
		{"produce c -m x -f %q", 2},
		{"consume nosuch -e", 1},
		{"cluster info extra", 2},
		{"dump-log /nonexistent.log", 1},
		{"bench produce --records 1 --duration -1s", 2},
		{"config set topic/a retention.ms=1 --dry-run", 0},
	} {
		if out, errs, code := s.try(strings.NewReader(""), c.line); code != c.want {
			t.Errorf("rafka %s: exit code %d, want %d: %s%s", c.line, code, c.want, out, errs)
		}
	}
	if got := s.must("topic list"); strings.Contains(got, "\nc ") || !strings.Contains(got, "\na ") {
		t.Errorf("topics after all this:\n%s", got)
	}
}

// CLI-2: whoever pipes stdout gets results and nothing else.
func TestOnlyResultsGoToStdout(t *testing.T) {
	s := newShell(t)
	s.must("topic create t")
	out, errs, _ := s.try(strings.NewReader("a\nb\n"), "produce t")
	if out != "" || !strings.HasPrefix(errs, "produced 2 records (2 B) to t") {
		t.Errorf("produce: stdout %q, stderr %q", out, errs)
	}
	out, errs, _ = s.try(nil, "consume t -e -o 7 --raw")
	if out != "" || !strings.Contains(errs, "outside the log") {
		t.Errorf("consume: stdout %q, stderr %q", out, errs)
	}
	out, errs, _ = s.try(nil, "topic create t")
	if !strings.Contains(out, "TOPIC_ALREADY_EXISTS") || errs != "rafka: 1 of 1 topics failed\n" {
		t.Errorf("create: stdout %q, stderr %q", out, errs)
	}
}

// A signal while stdin is open and silent: what was read is delivered, and the command ends although the read does not.
func TestInterruptedProduceDeliversWhatItRead(t *testing.T) {
	s := newShell(t)
	s.must("topic create t")
	ctx, interrupt := context.WithCancel(t.Context())
	in, typist := io.Pipe()
	defer typist.Close()
	var errs strings.Builder
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"produce", "t", "-f", "%o;"}, streams{in, io.Discard, &errs, func(k string) string { return s.env[k] }})
	}()
	if _, err := io.WriteString(typist, "one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	if got := s.must("consume t -n 2 -f %s,"); got != "one,two," {
		t.Errorf("before: %q", got)
	}
	interrupt()
	select {
	case c := <-code:
		if c != 1 || !strings.Contains(errs.String(), "interrupted (2 records were acknowledged)") {
			t.Errorf("exit code %d: %s", c, errs.String())
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not end")
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{"512": 512, "64k": 65536, "1.5MiB": 3 << 19, "2G": 2 << 30, "10MB": 10 << 20} {
		if got, err := parseBytes(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "x", "-1", "3 apples", "nan", "1e30"} {
		if got, err := parseBytes(s); err == nil {
			t.Errorf("%q is accepted as %d", s, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 30: "5.0 GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "abc", 0}, {"partitons", "partitions", 1}, {"dri", "dir", 2}, {"kitten", "sitting", 3}} {
		if got := editDistance(tc.a, tc.b); got != tc.want {
			t.Errorf("%q to %q: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

// The names that Kafka's tools have for flags are understood.
func TestKafkasNamesOfFlags(t *testing.T) {
	s := newShell(t)
	broker := s.env["RAFKA_BROKERS"]
	s.env = nil
	s.must("topic create t --replication-factor 1 --bootstrap-server " + broker)
	if got := s.must("topic list --bootstrap-server=" + broker); !strings.Contains(got, "t ") {
		t.Errorf("topics:\n%s", got)
	}
	if _, errs, code := s.try(nil, "version --replication-factor 1"); code != 2 || !strings.Contains(errs, "--replication-factor") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
