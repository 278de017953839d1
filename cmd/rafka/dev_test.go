package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// asRafka in the environment makes the test binary the program itself, so that `dev cluster`, which starts the program that it is, works in tests.
const asRafka = "TEST_AS_RAFKA"

func TestMain(m *testing.M) {
	if os.Getenv(asRafka) != "" {
		for _, v := range os.Environ() { // RAFKA_SEED and its like are for tests, and the server refuses keys that it does not know
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "RAFKA_") || strings.HasPrefix(name, "KAFKA_") {
				os.Unsetenv(name)
			}
		}
		main()
		return
	}
	os.Exit(m.Run())
}

// TestScriptsWithACluster runs the command line against three brokers, each a process of its own.
//
//	fell ID                     kills a broker
//	serve ID                    starts one again that was killed, as a person would
//	eventually REGEX rafka …    runs it until it prints a line that matches; with ! until it succeeds and prints none
func TestScriptsWithACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Setenv(asRafka, "1")
	runScripts(t, "testdata/cluster", func(env *testscript.Env) (string, error) {
		c := startCluster(t, "--nodes", "3")
		env.Values[theCluster{}] = c
		return c.brokers, nil
	})
}

type theCluster struct{}

// runningCluster is a `dev cluster` of a test.
type runningCluster struct {
	brokers, dir string
	stop         func() int // as Ctrl-C, and returns the exit code

	t         testing.TB
	mu        sync.Mutex
	out       bytes.Buffer
	processes map[int]int // by id of the broker
}

// Write collects what the command prints.
func (c *runningCluster) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *runningCluster) printed() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// waitFor returns once the command has printed what matches.
func (c *runningCluster) waitFor(t testing.TB, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m := re.FindStringSubmatch(c.printed()); m != nil {
			return m
		}
	}
	t.Fatalf("%q was not printed:\n%s", pattern, c.printed())
	return nil
}

// startCluster runs `dev cluster` until it is ready; the end of the test stops it. asRafka has to be set.
func startCluster(t *testing.T, args ...string) *runningCluster {
	t.Helper()
	c := &runningCluster{t: t, processes: map[int]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"dev", "cluster", "--kafka-port", "0"}, args...), streams{nil, c, c, os.Getenv})
	}()
	c.stop = sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { c.stop() })
	c.waitFor(t, `^ready in `)
	c.brokers = c.waitFor(t, `RAFKA_BROKERS=(\S+)`)[1]
	c.dir = c.waitFor(t, `^  data in ([^,\n]+)`)[1]
	for _, m := range regexp.MustCompile(`(?m)^  (\d+) +127\S+ +127\S+ +(\d+) `).FindAllStringSubmatch(c.printed(), -1) {
		id, _ := strconv.Atoi(m[1])
		c.processes[id], _ = strconv.Atoi(m[2])
	}
	return c
}

func (c *runningCluster) kill(id int) error {
	p, err := os.FindProcess(c.processes[id])
	if err == nil {
		err = p.Kill()
	}
	return err
}

// serve starts a broker again by the words that the command printed when it ended.
func (c *runningCluster) serve(t testing.TB, id int) {
	t.Helper()
	m := c.waitFor(t, fmt.Sprintf(`^start it again, in another terminal: rafka (serve --data-dir \S+node-%d)$`, id))
	cmd := exec.Command(os.Args[0], strings.Fields(m[1])...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.processes[id] = cmd.Process.Pid
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func scriptKill(ts *testscript.TestScript, _ bool, args []string) {
	id, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(ts.Value(theCluster{}).(*runningCluster).kill(id))
}

func scriptServe(ts *testscript.TestScript, _ bool, args []string) {
	id, err := strconv.Atoi(args[0])
	ts.Check(err)
	c := ts.Value(theCluster{}).(*runningCluster)
	c.serve(c.t, id)
}

func scriptEventually(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[0])
	var out, errs bytes.Buffer
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out.Reset()
		errs.Reset()
		code := run(context.Background(), args[2:], streams{strings.NewReader(""), &out, &errs, ts.Getenv})
		found := re.Match(out.Bytes()) || re.Match(errs.Bytes())
		if found && !neg || !found && neg && code == 0 {
			return
		}
	}
	ts.Fatalf("what is printed does not come to (not: %v) match %q:\n%s%s", neg, args[0], &out, &errs)
}

// A broker that is killed is started again where that is wished; Ctrl-C stops all, and leaves nothing behind.
func TestDevClusterRestartsAndStops(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Setenv(asRafka, "1")
	c := startCluster(t, "--nodes", "3", "--restart")
	if err := c.kill(2); err != nil {
		t.Fatal(err)
	}
	c.waitFor(t, `^broker 2 \(process \d+\) has ended: signal: killed; it is started again$`)
	c.waitFor(t, `^broker 2 is back as process \d+$`)
	if code := c.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", c.dir, err)
	}
	for _, addr := range strings.Split(c.brokers, ",") {
		if nc, err := net.Dial("tcp", addr); err == nil {
			nc.Close()
			t.Errorf("somebody still listens at %s", addr)
		}
	}
}

// With a directory the same cluster goes on the next time, and can have more brokers.
func TestDevClusterGoesOnInItsDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Setenv(asRafka, "1")
	dir := filepath.Join(t.TempDir(), "c")
	client := func(c *runningCluster, line string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args := append(strings.Split(line, " "), "-b", c.brokers)
		if code := run(t.Context(), args, streams{strings.NewReader(""), &out, &errs, os.Getenv}); code != 0 {
			t.Fatalf("rafka %s: exit code %d\n%s%s", line, code, &out, &errs)
		}
		return out.String()
	}
	c := startCluster(t, "--nodes", "1", "--data-dir", dir)
	client(c, "topic create t")
	client(c, "produce t -m hello")
	if code := c.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	c = startCluster(t, "--nodes", "2", "--data-dir", dir)
	if out := client(c, "consume t --exit-at-end --format %v"); out != "hello" {
		t.Errorf("consumed %q", out)
	}
	if out := client(c, "cluster nodes"); strings.Count(out, "serving") != 2 {
		t.Errorf("nodes:\n%s", out)
	}
	if code := c.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	_, err := planDev(dir, devOptions{nodes: 1, asked: true})
	if err == nil || !strings.Contains(err.Error(), "has 2 brokers already") {
		t.Errorf("fewer brokers: %v", err)
	}
	// Somebody listens where the cluster expects broker 1.
	all, err := planDev(dir, devOptions{nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", all[0].peer)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := planDev(dir, devOptions{nodes: 2}); err == nil || !strings.Contains(err.Error(), "is this cluster running already?") {
		t.Errorf("a port that is taken: %v", err)
	}
}

// A broker that cannot start ends the command, with what it said.
func TestDevClusterSaysWhyABrokerDidNotStart(t *testing.T) {
	t.Setenv(asRafka, "1")
	var out, errs bytes.Buffer
	args := []string{"dev", "cluster", "--nodes", "1", "--kafka-port", "0", "--set", "num.partitions=none"}
	if code := run(t.Context(), args, streams{nil, &out, &errs, os.Getenv}); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if s := errs.String(); !strings.Contains(s, "broker 1 did not start: exit status 1") || !strings.Contains(s, "num.partitions") {
		t.Errorf("it says\n%s", s)
	}
}

// Ports that are taken are replaced; none is given twice.
func TestPlanDevFindsFreePorts(t *testing.T) {
	taken := newPorts(true)
	defer taken.release()
	addr, err := taken.near(0)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(addr)
	port, _ := strconv.Atoi(text)
	all, err := planDev(t.TempDir(), devOptions{nodes: 5, kafkaPort: port})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for i, n := range all {
		if n.id != i+1 || !slices.Contains(n.args, n.kafka) || strings.Count(strings.Join(n.args, " "), n.peer) != 2 {
			t.Errorf("node %+v", n)
		}
		seen = append(seen, n.kafka, n.http, n.peer)
	}
	slices.Sort(seen)
	if slices.Contains(seen, addr) || len(slices.Compact(seen)) != 15 {
		t.Errorf("%s is taken, and the nodes have %v", addr, seen)
	}
}

// A broker that ends at once each time rests longer and longer, to a limit; one that has lived does not.
func TestDevNodeRests(t *testing.T) {
	n := &devNode{}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		if got := n.pause(time.Second); got != want*time.Second {
			t.Errorf("rest %d: %s, want %d s", i, got, want)
		}
	}
	if got := n.pause(time.Minute); got != time.Second {
		t.Errorf("after a minute: %s", got)
	}
}
