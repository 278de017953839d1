package e2e

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/rafkatest"
)

// A consumer of many partitions, which franz-go reads by fetch sessions, misses nothing of any of them over several rounds.
func TestConsumerOfManyPartitionsMissesNothing(t *testing.T) {
	b := rafkatest.StartOnDisk(t)
	const partitions, rounds = 300, 4
	create(t, b, "wide", partitions)
	from := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		from[p] = kgo.NewOffset().AtStart()
	}
	consumer := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"wide": from}))
	producer := client(t, b, kgo.DefaultProduceTopic("wide"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	next := [partitions]int64{}
	for round := range rounds {
		var records []*kgo.Record
		for p := round; p < partitions; p += round + 1 { // all, then every second, third, fourth
			records = append(records, &kgo.Record{Partition: int32(p), Value: fmt.Appendf(nil, "%d in round %d", p, round)})
		}
		produce(t, producer, records...)
		for _, r := range poll(t, consumer, len(records)) {
			if r.Offset != next[r.Partition] || string(r.Value) != fmt.Sprintf("%d in round %d", r.Partition, round) {
				t.Fatalf("partition %d: offset %d, want %d: %q", r.Partition, r.Offset, next[r.Partition], r.Value)
			}
			next[r.Partition]++
		}
	}
}

// A fetch that may wait longer than the test is woken by the record it waits for.
func TestWaitingFetchIsWokenByARecord(t *testing.T) {
	b := rafkatest.StartOnDisk(t)
	create(t, b, "quiet", 1)
	consumer := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"quiet": {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchMaxWait(10*patience), kgo.FetchMinBytes(1))
	producer := client(t, b, kgo.DefaultProduceTopic("quiet"))
	for i := range 20 {
		produce(t, producer, &kgo.Record{Value: value(i, 20)})
		if r := poll(t, consumer, 1)[0]; r.Offset != int64(i) {
			t.Fatalf("offset %d, want %d", r.Offset, i)
		}
	}
}
