package partition

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Append is a batch to append as leader.
type Append struct {
	// Records is one batch as the producer sent it. It is borrowed, and base offset, leader epoch and (LogAppendTime) timestamps are
	// written into it.
	Records record.Batches
	// AllReplicas asks for acks=-1: enough replicas must be in sync.
	AllReplicas bool
	// Waiter is told when the batch is committed; nil: nobody waits. It is told with Slot.
	Waiter *AckWaiter
	Slot   int32
}

// Appended is where a batch is.
type Appended struct {
	Base       kafka.Offset
	LogStart   kafka.Offset
	AppendTime kafka.Timestamp // NoTimestamp unless the topic stamps
}

// errTransactions refuses what would open a transaction: there is no coordinator yet that could end it. When it comes, this check
// goes, producers keep the first offset of each open transaction, and lastStable is the smallest of these.
var errTransactions = kafka.Errorf(kafka.InvalidTxnState, "this broker has no transaction coordinator: produce without transactional.id")

// AppendAsLeader appends one batch. It returns once the batch is readable here, and if a.Waiter is given, counts it among what that
// waits for; on an error it does not. It waits for nothing but the engine's back-pressure. A repeat of one of the producer's last five
// batches is not appended: it answers, and waits, as that batch did (PAR-3).
//
// Errors: what record.Validate finds; NotLeaderOrFollower; NotEnoughReplicas; InvalidProducerEpoch, OutOfOrderSequenceNumber;
// KafkaStorageError if the disk is full or broken.
func (p *Partition) AppendAsLeader(a Append, now time.Time) (Appended, error) {
	l, err := p.load()
	if err != nil {
		return Appended{}, err
	}
	s := p.settings.Load()
	ms := kafka.Timestamp(now.UnixMilli())
	batch, h, err := record.Validate(a.Records, &s.Rules, ms)
	if err != nil {
		return Appended{}, err
	}
	if h.IsTransactional() {
		return Appended{}, errTransactions
	}
	result := Appended{LogStart: p.LogStart(), AppendTime: kafka.NoTimestamp}
	if s.Rules.TimestampType == record.LogAppendTime {
		record.StampAppendTime(batch, ms)
		h.MaxTimestamp = ms
		result.AppendTime = ms
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	role, err := p.leader(kafka.NoEpoch)
	if err != nil {
		return Appended{}, err
	}
	if least := role.NeededInSync(s.MinISR); a.AllReplicas && role.ISR < least {
		return Appended{}, kafka.Errorf(kafka.NotEnoughReplicas, "%s has %d replicas in sync, min.insync.replicas is %d", p.id, role.ISR, least)
	}
	if h.ProducerID >= 0 {
		repeat, isRepeat, err := p.producers.check(&h)
		if err != nil {
			return Appended{}, err
		}
		if isRepeat {
			result.Base = repeat.base
			if result.AppendTime != kafka.NoTimestamp {
				result.AppendTime = repeat.timestamp
			}
			p.queueLocked(l, repeat.next(), 0, a.Waiter, a.Slot)
			return result, nil
		}
	}
	if err := p.rollIfDueLocked(l, s, now); err != nil {
		return Appended{}, err
	}
	record.Stamp(batch, p.end, role.Epoch)
	span, err := l.Append(batch)
	if err != nil {
		return Appended{}, offline(p.id, err)
	}
	result.Base = span.First
	if e := p.epochs.Load(); e.latest() < role.Epoch {
		next := e.assign(role.Epoch, span.First)
		p.epochs.Store(&next)
	}
	if h.ProducerID >= 0 {
		evicted := p.producers.evicted
		p.producers.add(&h, span.First, ms)
		if p.producers.evicted != evicted {
			p.stats.ProducersEvicted.Add(1)
		}
	}
	p.end = span.Next
	p.unsaved.Add(int64(span.Bytes))
	p.queueLocked(l, span.Next, span.Bytes, a.Waiter, a.Slot)
	p.stats.MessagesIn.Add(int64(h.Records))
	p.stats.BytesIn.Add(int64(span.Bytes))
	return result, nil
}

// rollIfDueLocked rolls the active segment if it is older than segment.ms, as Kafka does at an append. The segments are asked only
// when the last known age says that it may be time.
func (p *Partition) rollIfDueLocked(l *openLog, s *Settings, now time.Time) error {
	if now.Before(p.rollAt) {
		return nil
	}
	age := p.segmentAge(s)
	p.rollAt = now.Add(age)
	segmented, ok := l.Log.(storage.Segmented)
	if !ok {
		return nil
	}
	active, ok := activeSegment(segmented.Segments())
	if !ok {
		return nil
	}
	if due := active.Created.Add(age); now.Before(due) {
		p.rollAt = due
		return nil
	}
	if err := segmented.Roll(); err != nil {
		return offline(p.id, err)
	}
	return nil
}

// activeSegment is the last one, if there is anything in it to be rolled and it is known since when.
func activeSegment(segments []storage.SegmentInfo) (storage.SegmentInfo, bool) {
	if len(segments) == 0 {
		return storage.SegmentInfo{}, false
	}
	s := segments[len(segments)-1]
	return s, s.Active && s.Bytes > 0 && !s.Created.IsZero()
}
