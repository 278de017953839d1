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
)

// TestScripts runs the command line in this process against a fake broker of its own for each script.
//
//	rafka ARGS... [< FILE]   runs it; ! rafka: it must fail, with any exit code
//	code N                   checks the exit code of the last one
//	noerr                    checks that it wrote nothing to stderr
//
// A script that finds what it should not prints both streams.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.ClusterID("test-cluster"))
			if err != nil {
				return err
			}
			env.Defer(cluster.Close)
			env.Setenv("RAFKA_BROKERS", strings.Join(cluster.ListenAddrs(), ","))
			env.Values[lastCode{}] = new(int)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"rafka": scriptRafka,
			"code":  scriptCode,
			"noerr": func(ts *testscript.TestScript, _ bool, _ []string) {
				if s := ts.ReadFile("stderr"); s != "" {
					ts.Fatalf("stderr is not empty: %s", s)
				}
			},
		},
	})
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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
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
