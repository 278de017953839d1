package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Writers write to each partition of a topic one record after the other with acks=all, and know for how long none was acknowledged.
type Writers struct {
	cl     *kgo.Client
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	partitions []written
	errs       []string // what the client gave up
	wrong      []string // what must not be
}

// written is what one writer was told.
type written struct {
	last    time.Time // when the last record was acknowledged
	longest time.Duration
	offset  int64 // of the last record
}

// Write begins to write with a client of its own, which gets the options. The topic must be there.
func Write(topic string, partitions int, opts ...kgo.Opt) (*Writers, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0)}, opts...)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writers{cl: cl, cancel: cancel, partitions: make([]written, partitions)}
	for p := range partitions {
		w.partitions[p] = written{last: time.Now(), offset: -1}
		w.wg.Go(func() {
			for ctx.Err() == nil {
				w.one(ctx, int32(p))
			}
		})
	}
	return w, nil
}

func (w *Writers) one(ctx context.Context, partition int32) {
	r, err := w.cl.ProduceSync(ctx, &kgo.Record{Partition: partition, Value: []byte("x")}).First()
	w.mu.Lock()
	defer w.mu.Unlock()
	at := &w.partitions[partition]
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.errs = append(w.errs, fmt.Sprintf("partition %d: %v", partition, err))
	default:
		if r.Offset <= at.offset {
			w.wrong = append(w.wrong, fmt.Sprintf("partition %d: offset %d was acknowledged after %d", partition, r.Offset, at.offset))
		}
		now := time.Now()
		at.longest, at.last, at.offset = max(at.longest, now.Sub(at.last)), now, r.Offset
	}
}

// Begin forgets the pauses until now.
func (w *Writers) Begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.partitions {
		w.partitions[p].longest, w.partitions[p].last = 0, time.Now()
	}
}

// Longest is the longest pause of any partition since Begin, the present one included.
func (w *Writers) Longest() (longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.partitions {
		longest = max(longest, at.longest, time.Since(at.last))
	}
	return longest
}

// Since reports whether every partition has taken a record since a time.
func (w *Writers) Since(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.partitions {
		if at.last.Before(t) {
			return false
		}
	}
	return true
}

// Stop ends the writers and tells what the client gave up, which it tries again if it can be, and what must not be: an offset that was
// acknowledged twice.
func (w *Writers) Stop() (errs, wrong []string) {
	w.cancel()
	w.wg.Wait()
	w.cl.Close()
	return w.errs, w.wrong
}
