package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
)

// start finds out where every partition begins and, unless following, where it ends.
func (t *Tail) start(ctx context.Context) error {
	earliest, latest := int64(FromEarliest), int64(FromLatest)
	switch {
	case t.opts.Since > 0:
		first, err := t.list(ctx, t.parts, int64(t.opts.Since))
		if err != nil {
			return err
		}
		last, err := t.list(ctx, t.parts, latest)
		if err != nil {
			return err
		}
		for i := range t.parts {
			t.parts[i].next, t.parts[i].moved = first[i], true
			if first[i] < 0 {
				t.parts[i].next = last[i] // nothing is that young yet
			}
		}
	case t.opts.From < 0:
		at := earliest
		if t.opts.From == FromLatest {
			at = latest
		}
		offsets, err := t.list(ctx, t.parts, at)
		if err != nil {
			return err
		}
		for i := range t.parts {
			t.parts[i].next, t.parts[i].moved = offsets[i], true
		}
	default:
		for i := range t.parts {
			t.parts[i].next = t.opts.From
		}
	}
	if err := t.resume(ctx); err != nil {
		return err
	}
	if t.opts.Follow {
		return nil
	}
	ends, err := t.list(ctx, t.parts, latest)
	if err != nil {
		return err
	}
	for i := range t.parts {
		t.parts[i].end = ends[i]
		if t.parts[i].next > ends[i] {
			return t.beyondEnd(&t.parts[i], ends[i])
		}
	}
	return nil
}

// resume starts the parts that go on where an earlier reader was.
func (t *Tail) resume(ctx context.Context) error {
	if len(t.opts.Resume) == 0 {
		return nil
	}
	first, err := t.list(ctx, t.parts, int64(FromEarliest))
	if err != nil {
		return err
	}
	last, err := t.list(ctx, t.parts, int64(FromLatest))
	if err != nil {
		return err
	}
	for i := range t.parts {
		at, ok := t.opts.Resume[t.parts[i].partition]
		if !ok {
			continue
		}
		if at < first[i] || at > last[i] {
			at = first[i]
		}
		t.parts[i].next, t.parts[i].moved = at, true
	}
	return nil
}

// list asks ListOffsets for every part.
func (t *Tail) list(ctx context.Context, parts []tailPartition, timestamp int64) ([]kafka.Offset, error) {
	query := make([]ListOffsetsPartition, len(parts))
	for i := range parts {
		query[i] = ListOffsetsPartition{Topic: t.topic.Name, Partition: parts[i].partition, LeaderEpoch: kafka.NoEpoch, Timestamp: timestamp}
	}
	answers := t.verbs.ListOffsets(ctx, t.session, kafka.NoBroker, ReadUncommitted, query)
	if len(answers) != len(query) {
		return nil, kafka.Errorf(kafka.UnknownServerError, "list offsets of %s: %d answers to %d questions", t.topic.Name, len(answers), len(query))
	}
	offsets := make([]kafka.Offset, len(answers))
	for i, a := range answers {
		if a.Err != nil {
			return nil, t.explain(a.Err, parts[i].partition)
		}
		offsets[i] = a.Offset
	}
	return offsets, nil
}

// returnToLog moves a part whose offset the log does not have. Below the log start, retention was faster than the reader: it goes on at
// the oldest record, and the gap shows in the offsets. Beyond the end there is nothing to go on with.
func (t *Tail) returnToLog(ctx context.Context, p *tailPartition) error {
	one := []tailPartition{*p}
	start, err := t.list(ctx, one, int64(FromEarliest))
	if err != nil {
		return err
	}
	if p.next < start[0] {
		p.next, p.moved = start[0], true
		return nil
	}
	end, err := t.list(ctx, one, int64(FromLatest))
	if err != nil {
		return err
	}
	if p.next > end[0] {
		return t.beyondEnd(p, end[0])
	}
	return nil
}

func (t *Tail) beyondEnd(p *tailPartition, end kafka.Offset) error {
	if p.moved {
		return kafka.Errorf(kafka.OffsetOutOfRange, "%s-%d ends at %d now, before offset %d that comes next: its last records were lost; read again from %d or before",
			t.topic.Name, p.partition, end, p.next, end)
	}
	return kafka.Errorf(kafka.OffsetOutOfRange, "%s-%d has no offset %d; it ends at %d", t.topic.Name, p.partition, p.next, end)
}

// explain gives an error that is only a code the words that a person needs.
func (t *Tail) explain(err error, partition int32) error {
	if kafka.MessageOf(err) != "" {
		return err
	}
	return kafka.Errorf(kafka.CodeOf(err), "read %s-%d: %w", t.topic.Name, partition, err)
}
