package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// atOnce is how many letters are sent before their progress is committed: what a crash can send twice at most. mostPlanned bounds the list
// of a dry run.
const (
	atOnce      = 500
	mostPlanned = 10_000
)

// redriving is a redrive under way.
type redriving struct {
	*redriveOptions
	adm    *admin
	sender *kgo.Client
	places places // of topics whose letters carry no copy

	letters, copies []*kgo.Record // at hand: a letter and, at the same place, what to send; nil: nothing
	next            kadm.Offsets  // progress, once it is committed
	sent            map[string]int64
	skipped         int64
	planned         []plannedLetter

	taken, total int64
	bars         bool
	notes        io.Writer
}

// plannedLetter is a line of a dry run.
type plannedLetter struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	To        string `json:"to"`
	Key       string `json:"key"`
	Value     string `json:"value"`
}

// redriveReport is the answer in JSON.
type redriveReport struct {
	Sent    []sentTopic     `json:"redriven"`
	Skipped int64           `json:"skipped"`
	Planned []plannedLetter `json:"planned,omitempty"`
}

type sentTopic struct {
	Topic    string `json:"topic"`
	Messages int64  `json:"messages"`
}

func (d *redriving) report() redriveReport {
	r := redriveReport{Sent: []sentTopic{}, Skipped: d.skipped, Planned: d.planned}
	for topic, n := range d.sent {
		r.Sent = append(r.Sent, sentTopic{topic, n})
	}
	slices.SortFunc(r.Sent, func(a, b sentTopic) int { return strings.Compare(a.Topic, b.Topic) })
	return r
}

// take makes a copy of a letter and sends it in company.
func (d *redriving) take(ctx context.Context, letter *kgo.Record) error {
	c, err := d.copyOf(ctx, letter)
	if err != nil {
		return err
	}
	d.taken++
	if d.dryRun {
		d.plan(letter, c)
	} else {
		d.letters, d.copies = append(d.letters, letter), append(d.copies, c)
		if len(d.letters) >= atOnce {
			if err := d.send(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
	}
	if d.taken == d.count || d.dryRun && len(d.planned) == mostPlanned {
		return errEnough
	}
	return nil
}

func (d *redriving) plan(letter, c *kgo.Record) {
	p := plannedLetter{Partition: letter.Partition, Offset: letter.Offset, To: "(skipped)"}
	if c != nil {
		p.To, p.Key, p.Value = c.Topic, valueText(c.Key), valueText(c.Value)
		if c.Partition >= 0 {
			p.To = fmt.Sprintf("%s/%d", c.Topic, c.Partition)
		}
	}
	d.planned = append(d.planned, p)
}

// copyOf is what to send for a letter; nil: nothing.
func (d *redriving) copyOf(ctx context.Context, letter *kgo.Record) (*kgo.Record, error) {
	o, known := originOf(letter.Headers)
	if !known && d.to == "" {
		if d.skipUnknown {
			d.skip(letter, "its headers do not say where it comes from")
			return nil, nil
		}
		return nil, fmt.Errorf("%s/%d@%d: its headers do not say where it comes from: name a topic with --to, or add --skip-unknown", letter.Topic, letter.Partition, letter.Offset)
	}
	if o.Topic == letter.Topic && d.to == "" {
		d.skip(letter, "it comes from the dead-letter topic itself")
		return nil, nil
	}
	c := &kgo.Record{Topic: cmp.Or(d.to, o.Topic), Partition: -1, Key: letter.Key, Value: letter.Value, Headers: withoutLetterHeaders(letter.Headers)}
	if known && d.to == "" {
		c.Partition = o.Partition
	}
	// Whether a letter carries a copy does not stand in it. Without key and value it may not, and then the original tells.
	if known && letter.Key == nil && letter.Value == nil && o.Partition >= 0 && o.Offset >= 0 {
		original, err := d.original(ctx, o)
		if err != nil {
			return nil, err
		}
		if original == nil {
			d.skip(letter, "it carries no copy, and its original is gone")
			return nil, nil
		}
		c.Key, c.Value, c.Headers = original.Key, original.Value, withoutLetterHeaders(original.Headers)
	}
	return c, nil
}

// original reads the record that a letter tells of; nil: it is no longer there.
func (d *redriving) original(ctx context.Context, o origin) (*kgo.Record, error) {
	if d.places == nil {
		d.places = make(places)
	}
	if _, ok := d.places[o.Topic]; !ok {
		found, err := locate(ctx, d.adm, []string{o.Topic})
		if err != nil {
			return nil, err
		}
		d.places[o.Topic] = found[o.Topic]
	}
	if d.places[o.Topic].Err != nil {
		return nil, nil // the topic is gone
	}
	r, err := d.places.firstRecord(ctx, d.adm, o.Topic, o.Partition, o.Offset)
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange), err == nil && (r == nil || r.Offset != o.Offset):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the original of a letter: %w", err)
	}
	return r, nil
}

func (d *redriving) skip(letter *kgo.Record, why string) {
	d.skipped++
	fmt.Fprintf(d.notes, "rafka: %s/%d@%d is skipped: %s\n", letter.Topic, letter.Partition, letter.Offset, why)
}

// send sends what is at hand and commits the progress: in each partition up to the first letter whose copy was not acknowledged.
func (d *redriving) send(ctx context.Context) error {
	if len(d.letters) == 0 {
		return nil
	}
	var batch []*kgo.Record
	for _, c := range d.copies {
		if c != nil {
			batch = append(batch, c)
		}
	}
	failed := make(map[*kgo.Record]error)
	var first error
	for _, res := range d.sender.ProduceSync(ctx, batch...) {
		if res.Err != nil {
			failed[res.Record] = res.Err
			first = firstError(first, fmt.Errorf("send to %s: %w", res.Record.Topic, describe(res.Err, "")))
		}
	}
	if d.sent == nil {
		d.sent = make(map[string]int64)
	}
	progress, stuck := make(kadm.Offsets), make(map[int32]bool)
	for i, letter := range d.letters {
		c := d.copies[i]
		if c != nil && failed[c] == nil {
			d.sent[c.Topic]++
		}
		if c != nil && failed[c] != nil {
			stuck[letter.Partition] = true
		}
		if !stuck[letter.Partition] {
			progress.AddOffset(letter.Topic, letter.Partition, letter.Offset+1, -1)
		}
	}
	d.letters, d.copies = d.letters[:0], d.copies[:0]
	if len(progress) > 0 {
		if err := d.adm.CommitAllOffsets(ctx, redriveGroup, progress); err != nil {
			return firstError(first, fmt.Errorf("remember the progress in group %s: %w", redriveGroup, explain(err)))
		}
		progress.Each(func(o kadm.Offset) { d.next.Add(o) })
	}
	if d.bars {
		fmt.Fprintf(d.notes, "\rredriven %d of %d", d.taken, d.total)
	}
	return first
}

func (d *redriving) endProgress() {
	if d.bars && d.taken > 0 && !d.dryRun {
		fmt.Fprintln(d.notes)
	}
}

// deleteSent deletes from the dead-letter topic what lies before the progress.
func (d *redriving) deleteSent(ctx context.Context) error {
	answers, err := d.adm.DeleteRecords(ctx, d.next)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		return fmt.Errorf("delete what was redriven: %w", explain(err))
	}
	return nil
}
