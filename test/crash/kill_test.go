package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/internal/porttest"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/testbin"
)

const (
	partitions = 4
	topic      = "crash"
)

// ledger is what the producers were told: for each partition the values acknowledged, by offset.
type ledger struct {
	mu    sync.Mutex
	acked [partitions]map[int64]string
	total atomic.Int64
}

// TestKillLosesNothingAcknowledged produces with idempotent producers (and fsync on ack, the default) while the server is killed with SIGKILL
// and started again. At the end every acknowledged record must be at its acknowledged offset, each value once, and the values of a producer in
// a partition in the order in which they were sent.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("RAFKA_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	seed := seed.Of(t)
	t.Logf("seed %d, %d kills", seed, rounds)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir, addr := t.TempDir(), porttest.Free(t, 1)[0]
	args := []string{"--data-dir", dir, "--kafka-addr", addr, "--http-addr", "", "--grpc-addr", "", "--log-level", "warn", "--set", "num.partitions=" + strconv.Itoa(partitions)}
	srv := testbin.Start(t, args...)

	l := &ledger{}
	for p := range l.acked {
		l.acked[p] = map[int64]string{}
	}
	ctx, stop := context.WithCancel(context.Background())
	var producers sync.WaitGroup
	for id := range 3 {
		producers.Go(func() { produce(t, ctx, addr, id, l) })
	}
	for round := range rounds {
		time.Sleep(time.Duration(150+rng.IntN(600)) * time.Millisecond) // load for a while; the length is part of what is tried
		srv.Kill()
		before := l.total.Load()
		srv = testbin.Start(t, args...)
		waitFor(t, fmt.Sprintf("records are acknowledged again after kill %d", round), func() bool { return l.total.Load() > before })
	}
	stop()
	producers.Wait()
	verify(t, addr, l)
	if _, code := srv.Stop(t); code != 0 {
		t.Fatalf("exit code %d after a clean stop:\n%s", code, srv.Log())
	}
	testbin.Start(t, args...) // and once more after a clean stop
	verify(t, addr, l)
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within two minutes: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// produce sends values "producer/sequence" round robin until ctx ends, and notes what was acknowledged.
func produce(t *testing.T, ctx context.Context, addr string, id int, l *ledger) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(0), kgo.RecordRetries(1<<30), kgo.UnknownTopicRetries(-1), kgo.MaxBufferedRecords(2000),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.ProduceRequestTimeout(5*time.Second))
	if err != nil {
		t.Error(err)
		return
	}
	defer cl.Close()
	filler := make([]byte, 3000)
	for seq := 0; ctx.Err() == nil; seq++ {
		value := fmt.Sprintf("%d/%09d/", id, seq)
		size := []int{0, 100, 1000, len(filler)}[seq%4]
		rec := &kgo.Record{Partition: int32(seq % partitions), Value: append([]byte(value), filler[:size]...)}
		cl.Produce(context.Background(), rec, func(r *kgo.Record, err error) {
			if err != nil {
				if !errors.Is(err, kgo.ErrClientClosed) {
					t.Errorf("produce: %v", err)
				}
				return
			}
			l.mu.Lock()
			if was, ok := l.acked[r.Partition][r.Offset]; ok {
				t.Errorf("partition %d offset %d was acknowledged for %s and for %s", r.Partition, r.Offset, was, value)
			}
			l.acked[r.Partition][r.Offset] = value
			l.mu.Unlock()
			l.total.Add(1)
		})
		if seq%200 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	if err := cl.Flush(context.Background()); err != nil {
		t.Errorf("flush: %v", err)
	}
}

// verify reads everything and holds it against the ledger.
func verify(t *testing.T, addr string, l *ledger) {
	t.Helper()
	assign := map[int32]kgo.Offset{}
	for p := range partitions {
		assign[int32(p)] = kgo.NewOffset().AtStart()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: assign}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	want := 0
	for p := range l.acked {
		want += len(l.acked[p])
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	seen := map[string]int64{}
	var next [partitions]int64
	last := map[string]int{} // producer and partition: sequence
	found := 0
	for found < want {
		fs := cl.PollFetches(ctx)
		if err := fs.Err0(); err != nil {
			t.Fatalf("found %d of %d acknowledged records: %v", found, want, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			value := string(r.Value[:min(len(r.Value), 12)])
			if r.Offset != next[r.Partition] {
				t.Errorf("partition %d: offset %d follows %d", r.Partition, r.Offset, next[r.Partition]-1)
			}
			next[r.Partition] = r.Offset + 1
			if at, ok := seen[value]; ok {
				t.Errorf("%s stands at offset %d and at %d of partition %d", value, at, r.Offset, r.Partition)
			}
			seen[value] = r.Offset
			var id, seq int
			if _, err := fmt.Sscanf(value, "%d/%d/", &id, &seq); err != nil {
				t.Errorf("%q was never sent", value)
			}
			k := fmt.Sprintf("%d-%d", id, r.Partition)
			if was, ok := last[k]; ok && seq <= was {
				t.Errorf("producer %d in partition %d: %d comes after %d", id, r.Partition, seq, was)
			}
			last[k] = seq
			if acked, ok := l.acked[r.Partition][r.Offset]; ok {
				found++
				if acked != value {
					t.Errorf("partition %d offset %d was acknowledged for %s and holds %s", r.Partition, r.Offset, acked, value)
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d acknowledged records, each once, in order", want)
}
