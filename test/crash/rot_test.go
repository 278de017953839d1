package crash

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/testbin"
)

// rotten is three brokers with a topic whose first segments are closed and not in memory.
type rotten struct {
	*testbin.Nodes
	t      *testing.T
	cl     *kgo.Client
	values [][]byte

	segments [][]byte // the first of each broker, as it was
}

const rottenTopic = "rotten"

func newRotten(t *testing.T, settings ...string) *rotten {
	args := []string{"--http-addr", "127.0.0.1:0", "--grpc-addr", "", "--log-level", "warn", "--set", "rafka.log.hot.bytes=1048576"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	r := &rotten{Nodes: testbin.NewNodes(t, 3, args...), t: t}
	t.Cleanup(r.Logs)
	r.Start()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.Kafka...), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(32<<10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	r.cl = cl
	segment := "1048576"
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 3, map[string]*string{"segment.bytes": &segment}, rottenTopic); err != nil {
		t.Fatal(err)
	}
	var batch []*kgo.Record
	for i := range 400 {
		v := append(fmt.Appendf(nil, "record %d ", i), bytes.Repeat([]byte{byte(i)}, 10_000)...)
		r.values = append(r.values, v)
		batch = append(batch, &kgo.Record{Topic: rottenTopic, Value: v})
	}
	if err := cl.ProduceSync(t.Context(), batch...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first segment of all replicas is closed", r.closed)
	return r
}

// leader is the index of the broker that leads.
func (r *rotten) leader() int {
	m, err := kadm.NewClient(r.cl).Metadata(r.t.Context(), rottenTopic)
	if err != nil {
		r.t.Fatal(err)
	}
	return int(m.Topics[rottenTopic].Partitions[0].Leader) - 1
}

// file is the first segment of broker i.
func (r *rotten) file(i int) string {
	return filepath.Join(r.Dirs[i], rottenTopic+"-0", fmt.Sprintf("%020d.log", 0))
}

// closed reads the first segment of each broker once it is closed. Each cuts its log into segments by itself, so they are not the same.
func (r *rotten) closed() bool {
	r.segments = nil
	for i := range r.Dirs {
		b, err := os.ReadFile(r.file(i))
		// The file of the next one is made when this one is complete.
		if next, _ := filepath.Glob(filepath.Join(filepath.Dir(r.file(i)), "*.log")); err != nil || len(next) < 2 {
			return false
		}
		r.segments = append(r.segments, b)
	}
	return true
}

// whole reports whether the first segment of broker i is what it was.
func (r *rotten) whole(i int) bool {
	b, err := os.ReadFile(r.file(i))
	return err == nil && bytes.Equal(b, r.segments[i])
}

// change changes the first segment of broker i in place.
func (r *rotten) change(i int, at int64, b []byte) {
	r.t.Helper()
	f, err := os.OpenFile(r.file(i), os.O_RDWR, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		r.t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		r.t.Fatal(err)
	}
}

// flip flips a bit in the middle of the first segment of broker i.
func (r *rotten) flip(i int) {
	r.t.Helper()
	at := len(r.segments[i]) / 2
	r.change(i, int64(at), []byte{r.segments[i][at] ^ 1})
}

// consume reads everything and compares.
func (r *rotten) consume() {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.Kafka...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{rottenTopic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	for n := 0; n < len(r.values); {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("%d of %d records were read: %v", n, len(r.values), fetches.Err())
		}
		fetches.EachRecord(func(got *kgo.Record) {
			if int(got.Offset) != n || !bytes.Equal(got.Value, r.values[n]) {
				r.t.Fatalf("record %d is not what was written to offset %d", got.Offset, n)
			}
			n++
		})
	}
}

// verify runs `rafka verify` and returns what it prints.
func (r *rotten) verify(args ...string) (out string, code int) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), testbin.Binary(r.t), append([]string{"verify", rottenTopic, "-b", r.Kafka[0], "--http", r.Procs[0].HTTP}, args...)...)
	b, err := cmd.Output()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// A bit that flips on one broker's disk is found by the scrub and fetched again, on a follower and on the leader, while everything is read as it was written.
func TestRotIsFoundAndMendedFromAnotherReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel()
	r := newRotten(t, "rafka.scrub.interval.ms=200", "rafka.scrub.bytes.per.second=134217728")
	leader := r.leader()
	for _, i := range []int{(leader + 1) % 3, leader} {
		r.flip(i)
		r.consume()
		waitFor(t, fmt.Sprintf("broker %d has mended its segment", i+1), func() bool { return r.whole(i) })
	}
	// What a process prints comes by a pipe, and a segment is whole on the disk a moment before its broker reads it again.
	waitFor(t, "the leader says what was damaged", func() bool {
		log := r.Procs[leader].Log()
		return strings.Contains(log, "records are damaged on this broker's disk") && strings.Contains(log, rottenTopic+"-0")
	})
	waitFor(t, "verify finds nothing", func() bool {
		out, code := r.verify("--deep")
		if code != 0 {
			t.Logf("verify: exit code %d\n%s", code, out)
		}
		return code == 0
	})
}

// Without a scrub a consumer's read finds the rot, is given none of it, and has it mended. A valid batch of other bytes is what only a comparison finds.
func TestVerifyFindsWhatNoChecksumTells(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel()
	r := newRotten(t, "rafka.scrub.bytes.per.second=0")
	leader := r.leader()
	r.flip(leader)
	r.consume()
	waitFor(t, "the leader has mended its segment", func() bool { return r.whole(leader) })
	waitFor(t, "verify finds the replicas equal", func() bool { // a moment after the disk has what it should
		out, code := r.verify()
		if code != 0 {
			t.Logf("verify: exit code %d\n%s", code, out)
		}
		return code == 0
	})

	bad := (leader + 1) % 3
	b := r.segments[bad]
	first, _ := record.ParseHeader(b)
	batch := bytes.Clone(b[first.Size():])
	h, _ := record.ParseHeader(batch)
	batch = batch[:h.Size()]
	batch[len(batch)-100] ^= 1
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
	r.change(bad, int64(first.Size()), batch)
	out, code := r.verify("-o", "json")
	var v struct {
		Different int
		Details   []struct {
			Differences []struct {
				From, To int64
				Bad      []int `json:"bad_broker_ids"`
				Rule     string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 1 || v.Different != 1 {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
	d := v.Details[0].Differences
	if len(d) != 1 || d[0].From != int64(h.BaseOffset) || d[0].To != int64(h.LastOffset()) || len(d[0].Bad) != 1 || d[0].Bad[0] != bad+1 || d[0].Rule != "majority" {
		t.Fatalf("want [%d, %d] of broker %d by majority:\n%s", h.BaseOffset, h.LastOffset(), bad+1, out)
	}
}
