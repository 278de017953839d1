package broker

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// produceAwait is a produce request under way. It goes back to the pool at the end of Wait; only the results leave it.
type produceAwait struct {
	b        *Broker
	waiter   *partition.AckWaiter
	timer    *time.Timer // stopped between requests
	req      *ProduceRequest
	results  []ProduceResult
	slots    []produceSlot // one for each partition of req
	deadline time.Time
	waits    bool
	late     []int32
	early    []int32     // refused because the partition is not led here yet; empty but while that is waited for
	admitted []admission // one for each partition of req, if it has batches of transactions
}

// produceSlot is one partition of the request.
type produceSlot struct {
	partition *partition.Partition // nil: not here
	stats     *partition.Stats     // nil: no such topic
}

func newProduceAwait(b *Broker) *produceAwait {
	return &produceAwait{b: b, waiter: partition.NewAckWaiter()}
}

// Ready reports whether Wait would return at once, so that a door can send answers that are ready together.
func (a *produceAwait) Ready() bool { return !a.waits || a.waiter.Ready() }

// Wait implements Await.
func (a *produceAwait) Wait(ctx context.Context) []ProduceResult {
	if a.waits {
		select {
		case <-a.waiter.Done():
		default:
			a.wait(ctx)
		}
		for _, f := range a.waiter.Failed() {
			a.fail(f.Slot, f.Err)
		}
	}
	results := a.results
	a.release()
	return results
}

func (a *produceAwait) wait(ctx context.Context) {
	left := time.Until(a.deadline)
	if a.timer == nil {
		a.timer = time.NewTimer(left)
	} else {
		a.timer.Reset(left)
	}
	defer a.timer.Stop()
	select {
	case <-a.waiter.Done():
		return
	case <-a.timer.C:
	case <-ctx.Done():
	}
	a.late = a.late[:0]
	for i := range a.slots {
		if p := a.slots[i].partition; p != nil {
			a.late = p.Forget(a.waiter, a.late)
		}
	}
	for _, slot := range a.late {
		a.results[slot].Err = errTimedOut
		a.slots[slot].stats.FailedProduce.Add(1)
	}
	// What is not late is being completed right now.
	if len(a.late) == 0 || !a.waiter.Drop(len(a.late)) {
		<-a.waiter.Done()
	}
}

// fail answers a slot with an error.
func (a *produceAwait) fail(slot int32, err error) {
	at := &a.req.Partitions[slot]
	r := &a.results[slot]
	*r = ProduceResult{Err: err, BaseOffset: kafka.NoOffset, LogAppendTime: kafka.NoTimestamp, LogStart: kafka.NoOffset}
	r.Leader, r.LeaderEpoch = a.b.leaderFor(err, at.Topic, at.TopicID, at.Partition)
	if stats := a.slots[slot].stats; stats != nil {
		stats.FailedProduce.Add(1)
	}
}

func (a *produceAwait) release() {
	clear(a.slots)
	a.admitted = a.admitted[:0]
	a.req, a.results, a.slots, a.waits = nil, nil, a.slots[:0], false
	a.b.produces.Put(a)
}
