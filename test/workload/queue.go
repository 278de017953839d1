package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// queue is a topic whose records the share group "workers" takes, accepts, and sometimes gives back.
type queue struct {
	stop     atomic.Bool
	fed      atomic.Bool // the feeder has ended
	accepted atomic.Int64

	mu     sync.Mutex
	acked  map[string]bool   // at the producer
	done   map[string]bool   // accepted, and the broker has said so
	seen   map[string]int    // how often delivered
	flying map[string]flight // by key: the record that is with a worker
	doubt  map[string]bool   // accepted in a life of the process that ended before it answered
}

// flight is a record in the hands of a worker, between one harm and the next.
type flight struct {
	value string
	life  int64
}

func newQueue() *queue {
	return &queue{acked: map[string]bool{}, done: map[string]bool{}, seen: map[string]int{}, flying: map[string]flight{}, doubt: map[string]bool{}}
}

const keys = 40

func (q *queue) feed(ctx context.Context, w *World) {
	defer q.fed.Store(true)
	cl, err := kgo.NewClient(w.patient(kgo.DefaultProduceTopic("jobs"), kgo.MaxBufferedRecords(100))...)
	if err != nil {
		w.T.Error(err)
		return
	}
	defer cl.Close()
	for n := 0; ctx.Err() == nil && !q.stop.Load(); n++ {
		value := fmt.Sprintf("job-%06d", n)
		cl.Produce(context.Background(), &kgo.Record{Key: fmt.Appendf(nil, "key-%d", n%keys), Value: []byte(value)}, func(_ *kgo.Record, err error) {
			if err != nil {
				w.T.Errorf("produce to the queue: %v", err)
				return
			}
			q.mu.Lock()
			q.acked[value] = true
			q.mu.Unlock()
		})
		if n%10 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if err := cl.Flush(context.Background()); err != nil {
		w.T.Errorf("flush: %v", err)
	}
}

// work is one worker. It takes a few records, looks that nobody else has one of the same key, and accepts or gives back each.
func (q *queue) work(ctx context.Context, w *World, id int) {
	rng := rand.New(rand.NewPCG(w.Seed, uint64(9000+id)))
	var refused atomic.Bool // an acknowledgement, since the last look
	cl, err := kgo.NewClient(w.patient(kgo.ShareAckCallback(func(_ *kgo.Client, results kgo.ShareAckResults) {
		if !results.Ok() {
			refused.Store(true)
		}
	}), kgo.ShareGroup("workers"), kgo.ConsumeTopics("jobs"), kgo.ShareMaxRecords(20), kgo.ShareMaxRecordsStrict(), kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		w.T.Error(err)
		return
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		life := w.harm.Load()
		var accepted, released []*kgo.Record
		fetches.EachRecord(func(r *kgo.Record) {
			q.take(w, r, life)
			if rng.IntN(12) == 0 {
				released = append(released, r)
			} else {
				accepted = append(accepted, r)
			}
		})
		if len(accepted)+len(released) == 0 {
			continue
		}
		time.Sleep(time.Duration(rng.IntN(8)) * time.Millisecond) // the work
		q.giveBack(append(accepted, released...), life)
		refused.Store(false)
		mark(cl, kgo.AckAccept, accepted)
		mark(cl, kgo.AckRelease, released)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := cl.FlushAcks(limit)
		cancel()
		q.settle(accepted, err == nil && !refused.Load() && w.harm.Load() == life)
	}
}

// mark acknowledges records. The client takes none for all.
func mark(cl *kgo.Client, as kgo.AckStatus, records []*kgo.Record) {
	if len(records) > 0 {
		cl.MarkAcks(as, records...)
	}
}

// take notes a delivery and what is wrong with it.
func (q *queue) take(w *World, r *kgo.Record, life int64) {
	key, value := string(r.Key), string(r.Value)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.done[value] {
		w.T.Errorf("%s was delivered again after it was accepted", value)
	}
	// Where leaders move, locks end without a kill: who leads next knows what was accepted, not what is with workers.
	if f, ok := q.flying[key]; ok && f.life == life && f.value != value && w.Replication == 1 {
		w.T.Errorf("%s was delivered while %s of the same key %s is with a worker", value, f.value, key)
	}
	q.flying[key] = flight{value, life}
	q.seen[value]++
}

// giveBack says that the worker no longer works on the records. It comes before the acknowledgement leaves, since from then on the next
// of the key may be delivered.
func (q *queue) giveBack(records []*kgo.Record, life int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range records {
		if f := q.flying[string(r.Key)]; f == (flight{string(r.Value), life}) {
			delete(q.flying, string(r.Key))
		}
	}
}

// settle notes accepted records; sure means that the broker has confirmed them.
func (q *queue) settle(accepted []*kgo.Record, sure bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range accepted {
		if sure {
			q.done[string(r.Value)] = true
		} else {
			q.doubt[string(r.Value)] = true
		}
	}
	if sure {
		q.accepted.Add(int64(len(accepted)))
	}
}

// isDone reports whether all that was queued has been accepted, surely or possibly.
func (q *queue) isDone() bool {
	if !q.fed.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for value := range q.acked {
		if !q.done[value] && !q.doubt[value] {
			return false
		}
	}
	return true
}

// report says how far the queue is, for a test that has failed.
func (q *queue) report(t testing.TB) {
	if !t.Failed() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	open := 0
	for value := range q.acked {
		if !q.done[value] && !q.doubt[value] {
			if open++; open < 10 {
				t.Logf("%s was delivered %d times and not accepted", value, q.seen[value])
			}
		}
	}
	t.Logf("queue: %d produced, %d accepted, %d perhaps, %d open, with workers %v", len(q.acked), len(q.done), len(q.doubt), open, q.flying)
}

func (q *queue) verify(t testing.TB) {
	for value := range q.acked {
		if q.seen[value] == 0 {
			t.Errorf("%s was never delivered", value)
		}
	}
}
