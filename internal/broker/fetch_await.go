package broker

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// fetchAwait is a fetch request under way. It goes back to the pool at the end of Wait; only the results leave it.
type fetchAwait struct {
	b      *Broker
	req    *FetchRequest
	waiter *partition.FetchWaiter
	room   *room // of consumers, or of followers

	refused error           // why the asker is no follower
	timer   *time.Timer     // stopped between requests
	freed   <-chan struct{} // not nil: the last read found no room; closed when there may be some
	slots   []fetchSlot
}

// fetchSlot is one partition of the request.
type fetchSlot struct {
	p     *partition.Partition
	err   error            // why there is no p
	stats *partition.Stats // nil: no such topic
	read  partition.Read
}

func newFetchAwait(b *Broker) *fetchAwait {
	return &fetchAwait{b: b, waiter: partition.NewFetchWaiter()}
}

// Wait implements Await.
func (a *fetchAwait) Wait(ctx context.Context) []FetchResult {
	results := make([]FetchResult, len(a.req.Partitions))
	a.find()
	enough := a.read(results)
	if enough && a.awaitRole(ctx, results) {
		enough = a.read(results)
	}
	if wait := min(a.req.MaxWait, maxFetchWait); !enough && wait > 0 {
		a.wait(ctx, wait, results)
	}
	a.finish(results)
	return results
}

// find looks up the partitions, once.
func (a *fetchAwait) find() {
	find := lookup{replicas: a.b.opts.Replicas}
	for i := range a.req.Partitions {
		at := &a.req.Partitions[i]
		t, p, err := find.find(at.Topic, at.TopicID, at.Partition)
		if err == nil {
			err = a.refused
		}
		slot := fetchSlot{p: p, err: err}
		if t != nil {
			slot.stats = t.Stats
			if a.req.ReplicaID < 0 {
				t.Stats.FetchRequests.Add(1)
			}
		}
		a.slots = append(a.slots, slot)
	}
}

// read reads all partitions and reports whether that is an answer: there are enough bytes, or something failed that the client should
// know at once.
func (a *fetchAwait) read(results []FetchResult) (enough bool) {
	granted, freed := a.room.take(min(a.req.MaxBytes, a.b.opts.FetchMaxBytes))
	a.freed = freed
	left, closest := granted, a.b.closest(a.req)
	total, held, blocks := 0, int64(0), 0
	enough = len(results) == 0
	for i := range results {
		at, slot, r := &a.req.Partitions[i], &a.slots[i], &results[i]
		err := slot.err
		slot.read = partition.Read{HighWatermark: kafka.NoOffset, LastStable: kafka.NoOffset, LogStart: kafka.NoOffset}
		preferred := kafka.NoBroker
		if err == nil {
			ask := partition.ReadRequest{
				From: at.Offset, MaxBytes: min(at.MaxBytes, left), AtLeastOne: total == 0 && freed == nil,
				CurrentEpoch: at.LeaderEpoch, FetchedEpoch: at.LastFetchedEpoch, Isolation: a.req.Isolation,
				Replica: max(a.req.ReplicaID, kafka.NoBroker), ReplicaEpoch: a.req.ReplicaEpoch, LogStart: at.LogStart, FromFollower: a.req.AnyReplica,
			}
			throttled := a.req.ReplicaID >= 0 && isThrottled(slot.p, a.req.ReplicaID)
			if throttled && a.b.opts.Replicas.LeaderThrottle().Wait(a.b.opts.Now()) > 0 {
				ask.MaxBytes, ask.AtLeastOne = 0, false
			}
			if preferred = closest.to(slot.p); preferred != kafka.NoBroker {
				ask.MaxBytes, ask.AtLeastOne = 0, false // only whether the offset is one that can be read
			}
			slot.read, err = slot.p.Read(ask)
			if throttled && slot.read.Records != nil {
				a.b.opts.Replicas.LeaderThrottle().Spend(a.b.opts.Now(), slot.read.Records.Len())
			}
		}
		*r = FetchResult{
			Err: err, HighWatermark: slot.read.HighWatermark, LastStable: slot.read.LastStable, LogStart: slot.read.LogStart,
			Aborted: slot.read.Aborted, Diverging: slot.read.Diverging, Records: slot.read.Records,
			Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch, PreferredRead: kafka.NoBroker,
		}
		switch {
		case err != nil || r.Diverging != nil:
			enough = true
		case preferred != kafka.NoBroker && at.Offset <= r.HighWatermark: // so that every replica in sync has it
			r.PreferredRead, enough = preferred, true
		}
		if r.Records != nil {
			n := r.Records.Len()
			total += n
			left = max(left-n, 0)
			x := &roomed{Extent: r.Records, room: a.room, held: charge(n, &blocks)}
			held += x.held
			r.Records = x
		}
	}
	a.room.settle(granted, held)
	return enough || total >= a.req.MinBytes
}

// wait reads again each time enough may have come, until it has or the time is up.
func (a *fetchAwait) wait(ctx context.Context, most time.Duration, results []FetchResult) {
	pause := a.patience(most)
	if a.timer == nil {
		a.timer = time.NewTimer(pause)
	} else {
		a.timer.Reset(pause)
	}
	defer a.timer.Stop()
	for {
		late, look := false, false
		wait := a.freed != nil || a.register(results)
		releaseRecords(results) // nothing is held while waiting
		if wait {
			select {
			case <-a.waiter.Done():
			case <-a.freed:
			case <-a.timer.C:
				if most -= pause; most > 0 {
					look, pause = true, min(2*pause, most)
					a.timer.Reset(pause)
				}
				late = most <= 0
			case <-ctx.Done():
				late = true
			}
		}
		a.waiter.Stop()
		if a.read(results) || late || look && a.watermarkRose(results) {
			return
		}
	}
}

// register puts the waiter on all partitions; false: it is time to read again.
func (a *fetchAwait) register(results []FetchResult) bool {
	missing := a.req.MinBytes
	for i := range results {
		if results[i].Records != nil {
			missing -= results[i].Records.Len()
		}
	}
	a.waiter.Start(missing, len(results))
	for i := range a.slots {
		if !a.waiter.Await(a.slots[i].p, a.req.Partitions[i].Offset, &a.slots[i].read) {
			return false
		}
	}
	return true
}

func releaseRecords(results []FetchResult) {
	for i := range results {
		if results[i].Records != nil {
			results[i].Records.Release()
			results[i].Records = nil
		}
	}
}

// finish counts, tells who asked the wrong broker which is the right one, and gives the await back.
func (a *fetchAwait) finish(results []FetchResult) {
	for i := range results {
		at, slot, r := &a.req.Partitions[i], &a.slots[i], &results[i]
		r.Leader, r.LeaderEpoch = a.b.leaderFor(r.Err, at.Topic, at.TopicID, at.Partition)
		if r.Err != nil && slot.stats != nil && a.req.ReplicaID < 0 {
			slot.stats.FailedFetch.Add(1)
		}
		if r.Records != nil && a.req.ReplicaID < 0 {
			slot.stats.BytesOut.Add(int64(r.Records.Len()))
		}
	}
	clear(a.slots)
	a.req, a.slots, a.freed, a.room, a.refused = nil, a.slots[:0], nil, nil, nil
	a.b.fetches.Put(a)
}
