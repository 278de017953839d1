package queue

import (
	"context"
	"errors"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// letterTimeout bounds one write to a dead-letter topic, as publishing does.
const letterTimeout = 30 * time.Second

// How many dead letters are made at a time, and how many bytes of the records that they copy are read for them.
const (
	lettersAtOnce = 500
	letterBytes   = 1 << 20
)

// writeLetters is the work of one of those who write dead letters.
func (m *Manager) writeLetters() {
	for {
		sp, ok := m.letters.take()
		if !ok {
			return
		}
		sp.writeLetters()
	}
}

// writeLetters writes the dead letters of a share partition one stretch after the other. What was written is archived. What could not be written
// stays and is tried again after a while, however often that is (Kafka gives up after five times); only where the settings forbid it the records
// are archived without, as in Kafka.
func (sp *sharePartition) writeLetters() {
	for {
		sp.mu.Lock()
		if sp.gone != nil || len(sp.letters) == 0 {
			sp.lettering = false
			sp.mu.Unlock()
			sp.forgetUnused()
			return
		}
		stretch, group := sp.letters[0], sp.group
		limit := sp.settings.DeliveryLimit
		sp.mu.Unlock()

		last, err := sp.writeStretch(stretch, &group, limit)
		forbidden := errors.Is(err, errMisconfigured)
		n := int64(last - stretch.First + 1)
		now := sp.m.opts.Now()
		sp.mu.Lock()
		switch {
		case sp.gone != nil:
			sp.lettering = false
			sp.mu.Unlock()
			return
		case err != nil && !forbidden:
			sp.m.stats.DeadLetterRetries.Add(1)
			sp.retries.failed(now, letterBackoff, letterBackoffMax)
			sp.lettering = false
			sp.changedLocked(now)
			sp.mu.Unlock()
			sp.m.opts.Logger.Warn("dead letters were not written, they will be tried again", "group", sp.key.group, "topic", sp.topic,
				"partition", sp.key.Partition, "offset", stretch.First, "dead_letter_topic", group.DeadLetterTopic, "err", err)
			return
		case forbidden:
			sp.m.stats.DeadLetterLost.Add(n)
		default:
			sp.m.stats.DeadLetters.Add(n)
			sp.retries = attempts{}
		}
		sp.state.DeadLettered(now, stretch.First, last)
		if sp.letters[0].First = last + 1; last >= stretch.Last {
			sp.letters = append(sp.letters[:0], sp.letters[1:]...)
		}
		sp.changedLocked(now)
		sp.mu.Unlock()
		if forbidden {
			sp.m.opts.Logger.Error("records are archived without having been written to a dead-letter topic", "group", sp.key.group, "topic", sp.topic,
				"partition", sp.key.Partition, "first", stretch.First, "last", last, "err", err)
		}
	}
}

// writeStretch writes the first dead letters of a stretch, as many as go at once, and returns the last offset it has dealt with. With
// errMisconfigured that is all of them.
func (sp *sharePartition) writeStretch(d share.DeadLetter, g *config.ShareGroup, limit int) (last kafka.Offset, err error) {
	ctx, cancel := context.WithTimeout(sp.m.ctx, letterTimeout)
	defer cancel()
	to, err := sp.m.deadLetterTopic(ctx, sp.key.group, g, sp.key.Partition)
	if err != nil {
		return d.Last, finally(err)
	}
	letters := sp.lettersOf(d, limit)
	if g.DeadLetterCopyRecord {
		if letters, err = sp.copyRecords(letters); err != nil {
			return d.Last, err
		}
	}
	for {
		batch, n, err := buildLetters(letters, sp.key.group, sp.topic, sp.key.Partition, kafka.Timestamp(sp.m.opts.Now().UnixMilli()), to.most)
		if err == nil {
			err = sp.m.deliver(ctx, to, batch)
		}
		if c := kafka.CodeOf(err); c != kafka.MessageTooLarge && c != kafka.RecordListTooLarge {
			return letters[n-1].offset, finally(err)
		}
		switch { // the sizes were an estimate
		case n > 1:
			letters = letters[:n/2]
		case letters[0].record != nil:
			letters = []letter{letters[0]}
			letters[0].record = nil // what is left says where the record is
		default:
			return d.Last, errors.Join(errMisconfigured, err)
		}
	}
}

// finally makes of an error that no patience helps against, such as that of a compacted topic about a record without a key, one about the settings.
func finally(err error) error {
	if c := kafka.CodeOf(err); c == kafka.None || c == kafka.UnknownServerError || c.Retriable() || errors.Is(err, errMisconfigured) {
		return err
	}
	return errors.Join(errMisconfigured, err)
}

// lettersOf is the first dead letters of a stretch.
func (sp *sharePartition) lettersOf(d share.DeadLetter, limit int) []letter {
	cause := causeRejected
	if d.Reason == share.UsedUp || d.Reason == share.Resumed && int(d.Count) >= limit {
		cause = causeTooOften
	}
	letters := make([]letter, 0, min(int(d.Last-d.First)+1, lettersAtOnce))
	for o := d.First; o <= d.Last && len(letters) < lettersAtOnce; o++ {
		letters = append(letters, letter{offset: o, count: d.Count, cause: cause})
	}
	return letters
}

// copyRecords gives dead letters the records that they are of, as far as they fit into memory at once, and returns those. Records that the log has
// no more are left out: their dead letters have headers only, as in Kafka.
func (sp *sharePartition) copyRecords(letters []letter) ([]letter, error) {
	first, last := letters[0].offset, letters[len(letters)-1].offset
	read, err := sp.log.Read(partition.ReadRequest{
		From: max(first, sp.log.LogStart()), MaxBytes: letterBytes, AtLeastOne: true, CurrentEpoch: sp.epoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker,
	})
	switch {
	case errors.Is(err, kafka.OffsetOutOfRange), err == nil && read.Records == nil:
		return letters, nil
	case err != nil:
		return nil, err
	}
	defer read.Records.Release()
	raw, err := read.Records.Bytes()
	if err != nil {
		return nil, err
	}
	next := first
	for h, b := range raw.All() {
		if h.BaseOffset > last {
			next = last + 1
			break
		}
		if err := sp.copyBatch(b, first, letters); err != nil {
			sp.m.opts.Logger.Warn("the records of a batch cannot be read, so their dead letters have headers only",
				"topic", sp.topic, "partition", sp.key.Partition, "offset", h.BaseOffset, "err", err)
		}
		next = h.NextOffset()
	}
	return letters[:min(max(int(next-first), 1), len(letters))], nil
}

// copyBatch gives dead letters, whose offsets follow each other from first on, their records out of one batch.
func (sp *sharePartition) copyBatch(batch []byte, first kafka.Offset, letters []letter) error {
	sp.m.unpacked <- struct{}{}
	defer func() { <-sp.m.unpacked }()
	for r, err := range record.Records(batch, maxUnpacked) {
		if err != nil {
			return err
		}
		if i := int(r.Offset - first); i >= 0 && i < len(letters) {
			letters[i].record = cloned(&r)
		}
	}
	return nil
}

// cloned is a copy that does not keep the batch in memory.
func cloned(r *record.Record) *record.Record {
	c := *r
	c.Key, c.Value = copyOf(r.Key), copyOf(r.Value)
	c.Headers = make([]record.RecordHeader, len(r.Headers))
	for i, h := range r.Headers {
		c.Headers[i] = record.RecordHeader{Key: h.Key, Value: copyOf(h.Value)}
	}
	return &c
}

// copyOf keeps nil apart from empty.
func copyOf(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
