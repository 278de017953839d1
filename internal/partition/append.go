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
	// AllReplicas asks for acks=-1: enough replicas must be in sync, and Waiter is told when all of them have the batch.
	AllReplicas bool
	// Waiter is told when the batch is committed, or without AllReplicas when it is durable here; nil: nobody waits. It is told with Slot.
	Waiter *AckWaiter
	Slot   int32
	// Guard of GuardTxn, for a batch that begins a transaction which its coordinator knows.
	Guard TxnGuard
}

// Appended is where a batch is.
type Appended struct {
	Base       kafka.Offset
	LogStart   kafka.Offset
	AppendTime kafka.Timestamp // NoTimestamp unless the topic stamps
}

// AppendAsLeader appends one batch. It returns once the batch is readable here, and if a.Waiter is given, counts it among what that
// waits for; on an error it does not. It waits for nothing but the engine's back-pressure. A repeat of one of the producer's last five
// batches is not appended: it answers, and waits, as that batch did (PAR-3). A batch with records whose time has not come is stored so that nobody
// sees them (PAR-8); those of its records that are due are seen at once, at other offsets.
//
// Errors: what record.Validate finds; NotLeaderOrFollower; NotEnoughReplicas; InvalidProducerEpoch, OutOfOrderSequenceNumber; InvalidTxnState
// for a batch that would begin a transaction without the right guard, or lies outside the producer's open one; ConcurrentTransactions if the
// producer's last transaction still awaits its marker; KafkaStorageError if the disk is full or broken.
func (p *Partition) AppendAsLeader(a Append, now time.Time) (result Appended, err error) {
	l, err := p.load()
	if err != nil {
		return Appended{}, err
	}
	s := p.settings.Load()
	ms := kafka.Timestamp(now.UnixMilli())
	var asked *record.Asked
	if s.Rules.Delays {
		asked = &record.Asked{}
	}
	batch, h, err := record.ValidateAsking(a.Records, &s.Rules, ms, asked)
	if err != nil {
		return Appended{}, err
	}
	var held *holding // records wait for their time
	if asked != nil && asked.Later(ms) {
		if batch, h, held, err = p.hold(s, batch, &h, asked, ms); err != nil {
			return Appended{}, err
		}
	}
	result = Appended{LogStart: p.LogStart(), AppendTime: kafka.NoTimestamp}
	if s.Rules.TimestampType == record.LogAppendTime {
		if held == nil {
			if was, ok := record.ParseHeader(batch); ok {
				defer func() {
					if err != nil { // who waits for a role tries the same batch again, and clients may not stamp
						record.UnstampAppendTime(batch, &was)
					}
				}()
			}
			record.StampAppendTime(batch, ms)
			h.MaxTimestamp = ms
		}
		result.AppendTime = ms
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	role, err := p.mayAppend(s, a.AllReplicas)
	if err != nil {
		return Appended{}, err
	}
	waits := ack{waiter: a.Waiter, slot: a.Slot, own: !a.AllReplicas}
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
			p.queueLocked(l, repeat.next(), 0, waits)
			return result, nil
		}
		if err := p.producers.checkTxn(&h, a.Guard, true); err != nil {
			return Appended{}, err
		}
	}
	if held != nil {
		if err := p.roomToHold(s, held); err != nil {
			return Appended{}, err
		}
	}
	result.Base, err = p.writeLocked(l, s, role, batch, &h, nil, now, waits)
	if err == nil && held != nil {
		p.heldLocked(l, s, role, held, result.Base, now)
	}
	return result, err
}

// mayAppend returns the role if it allows an append. mu is held, so that it stays so (PAR-1).
func (p *Partition) mayAppend(s *Settings, allReplicas bool) (*Role, error) {
	role, err := p.leader(kafka.NoEpoch)
	switch {
	case err != nil:
		return nil, err
	case !p.leased():
		return nil, errDeposed
	case !p.loaded.Load():
		return nil, errCutting // after a load of before
	}
	if least := role.NeededInSync(s.MinISR); allReplicas && len(role.ISR) < least {
		return nil, kafka.Errorf(kafka.NotEnoughReplicas, "%s has %d replicas in sync, min.insync.replicas is %d", p.id, len(role.ISR), least)
	}
	return role, nil
}

// writeLocked appends a batch that was checked, of which h is the header, and takes it into what is known; marker is what it says if it is
// the marker of a transaction. It returns the base offset. mu is held. Nothing of the batch is remembered if it fails.
func (p *Partition) writeLocked(l *openLog, s *Settings, role *Role, batch record.Batches, h *record.Header, marker *record.EndTxnMarker, now time.Time, waits ack) (kafka.Offset, error) {
	if err := p.rollIfDueLocked(l, s, now); err != nil {
		return kafka.NoOffset, err
	}
	record.Stamp(batch, p.end, role.Epoch)
	begins := p.producers.begins(h)
	if begins {
		p.holdStable(p.end)
	}
	span, err := l.Append(batch)
	if err != nil {
		if begins {
			p.settleLocked(nil)
		}
		return kafka.NoOffset, offline(p.id, err)
	}
	if h.ProducerID >= 0 {
		evicted := p.producers.evicted
		ms := kafka.Timestamp(now.UnixMilli())
		if marker == nil {
			p.producers.add(h, span.First, ms)
		} else if ended, ok := p.producers.end(h, *marker, span.First, ms); ok {
			p.settleLocked(&ended)
		}
		if p.producers.evicted != evicted {
			p.stats.ProducersEvicted.Add(1)
		}
	}
	p.end = span.Next
	p.unsaved.Add(int64(span.Bytes))
	p.queueLocked(l, span.Next, span.Bytes, waits)
	p.stats.MessagesIn.Add(int64(h.Records))
	p.stats.BytesIn.Add(int64(span.Bytes))
	return span.First, nil
}

// settleLocked lets the last stable offset move to where the open transactions let it, after one has ended (nil: was not begun after all).
func (p *Partition) settleLocked(ended *endedTxn) {
	p.producers.committed(p.firm())
	p.publishAbortedLocked()
	open := p.producers.firstOpen()
	p.restabilize(func(s *stability) {
		s.open = open
		if ended != nil {
			s.end(ended.first, ended.last)
		}
	})
}

// publishAbortedLocked shows readers the aborted transactions. mu is held.
func (p *Partition) publishAbortedLocked() {
	a := &p.producers.aborted
	if was := p.aborted.Load(); was == nil && len(a.entries) == 0 && a.known == 0 ||
		was != nil && len(was.entries) == len(a.entries) && was.known == a.known && (len(a.entries) == 0 || &was.entries[0] == &a.entries[0]) {
		return
	}
	shown := *a
	p.aborted.Store(&shown)
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
