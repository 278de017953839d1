package partition

import (
	"context"
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// FollowPoint is where a follower goes on.
type FollowPoint struct {
	Offset    kafka.Offset      // the next to fetch: the log end
	LastEpoch kafka.LeaderEpoch // of the last record, NoEpoch: there is none
	LogStart  kafka.Offset
	Epoch     kafka.LeaderEpoch // of the role: the current one
}

var errLeads = kafka.Errorf(kafka.NotLeaderOrFollower, "this broker leads the partition: it follows nobody")

// follower returns the role if this replica follows a leader of the epoch; NoEpoch: of any.
func (p *Partition) follower(epoch kafka.LeaderEpoch) (*Role, error) {
	r, err := p.served(epoch)
	if err == nil && r.IsLeader {
		return nil, errLeads
	}
	return r, err
}

// FollowPoint is where to fetch from next. It opens the log and reads what is known of it, if need be.
//
// Errors: NotLeaderOrFollower if this replica leads, or is no longer here; KafkaStorageError.
func (p *Partition) FollowPoint() (FollowPoint, error) {
	if _, err := p.follower(kafka.NoEpoch); err != nil {
		return FollowPoint{}, err
	}
	if _, err := p.load(); err != nil {
		return FollowPoint{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	role, err := p.follower(kafka.NoEpoch)
	if err != nil {
		return FollowPoint{}, err
	}
	return p.followPointLocked(role), nil
}

func (p *Partition) followPointLocked(role *Role) FollowPoint {
	return FollowPoint{Offset: p.end, LastEpoch: p.epochs.Load().truncate(p.end).latest(), LogStart: p.LogStart(), Epoch: role.Epoch}
}

// AppendAsFollower appends batches as the leader of an epoch has them, and takes them into what is known of producers, transactions, epochs and
// delays. It returns the log end. They are readable at once (by consumers as far as LeaderSaid says) and durable by SyncFollower. Batches
// that the log has already are skipped. It waits for nothing but the engine's back-pressure. b is borrowed. One caller at a time (REP-2).
//
// Errors: NotLeaderOrFollower, FencedLeaderEpoch and UnknownLeaderEpoch if the role is another by now; CorruptMessage if b is not whole batches of
// epochs and offsets that continue the log, and then none of them was appended; KafkaStorageError.
func (p *Partition) AppendAsFollower(epoch kafka.LeaderEpoch, b record.Batches) (next kafka.Offset, err error) {
	if _, err := p.follower(epoch); err != nil {
		return kafka.NoOffset, err
	}
	l, err := p.load()
	if err != nil {
		return kafka.NoOffset, err
	}
	headers, err := checkReplicated(b)
	if err != nil {
		return kafka.NoOffset, kafka.Errorf(kafka.CodeOf(err), "what the leader of %s sent cannot be used: %w", p.id, err)
	}
	if p.beginsBelow(l, headers) {
		if err := p.StartAt(epoch, p.LogStart()); err != nil {
			return kafka.NoOffset, err
		}
		l = p.log.Load()
	}
	s, now := p.settings.Load(), p.host.Now()

	p.mu.Lock()
	defer p.mu.Unlock()
	role, err := p.follower(epoch)
	if err != nil {
		return kafka.NoOffset, err
	}
	if !p.loaded.Load() {
		return kafka.NoOffset, errCutting
	}
	if headers, b, err = p.continuesLocked(l, role, headers, b); err != nil || len(headers) == 0 {
		return p.end, err
	}
	if err := p.rollIfDueLocked(l, s, now); err != nil {
		return kafka.NoOffset, err
	}
	span, err := l.Append(b)
	if err != nil {
		return kafka.NoOffset, offline(p.id, err)
	}
	err = p.foldLocked(headers, b, kafka.Timestamp(now.UnixMilli()))
	p.end = span.Next
	p.unsaved.Add(int64(span.Bytes))
	p.queueLocked(l, span.Next, span.Bytes, ack{})
	return p.end, err
}

// checkReplicated reads the headers of batches and verifies each.
func checkReplicated(b record.Batches) ([]record.Header, error) {
	var headers []record.Header
	for rest := []byte(b); len(rest) > 0; {
		h, err := record.Check(rest)
		if err != nil {
			return nil, err
		}
		headers = append(headers, h)
		rest = rest[h.Size():]
	}
	return headers, nil
}

// beginsBelow reports whether batches begin below the end of a log that has nothing, and reach above its start: it was cut to its start within a batch
// that the leader has, or has lost that batch. Such a log has to begin anew before it can take them.
func (p *Partition) beginsBelow(l *openLog, headers []record.Header) bool {
	start := p.LogStart()
	if len(headers) == 0 || headers[0].BaseOffset >= start || headers[0].NextOffset() <= start {
		return false
	}
	b := l.Bounds()
	return b.Start == b.End && headers[0].BaseOffset < b.End
}

// continuesLocked verifies that batches continue the log, and takes those off that it has. The first one in an empty log may begin below the log
// start, where the leader's log starts within a batch. mu is held.
func (p *Partition) continuesLocked(l *openLog, role *Role, headers []record.Header, b record.Batches) ([]record.Header, record.Batches, error) {
	for len(headers) > 0 && headers[0].NextOffset() <= p.end {
		b = b[headers[0].Size():]
		headers = headers[1:]
	}
	end, last := p.end, p.epochs.Load().latest()
	if end == p.LogStart() {
		end = min(end, l.Bounds().End)
	}
	for i := range headers {
		h := &headers[i]
		switch {
		case h.BaseOffset < end:
			return nil, nil, kafka.Errorf(kafka.CorruptMessage, "%s ends at offset %d and its leader sent a batch from %d to %d", p.id, end, h.BaseOffset, h.LastOffset())
		case h.LeaderEpoch < last || h.LeaderEpoch > role.Epoch:
			return nil, nil, kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d of %s is of leader epoch %d, after epoch %d and under a leader of epoch %d", h.BaseOffset, p.id, h.LeaderEpoch, last, role.Epoch)
		}
		end, last = h.NextOffset(), h.LeaderEpoch
	}
	return headers, b, nil
}

// foldLocked takes batches that were appended into what is known. mu is held.
func (p *Partition) foldLocked(headers []record.Header, b record.Batches, now kafka.Timestamp) error {
	var errs []error
	leaders, ended, evicted := *p.epochs.Load(), len(p.producers.ended), p.producers.evicted
	touched := false
	for i := range headers {
		h := &headers[i]
		batch := b[:h.Size()]
		b = b[h.Size():]
		leaders = leaders.assign(h.LeaderEpoch, h.BaseOffset)
		if h.IsControl() || h.IsReleased() {
			errs = append(errs, p.delays.fold(h, batch))
		}
		if h.ProducerID >= 0 {
			touched = touched || h.IsTransactional()
			errs = append(errs, p.producers.fold(h, batch, now))
		}
	}
	p.epochs.Store(&leaders)
	p.stats.ProducersEvicted.Add(p.producers.evicted - evicted)
	if touched {
		span := p.producers.ended[ended:]
		open := p.producers.firstOpen()
		p.publishAbortedLocked()
		p.restabilize(func(s *stability) {
			s.open = open
			for _, t := range span {
				s.end(t.first, t.last)
			}
		})
	}
	return errors.Join(errs...)
}

// SyncFollower returns once everything below upto is durable here, so that the next fetch may say so.
func (p *Partition) SyncFollower(ctx context.Context, upto kafka.Offset) error {
	l, err := p.use()
	if err != nil {
		return err
	}
	if err := l.Sync(ctx, min(upto, l.Bounds().End)); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return p.readFailed(err)
	}
	return nil
}

// LeaderSaid takes in what the leader of an epoch says with its batches: how far they are committed, and where its log starts. The high watermark
// rises to that, as far as the log reaches; what the leader has deleted is deleted, at once or, if that would have to wait, by a later call.
//
// Errors: as of AppendAsFollower.
func (p *Partition) LeaderSaid(epoch kafka.LeaderEpoch, hw, logStart kafka.Offset) error {
	if _, err := p.follower(epoch); err != nil {
		return err
	}
	l, err := p.load()
	if err != nil {
		return err
	}
	p.mu.Lock()
	if _, err := p.follower(epoch); err != nil {
		p.mu.Unlock()
		return err
	}
	end := p.end
	if len(p.producers.ended) > 0 {
		p.producers.committed(p.firm())
	}
	p.mu.Unlock()
	// Should this replica lead by now, what the last leader said is still so.
	p.waiting.Lock()
	if hw = min(hw, end); hw > p.HighWatermark() {
		p.raiseAndUnlock(hw)
	} else {
		p.waiting.Unlock()
	}
	if logStart <= p.LogStart() && !p.startsLate.Load() {
		return nil
	}
	return p.trimAsFollower(l, min(logStart, end))
}

// trimAsFollower deletes what the leader has deleted. It waits for no one: what cannot be done now is done when the leader says so again.
func (p *Partition) trimAsFollower(l *openLog, before kafka.Offset) error {
	if !p.maintenance.TryLock() {
		return nil
	}
	defer p.maintenance.Unlock()
	if p.startsLate.Load() && p.LogStart() <= l.Bounds().End {
		if err := l.TrimTo(p.LogStart()); err != nil {
			return p.readFailed(err)
		}
		if err := l.Sidecar().Delete(startBlob); err != nil {
			return p.readFailed(err)
		}
		p.startsLate.Store(false)
	}
	ctx, cancel := context.WithTimeout(context.Background(), syncPatience)
	defer cancel()
	switch err := p.trimLocked(ctx, l, before); {
	case err == nil, errors.Is(err, errUncommitted), ctx.Err() != nil:
		return nil
	default:
		return p.readFailed(err)
	}
}
