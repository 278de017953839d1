package broker

import (
	"context"
	"iter"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Next fetches. It returns true as soon as there are records, and false at the end, on an error or when ctx has ended (Err).
func (t *Tail) Next(ctx context.Context) bool {
	t.release()
	for t.err == nil {
		if err := context.Cause(ctx); err != nil {
			t.err = err
			break
		}
		if t.refresh(); t.err != nil {
			break
		}
		request := t.request()
		if len(request.Partitions) == 0 {
			return false
		}
		t.fetched = t.fetch(request).Wait(ctx)
		if t.settle(ctx) {
			return true
		}
		t.release()
	}
	return false
}

// refresh looks at the image: the topic may be gone, or have more partitions.
func (t *Tail) refresh() {
	topic := t.verbs.Image().Topics.ByID(t.topic.ID)
	if topic == nil {
		t.err = kafka.Errorf(kafka.UnknownTopicOrPartition, "topic %s was deleted", t.topic.Name)
		return
	}
	if t.opts.Follow && t.opts.Partitions == nil {
		for p := len(t.topic.Partitions); p < len(topic.Partitions); p++ {
			t.parts = append(t.parts, tailPartition{partition: int32(p), moved: true})
		}
	}
	t.topic = topic
}

// request asks for every part that is not at its end, another one first each time.
func (t *Tail) request() *FetchRequest {
	r := &FetchRequest{ReplicaID: kafka.NoBroker, MaxWait: tailWait, MinBytes: 1, MaxBytes: t.opts.MaxBytes, Isolation: ReadUncommitted}
	if t.turn++; t.turn >= len(t.parts) {
		t.turn = 0
	}
	for i := range t.parts {
		at := (t.turn + i) % len(t.parts)
		p := &t.parts[at]
		if !t.opts.Follow && p.next >= p.end {
			continue
		}
		t.order = append(t.order, at)
		r.Partitions = append(r.Partitions, FetchPartition{
			// By id: a topic made anew under this name is another one.
			TopicID: t.topic.ID, Partition: p.partition, Offset: p.next, MaxBytes: t.opts.MaxBytes,
			LeaderEpoch: kafka.NoEpoch, LastFetchedEpoch: kafka.NoEpoch, LogStart: kafka.NoOffset,
		})
	}
	return r
}

// settle looks at what was fetched: true if there are records to deliver. It pauses after an error that may pass.
func (t *Tail) settle(ctx context.Context) bool {
	if len(t.fetched) != len(t.order) {
		if context.Cause(ctx) == nil {
			t.err = kafka.Errorf(kafka.UnknownServerError, "read %s: %d answers for %d partitions", t.topic.Name, len(t.fetched), len(t.order))
		}
		return false
	}
	some, failed := false, error(nil)
	for i := range t.fetched {
		r, p := &t.fetched[i], &t.parts[t.order[i]]
		switch code := kafka.CodeOf(r.Err); {
		case r.Err == nil && r.Records != nil && r.Records.Len() > 0:
			some = true
		case r.Err == nil && r.HighWatermark == Unanswered:
		case r.Err == nil:
			if p.live = true; !t.opts.Follow && r.HighWatermark <= p.next {
				p.end = p.next // the log ends here now, before where it ended at first
			}
		case code == kafka.OffsetOutOfRange:
			if t.err = t.returnToLog(ctx, p); t.err != nil {
				return false
			}
		case code.Retriable():
			failed = t.explain(r.Err, p.partition)
		default:
			t.err = t.explain(r.Err, p.partition)
			return false
		}
	}
	if some || failed == nil {
		t.failures = 0
		return some
	}
	if t.failures++; !t.opts.Follow && t.failures >= maxFailures {
		t.err = failed
		return false
	}
	pause(ctx, min(firstPause<<min(t.failures-1, 10), longerPause))
	return false
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// TailRecord is one record with its partition. Its slices are valid until the iteration goes on.
type TailRecord struct {
	Partition int32
	record.Record
}

// Records iterates what the last Next fetched. Who stops early stops for good or calls Next, which goes on after the last record seen.
func (t *Tail) Records() iter.Seq[TailRecord] {
	return func(yield func(TailRecord) bool) {
		for i := range t.fetched {
			if e := t.fetched[i].Records; e != nil {
				batches, err := e.Bytes()
				if err != nil {
					t.err = t.explain(err, t.parts[t.order[i]].partition)
				}
				if t.err != nil || !t.deliver(&t.parts[t.order[i]], batches, t.fetched[i].HighWatermark, yield) {
					return
				}
			}
		}
	}
}

// deliver yields the records of one partition's batches; false: stop.
func (t *Tail) deliver(p *tailPartition, batches record.Batches, high kafka.Offset, yield func(TailRecord) bool) bool {
	walked := 0
	for h, batch := range batches.All() {
		walked += len(batch)
		if h.NextOffset() <= p.next {
			continue
		}
		if t.opts.Latency != nil && p.live && !h.IsControl() && h.MaxTimestamp > 0 {
			t.opts.Latency.Observe(t.opts.Now().Sub(time.UnixMilli(int64(h.MaxTimestamp))))
		}
		if !h.IsControl() {
			for r, err := range record.Records(batch, t.opts.MaxDecompressed) {
				if err != nil {
					t.err = kafka.Errorf(kafka.CorruptMessage, "read %s-%d at offset %d: %w", t.topic.Name, p.partition, h.BaseOffset, err)
					return false
				}
				if r.Offset < p.next {
					continue
				}
				if !t.opts.Follow && r.Offset >= p.end {
					p.next = p.end // written since the Tail was opened
					return true
				}
				p.next, p.moved = r.Offset+1, true
				if !yield(TailRecord{Partition: p.partition, Record: r}) {
					return false
				}
			}
		}
		p.next, p.moved = h.NextOffset(), true
	}
	if walked != len(batches) {
		t.err = kafka.Errorf(kafka.CorruptMessage, "read %s-%d: %d bytes at offset %d are no whole batch", t.topic.Name, p.partition, len(batches)-walked, p.next)
		return false
	}
	p.live = p.live || p.next >= high
	return true
}
