package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The last offset before the last stable one is of an aborted transaction, whose marker lies behind it: no client ever gets
// that offset, so who waits for it waits for ever.
func TestConsumeEndsBehindAnAbortedTransaction(t *testing.T) {
	s := newShell(t)
	s.must("topic create t")
	s.must("produce t -m plain -q")
	begin := func(id string) *kgo.Client {
		cl := s.client(kgo.TransactionalID(id), kgo.DefaultProduceTopic("t"))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(id)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		return cl
	}
	aborted := begin("aborted")
	begin("open")
	if err := aborted.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	if got := s.must("consume t -e -f %s\\n"); got != "plain\n" {
		t.Errorf("committed: %q", got)
	}
	if got := s.must("consume t -e -f %s\\n --isolation read_uncommitted"); got != "plain\naborted\nopen\n" {
		t.Errorf("uncommitted: %q", got)
	}
}

// A range whose offsets were all compacted away ends as soon as a later offset shows, and prints nothing.
func TestConsumeEndsBehindCompactedOffsets(t *testing.T) {
	s := newShell(t)
	s.must("topic create t -c cleanup.policy=compact -c segment.bytes=200 -c min.cleanable.dirty.ratio=0")
	for range 20 {
		s.must("produce t -k same -m value -q")
	}
	s.cluster.Compact()
	if got := s.must("consume t -e -f %o,"); got != "18,19," {
		t.Errorf("offsets %s", got)
	}
	if got := s.must("consume t -o 2:5 -f %o,"); got != "" {
		t.Errorf("offsets 2 to 5: %s", got)
	}
}

// Following prints a record as it comes and ends with success when it is told to.
func TestConsumeFollowsUntilInterrupted(t *testing.T) {
	s := newShell(t)
	s.must("topic create t")
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"consume", "t", "-f", "%s;"}, streams{nil, w, io.Discard, func(k string) string { return s.env[k] }})
	}()
	for _, want := range []string{"one;", "two;"} {
		s.must("produce t -q -m " + strings.TrimSuffix(want, ";"))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	interrupt()
	select {
	case c := <-code:
		if c != 0 {
			t.Errorf("exit code %d", c)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not end")
	}
}

// CLI-3 and CLI-4: a file of any bytes, much larger than the buffers, comes back as it went in, in every compression.
func TestFileComesBackByteForByte(t *testing.T) {
	s := newShell(t)
	content := make([]byte, 3<<20)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] = '\n'
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		s.must("topic create " + codec)
		s.must("produce " + codec + " -q --file " + name + " -z " + codec)
		if got := s.must("consume -e --raw " + codec); !bytes.Equal([]byte(got), content) {
			t.Errorf("%s: %d bytes came back, %d went in, or they differ", codec, len(got), len(content))
		}
	}
}

// The shell offers the cluster's topics; without a cluster it offers nothing and prints nothing.
func TestCompletionOffersTopics(t *testing.T) {
	s := newShell(t)
	s.must("topic create orders")
	if got := s.must("__complete consume o"); !strings.HasPrefix(got, "orders\n") {
		t.Errorf("offers %q", got)
	}
	s.env["RAFKA_BROKERS"] = "127.0.0.1:1"
	if got := s.must("__complete consume o"); strings.Contains(got, "refused") {
		t.Errorf("offers %q", got)
	}
}
