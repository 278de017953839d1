package main

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// TestScripts runs the command line in this process against a fake broker of its own for each script.
//
//	rafka ARGS... [< FILE]      runs it; ! rafka: it must fail, with any exit code
//	code N                      checks the exit code of the last one
//	noerr                       checks that it wrote nothing to stderr
//	transact ID TOPIC VALUE     writes a record in a transaction that stays open until the end of the script
//	member GROUP TOPIC          consumes as a member of a group until "leave"
//	leave                       ends the members
//
// A script that finds what it should not prints both streams.
func TestScripts(t *testing.T) { runScripts(t, "testdata/script", fakeBroker) }

// What works with any broker is tried with two: the fake one, and Rafka itself.
func TestScriptsWithTwoBrokers(t *testing.T) {
	t.Run("fake", func(t *testing.T) { runScripts(t, "testdata/both", fakeBroker) })
	t.Run("rafka", func(t *testing.T) { runScripts(t, "testdata/both", realBroker(t)) })
}

// What only Rafka does, or the fake broker does not.
func TestScriptsWithRafka(t *testing.T) { runScripts(t, "testdata/rafka", realBroker(t)) }

// fakeBroker starts franz-go's fake for a script and returns where it listens.
func fakeBroker(env *testscript.Env) (string, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.ClusterID("test-cluster"))
	if err != nil {
		return "", err
	}
	env.Defer(cluster.Close)
	return strings.Join(cluster.ListenAddrs(), ","), nil
}

// realBroker starts Rafka for each script; the end of t stops them all.
func realBroker(t *testing.T) func(*testscript.Env) (string, error) {
	return func(env *testscript.Env) (string, error) {
		b := rafkatest.Start(t, rafka.WithHTTPAddr("127.0.0.1:0"))
		env.Setenv("HTTP", b.Server.HTTPAddr())
		return b.Addr, nil
	}
}

func runScripts(t *testing.T, dir string, start func(*testscript.Env) (string, error)) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			addr, err := start(env)
			env.Setenv("RAFKA_BROKERS", addr)
			env.Values[lastCode{}] = new(int)
			env.Values[clients{}] = new(clients)
			env.Defer(env.Values[clients{}].(*clients).close)
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"rafka":      scriptRafka,
			"code":       scriptCode,
			"transact":   scriptTransact,
			"member":     scriptMember,
			"fell":       scriptKill,
			"serve":      scriptServe,
			"eventually": scriptEventually,
			"leave":      func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value(clients{}).(*clients).close() },
			"noerr": func(ts *testscript.TestScript, _ bool, _ []string) {
				if s := ts.ReadFile("stderr"); s != "" {
					ts.Fatalf("stderr is not empty: %s", s)
				}
			},
		},
	})
}

// clients are what a script runs beside the command line.
type clients struct{ all *[]*kgo.Client }

func (c *clients) close() {
	if c.all == nil {
		return
	}
	for _, cl := range *c.all {
		cl.Close()
	}
	c.all = nil
}

func (c *clients) open(ts *testscript.TestScript, opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(ts.Getenv("RAFKA_BROKERS"), ",")...))...)
	ts.Check(err)
	if c.all == nil {
		c.all = new([]*kgo.Client)
	}
	*c.all = append(*c.all, cl)
	return cl
}

func scriptTransact(ts *testscript.TestScript, _ bool, args []string) {
	cl := ts.Value(clients{}).(*clients).open(ts, kgo.TransactionalID(args[0]), kgo.DefaultProduceTopic(args[1]))
	ts.Check(cl.BeginTransaction())
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ts.Check(cl.ProduceSync(ctx, kgo.StringRecord(args[2])).FirstErr())
}

// scriptMember returns when the member has got a record and committed that it did.
func scriptMember(ts *testscript.TestScript, _ bool, args []string) {
	cl := ts.Value(clients{}).(*clients).open(ts, kgo.ConsumerGroup(args[0]), kgo.ConsumeTopics(args[1]), kgo.DisableAutoCommit())
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ts.Check(cl.PollRecords(ctx, 1).Err())
	ts.Check(cl.CommitUncommittedOffsets(ctx))
}

type lastCode struct{}

func scriptRafka(ts *testscript.TestScript, neg bool, args []string) {
	var in io.Reader = strings.NewReader("")
	if n := len(args); n >= 2 && args[n-2] == "<" {
		f, err := os.Open(ts.MkAbs(args[n-1]))
		ts.Check(err)
		defer f.Close()
		in, args = f, args[:n-2]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	code := run(ctx, args, streams{in, ts.Stdout(), ts.Stderr(), ts.Getenv})
	*ts.Value(lastCode{}).(*int) = code
	if (code != 0) != neg {
		ts.Fatalf("exit code %d", code)
	}
}

func scriptCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := *ts.Value(lastCode{}).(*int); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
