package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// redriveGroup remembers by its committed offsets how far a dead-letter topic is redriven.
const redriveGroup = "rafka-redrive"

const redriveHelp = `Send the messages of a dead-letter topic back where they come from, the oldest first, up to what is its end now.

The headers of share groups (__dlq.errors.*), of Spring (kafka_dlt-*) and of Kafka Connect (__connect.errors.*) say where that is; --to
sends all of them to one topic instead. A message gets its key, value and headers back, without those of its death, and the partition it
came from. A letter that carries no copy is read from its origin, if it is still there.

Progress is kept as committed offsets of the group ` + redriveGroup + `, which go on when the copies are acknowledged: what was redriven is not redriven
again, and after a crash at most the last ones are sent twice. "rafka group seek ` + redriveGroup + `" moves it. --delete also deletes what was
redriven from the dead-letter topic.`

// redriveOptions are the flags of redrive.
type redriveOptions struct {
	topic       string
	to          string
	count       int64 // 0: all
	dryRun      bool
	delete      bool
	skipUnknown bool
}

func newQueueRedrive(q *queueCommand) *cobra.Command {
	var o redriveOptions
	var name string
	cmd := &cobra.Command{
		Use:   "redrive [DEAD-LETTER-TOPIC]",
		Short: "Send dead letters back to where they come from",
		Long:  redriveHelp,
		Example: `  rafka queue redrive dlq.jobs --dry-run
  rafka queue redrive --group workers --count 100
  rafka queue redrive errors-of-connector --to orders --delete`,
		Args: arguments(0, 1, "[DEAD-LETTER-TOPIC]"),
		RunE: func(cmd *cobra.Command, topics []string) error {
			switch {
			case (len(topics) == 1) == (name != ""):
				return usagef("name either the dead-letter topic or the --group that it belongs to")
			case o.count < 0:
				return usagef("--count must not be negative")
			case o.dryRun && o.delete:
				return usagef("--dry-run deletes nothing: leave out --delete")
			}
			if o.topic = append(topics, "")[0]; o.topic != "" && o.topic == o.to {
				return usagef("--to %s is the dead-letter topic itself", o.to)
			}
			return q.redrive(cmd, &o, name)
		},
		ValidArgsFunction: q.completeTopics,
	}
	f := cmd.Flags()
	f.StringVarP(&name, "group", "g", "", "the dead-letter topic of this share group")
	f.StringVar(&o.to, "to", "", "send everything to this topic")
	f.Int64VarP(&o.count, "count", "n", 0, "stop after this many messages (default all)")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be sent where")
	f.BoolVar(&o.delete, "delete", false, "delete what was redriven from the dead-letter topic")
	f.BoolVar(&o.skipUnknown, "skip-unknown", false, "skip messages whose headers do not say where they come from")
	q.output.register(cmd)
	q.completeQueueGroup(cmd)
	// The error means that the flag does not exist.
	_ = cmd.RegisterFlagCompletionFunc("to", q.completeTopics)
	return cmd
}

func (q *queueCommand) redrive(cmd *cobra.Command, o *redriveOptions, name string) error {
	ctx := cmd.Context()
	reader, err := q.openReader(ctx)
	if err != nil {
		return err
	}
	defer reader.Close()
	adm := newAdmin(reader)
	if name != "" {
		if o.topic, err = deadLetterTopic(ctx, adm, name); err != nil {
			return explain(err)
		}
	}
	logs, err := o.rest(ctx, adm)
	if err != nil {
		return explain(err)
	}
	sender, err := q.open(ctx, kgo.RecordPartitioner(originPartitioner()), kgo.UnknownTopicRetries(3), kgo.RecordDeliveryTimeout(2*time.Minute))
	if err != nil {
		return err
	}
	defer sender.Close()
	d := &redriving{redriveOptions: o, adm: adm, sender: sender, next: make(kadm.Offsets), bars: isTerminal(cmd.ErrOrStderr()), notes: cmd.ErrOrStderr()}
	for _, l := range logs {
		d.total += l.end - l.start
	}
	err = readLogs(ctx, reader, logs, func(r *kgo.Record) error { return d.take(ctx, r) })
	// What is at hand is sent even if the reading failed or was interrupted: it comes before whatever was wrong.
	err = firstError(err, d.send(context.WithoutCancel(ctx)))
	d.endProgress()
	if err == nil && o.delete && len(d.next) > 0 {
		err = d.deleteSent(context.WithoutCancel(ctx))
	}
	if printErr := q.printRedriven(cmd, d); err == nil {
		err = printErr
	}
	return err
}

// rest is the part of the dead-letter topic that is not redriven yet.
func (o *redriveOptions) rest(ctx context.Context, adm *admin) ([]partitionLog, error) {
	logs, err := loadLogs(ctx, adm, []string{o.topic}, nil, kgo.ReadCommitted())
	if err != nil {
		return nil, err
	}
	done, err := adm.FetchOffsets(ctx, redriveGroup)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // which some brokers say, and others tell no offsets

		return nil, fmt.Errorf("offsets of group %s: %w", redriveGroup, err)
	}
	for i := range logs {
		if at, ok := done.Lookup(o.topic, logs[i].partition); ok && at.Err == nil && at.At >= 0 {
			logs[i].start = max(logs[i].start, at.At)
		}
	}
	return logs, nil
}

// originPartitioner keeps the partition that a record names, where its topic has it; others go by their key.
func originPartitioner() kgo.Partitioner {
	return kgo.BasicConsistentPartitioner(func(string) func(r *kgo.Record, n int) int {
		return func(r *kgo.Record, n int) int {
			if r.Partition >= 0 && int(r.Partition) < n {
				return int(r.Partition)
			}
			h := fnv.New32a()
			h.Write(r.Key)
			return int(h.Sum32() % uint32(n))
		}
	})
}

func (q *queueCommand) printRedriven(cmd *cobra.Command, d *redriving) error {
	return q.print(cmd.OutOrStdout(), d.report(), func(t *table) {
		if d.dryRun {
			t.row("PARTITION", "OFFSET", "WOULD-GO-TO", "KEY", "VALUE")
			for _, m := range d.planned {
				t.row(m.Partition, m.Offset, m.To, orNone(m.Key), orNone(m.Value))
			}
			return
		}
		t.row("TOPIC", "REDRIVEN")
		for _, one := range d.report().Sent {
			t.row(one.Topic, one.Messages)
		}
		if d.skipped > 0 {
			t.row("(skipped)", d.skipped)
		}
	})
}
