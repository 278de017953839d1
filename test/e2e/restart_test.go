package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/internal/porttest"
	"github.com/rafka-io/rafka/rafkatest"
)

// stop ends a broker before its test does.
func stop(t *testing.T, b *rafkatest.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Server.Shutdown(ctx); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

// Topics, settings, records and log starts survive a restart.
func TestRestartKeepsEverything(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	b := rafkatest.StartOnDisk(t, dir)
	create(t, b, "kept", 3, "retention.ms", "123456789")
	cl := client(t, b, kgo.DefaultProduceTopic("kept"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 300 {
		produce(t, cl, &kgo.Record{Partition: int32(i % 3), Value: value(i, 100)})
	}
	cluster, err := admin(t, b).BrokerMetadata(within(t))
	if err != nil {
		t.Fatal(err)
	}
	cl.Close()
	stop(t, b)

	b = rafkatest.StartOnDisk(t, dir)
	if again, err := admin(t, b).BrokerMetadata(within(t)); err != nil || again.Cluster != cluster.Cluster {
		t.Errorf("cluster %q, was %q, error %v", again.Cluster, cluster.Cluster, err)
	}
	if v, _ := described(t, b, "kept", "retention.ms"); v != "123456789" {
		t.Errorf("retention.ms=%s", v)
	}
	for p := range int32(3) {
		if start, end := bounds(t, admin(t, b), "kept", p); start != 0 || end != 100 {
			t.Errorf("partition %d is [%d, %d)", p, start, end)
		}
	}
	for i, r := range consume(t, b, "kept", kgo.NewOffset().AtStart(), 100) {
		if string(r.Value) != string(value(3*i, 100)) {
			t.Fatalf("offset %d: %q", r.Offset, r.Value)
		}
	}
}

// A stop in the middle of everything answers what it took: every record that a producer was told of is there afterwards, in order and
// once; what it was not told of may be there or not (APP-3).
func TestStopUnderLoadLosesNoAck(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	b := rafkatest.StartOnDisk(t, dir)
	const producers = 8
	create(t, b, "load", producers)
	acked := make([][]int64, producers) // offsets, by partition; value i is at acked[p][i]
	var running sync.WaitGroup
	var warm sync.WaitGroup
	warm.Add(producers)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for p := range producers {
		cl := client(t, b, kgo.DefaultProduceTopic("load"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.AllowIdempotentProduceCancellation())
		running.Go(func() {
			for i := 0; ; i++ {
				if i == 50 {
					warm.Done()
				}
				r := &kgo.Record{Partition: int32(p), Value: fmt.Appendf(nil, "%d/%d", p, i)}
				if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
					if i < 50 {
						warm.Done()
						t.Errorf("producer %d, record %d: %v", p, i, err)
					}
					return
				}
				acked[p] = append(acked[p], r.Offset)
			}
		})
	}
	warm.Wait()
	stop(t, b)
	cancel() // the clients would look for the broker for a long time
	running.Wait()

	b = rafkatest.StartOnDisk(t, dir)
	total := 0
	for p := range int32(producers) {
		cl := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"load": {p: kgo.NewOffset().AtStart()}}))
		got := poll(t, cl, len(acked[p]))
		for i, at := range acked[p] {
			if got[i].Offset != at || string(got[i].Value) != fmt.Sprintf("%d/%d", p, i) {
				t.Fatalf("partition %d, offset %d: %q, want record %d at %d", p, got[i].Offset, got[i].Value, i, at)
			}
		}
		if _, end := bounds(t, admin(t, b), "load", p); end > int64(len(acked[p]))+1 {
			t.Errorf("partition %d has %d records, %d were acknowledged and one was under way", p, end, len(acked[p]))
		}
		total += len(acked[p])
	}
	t.Logf("%d records acknowledged before the stop", total)
}

// After a restart an idempotent producer goes on where it was: the broker remembers it (PAR-7),
// so the client keeps its producer id and epoch.
func TestIdempotentProducerGoesOnAfterARestart(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	addr := rafka.WithKafkaAddr(porttest.Free(t, 1)[0]) // the client knows this one only
	b := rafkatest.StartOnDisk(t, dir, addr)
	create(t, b, "seq", 1)
	cl := client(t, b, kgo.DefaultProduceTopic("seq"))
	for i := range 10 {
		produce(t, cl, &kgo.Record{Value: value(i, 20)})
	}
	stop(t, b)
	b = rafkatest.StartOnDisk(t, dir, addr)
	for i := range 10 {
		produce(t, cl, &kgo.Record{Value: value(10+i, 20)})
	}
	records := consume(t, b, "seq", kgo.NewOffset().AtStart(), 20)
	for i, r := range records {
		if string(r.Value) != string(value(i, 20)) || r.ProducerID != records[0].ProducerID || r.ProducerEpoch != records[0].ProducerEpoch {
			t.Fatalf("offset %d: %q of producer %d, epoch %d", r.Offset, r.Value, r.ProducerID, r.ProducerEpoch)
		}
	}
}
