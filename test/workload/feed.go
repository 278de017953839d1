package workload

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// feed produces numbered values, which it deals out to the partitions in turn, and notes where they were acknowledged.
type feed struct {
	topic      string
	partitions int
	stop       atomic.Bool
	acked      atomic.Int64

	mu     sync.Mutex
	values map[string]place
}

// place is where a record stands.
type place struct {
	partition int32
	offset    int64
}

func newFeed(topic string, partitions int) *feed {
	return &feed{topic: topic, partitions: partitions, values: map[string]place{}}
}

func (f *feed) produce(ctx context.Context, w *World) {
	cl, err := kgo.NewClient(w.patient(kgo.DefaultProduceTopic(f.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(300))...)
	if err != nil {
		w.T.Error(err)
		return
	}
	defer cl.Close()
	for n := 0; ctx.Err() == nil && !f.stop.Load(); n++ {
		value := fmt.Sprintf("%08d", n)
		cl.Produce(context.Background(), &kgo.Record{Partition: int32(n % f.partitions), Value: []byte(value)}, func(r *kgo.Record, err error) {
			if err != nil {
				w.T.Errorf("produce to %s: %v", f.topic, err)
				return
			}
			f.mu.Lock()
			f.values[value] = place{r.Partition, r.Offset}
			f.mu.Unlock()
			f.acked.Add(1)
		})
		if n%20 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := cl.Flush(context.Background()); err != nil {
		w.T.Errorf("flush: %v", err)
	}
}

// verify reads the topic (WRK-1).
func (f *feed) verify(w *World) {
	seen := map[string]place{}
	next, last := map[int32]int64{}, map[int32]string{}
	err := w.readAll(f.topic, func(r *kgo.Record) {
		value, at := string(r.Value), place{r.Partition, r.Offset}
		if was, twice := seen[value]; twice {
			w.T.Errorf("%s stands at %v and at %v", value, was, at)
		}
		seen[value] = at
		if r.Offset != next[r.Partition] {
			w.T.Errorf("partition %d: offset %d follows %d", r.Partition, r.Offset, next[r.Partition]-1)
		}
		if value <= last[r.Partition] {
			w.T.Errorf("partition %d: %s comes after %s", r.Partition, value, last[r.Partition])
		}
		next[r.Partition], last[r.Partition] = r.Offset+1, value
	})
	if err != nil {
		w.T.Error(err)
		return
	}
	wrong := 0
	for value, at := range f.values {
		if got, ok := seen[value]; !ok || got != at {
			if wrong++; wrong < 5 {
				w.T.Errorf("%s was acknowledged at %v and stands at %v (there at all: %v)", value, at, got, ok)
			}
		}
	}
	if wrong > 0 {
		w.T.Errorf("%d of %d acknowledged records are missing or elsewhere", wrong, len(f.values))
	}
}
