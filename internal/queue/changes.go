package queue

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// changedLocked is called after each operation on sp.state: what is to be written gets in line, and so do dead letters; the time of the next
// look is set, and if there may be more to have than before, one of those who wait looks.
func (sp *sharePartition) changedLocked(now time.Time) {
	if sp.gone != nil || sp.state == nil {
		return
	}
	if !sp.writing && !sp.attempts.rest(now) && sp.state.Changes(&sp.change) {
		sp.writing = true
		sp.m.writes.push(sp)
	}
	sp.letters = sp.state.DeadLetters(sp.letters)
	if len(sp.letters) > 0 && !sp.lettering && !sp.retries.rest(now) {
		sp.lettering = true
		sp.m.letters.push(sp)
	}
	sp.wake = sp.state.NextWake(now)
	at := sp.wake
	for _, other := range []time.Time{sp.attempts.next, sp.retries.next} {
		if other.After(now) && (at.IsZero() || other.Before(at)) {
			at = other
		}
	}
	sp.m.timers.set(sp, at)
	if sp.state.Woke() {
		sp.waiters.wakeOne()
	}
}

// tick is called when the time has come that changedLocked had set.
func (sp *sharePartition) tick(now time.Time) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil || sp.state == nil {
		return
	}
	sp.expireLocked(now)
	sp.changedLocked(now)
	sp.waiters.wakeOne() // of what has rested, Woke says nothing
}

// expireLocked ends the locks whose time has come.
func (sp *sharePartition) expireLocked(now time.Time) bool {
	if sp.wake.IsZero() || now.Before(sp.wake) {
		return false
	}
	before := sp.state.Stats(now).Acquired
	if !sp.state.Expire(now) {
		return false
	}
	sp.m.stats.Expired.Add(int64(before - sp.state.Stats(now).Acquired))
	return true
}

// release gives back what a member holds. The answer is whether it held anything.
func (sp *sharePartition) release(member string) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil || sp.state == nil || !sp.state.Release(sp.m.opts.Now(), member) {
		return false
	}
	sp.changedLocked(sp.m.opts.Now())
	return true
}

// writeChanges is the work of one of the writers, who load share partitions, too.
func (m *Manager) writeChanges() {
	for {
		sp, ok := m.writes.take()
		if !ok {
			return
		}
		select {
		case <-sp.ready:
			sp.write()
		default:
			sp.open()
		}
	}
}

// write sends the change that is under way, and tells the state what became of it. After a failure that may pass it is tried again later.
func (sp *sharePartition) write() {
	ctx, cancel := context.WithTimeout(sp.m.ctx, sp.m.opts.WriteTimeout)
	defer cancel()
	ticket := sp.change.Ticket // nobody else touches change while it is under way
	done := int64(sp.change.StartOffset) + int64(sp.change.DeliveryComplete)
	err := sp.send(ctx, &sp.change)
	sp.m.stats.StateWrites.Add(1)

	sp.mu.Lock()
	sp.writing = false
	now := sp.m.opts.Now()
	if sp.gone != nil {
		sp.mu.Unlock()
		return
	}
	if err == nil {
		sp.attempts = attempts{}
		sp.m.stats.Done.Add(max(done-sp.done, 0))
		sp.done = max(done, sp.done)
		sp.state.Persisted(now, ticket)
	} else {
		sp.m.stats.StateFailures.Add(1)
		sp.attempts.failed(now, writeBackoff, writeBackoffMax)
		sp.state.PersistFailed(now, ticket)
	}
	sp.resolveLocked(ticket, err)
	sp.changedLocked(now)
	sp.mu.Unlock()
	switch {
	case err == nil:
		sp.forgetUnused()
	case passes(err):
		sp.m.opts.Logger.Warn("the state of a share partition was not written, it will be tried again", "group", sp.key.group, "topic", sp.topic, "partition", sp.key.Partition, "err", err)
	default: // fenced, or the group or the topic is gone: whoever asks next reads what is there now
		sp.m.forget(sp, err)
	}
}

// passes reports whether an error of the share coordinator may pass by itself.
func passes(err error) bool {
	switch kafka.CodeOf(err) {
	case kafka.NotLeaderOrFollower, kafka.GroupIDNotFound, kafka.UnknownTopicOrPartition:
		return false
	}
	return true
}

// send writes to the share coordinator and returns when that is durable.
func (sp *sharePartition) send(ctx context.Context, w *share.Write) error {
	req := kmsg.NewPtrWriteShareGroupStateRequest()
	req.Version = 1
	req.GroupID = sp.key.group
	p := kmsg.NewWriteShareGroupStateRequestTopicPartition()
	p.Partition, p.StateEpoch, p.LeaderEpoch = sp.key.Partition, w.StateEpoch, int32(sp.epoch)
	p.StartOffset, p.DeliveryCompleteCount = int64(w.StartOffset), w.DeliveryComplete
	p.StateBatches = make([]kmsg.WriteShareGroupStateRequestTopicPartitionStateBatch, len(w.Batches))
	for i, b := range w.Batches {
		p.StateBatches[i] = kmsg.WriteShareGroupStateRequestTopicPartitionStateBatch{FirstOffset: int64(b.First), LastOffset: int64(b.Last), DeliveryState: int8(b.State), DeliveryCount: b.Count}
	}
	t := kmsg.NewWriteShareGroupStateRequestTopic()
	t.TopicID, t.Partitions = sp.key.Topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := sp.m.opts.States.WriteShareGroupState(ctx, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return errNoAnswer
	}
	if r := &resp.Topics[0].Partitions[0]; r.ErrorCode != 0 {
		return sp.stateError(kafka.ErrorCode(r.ErrorCode), r.ErrorMessage)
	}
	return nil
}

// resolveLocked tells who waits for a write what became of it.
func (sp *sharePartition) resolveLocked(t share.Ticket, err error) {
	if o := sp.outcomes[t]; o != nil {
		o.err = err
		close(o.done)
		delete(sp.outcomes, t)
	}
}

// How long to rest after a write failed that may succeed later: doubled each time up to a ceiling.
const (
	writeBackoff     = 100 * time.Millisecond
	writeBackoffMax  = 5 * time.Second
	letterBackoff    = time.Second // as Kafka's, REQUEST_BACKOFF_MS and its ceiling
	letterBackoffMax = 30 * time.Second
)

// attempts counts failures in a row.
type attempts struct {
	count int
	next  time.Time // not before; zero: at once
}

// rest reports whether it is too early.
func (a *attempts) rest(now time.Time) bool { return now.Before(a.next) }

func (a *attempts) failed(now time.Time, first, most time.Duration) {
	a.next = now.Add(min(first<<min(a.count, 16), most))
	a.count++
}
