package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shell runs command lines against one fake cluster.
type shell struct {
	t       *testing.T
	cluster *kfake.Cluster
	env     map[string]string
}

func newShell(t *testing.T, opts ...kfake.Opt) *shell {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.DefaultNumPartitions(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return &shell{t, cluster, map[string]string{"RAFKA_BROKERS": strings.Join(cluster.ListenAddrs(), ",")}}
}

// try runs one command line; words are separated by single spaces.
func (s *shell) try(in io.Reader, line string) (stdout, stderr string, code int) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(ctx, strings.Split(line, " "), streams{in, &out, &errs, func(k string) string { return s.env[k] }})
	return out.String(), errs.String(), code
}

// must runs one command line that has to succeed and returns its output.
func (s *shell) must(line string) string {
	s.t.Helper()
	out, errs, code := s.try(strings.NewReader(""), line)
	if code != 0 {
		s.t.Fatalf("rafka %s: exit code %d\n%s%s", line, code, out, errs)
	}
	return out
}

// client is a client of the same cluster, to do what the command line cannot.
func (s *shell) client(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(s.cluster.ListenAddrs()...))...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cl.Close)
	return cl
}
