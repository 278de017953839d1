package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// waitingView is a message that waits.
type waitingView struct {
	recordView

	record *kgo.Record
}

func newQueuePeek(q *queueCommand) *cobra.Command {
	var name string
	var count int
	cmd := &cobra.Command{
		Use:   "peek TOPIC",
		Short: "Show the messages that wait, and take none",
		Long: `Show the messages of a topic that a share group is not done with, the oldest first. Nothing is taken. The protocol tells where a group
begins in each partition, but not the state of each message behind that, so messages that a receiver holds, or has accepted while
an older one is open, are shown too. A group that does not exist has everything before it.`,
		Args: arguments(1, 1, "TOPIC"),
		RunE: func(cmd *cobra.Command, topics []string) error {
			if count < 1 || count > 100_000 {
				return usagef("--count must be 1 to 100000")
			}
			return q.peek(cmd, topics[0], name, count)
		},
		ValidArgsFunction: q.completeTopics,
	}
	cmd.Flags().StringVarP(&name, "group", "g", defaultQueueGroup, "share group whose messages to show")
	cmd.Flags().IntVarP(&count, "count", "n", 10, "show at most this many")
	q.output.register(cmd)
	q.completeQueueGroup(cmd)
	return cmd
}

func (q *queueCommand) peek(cmd *cobra.Command, topic, name string, count int) error {
	cl, err := q.openReader(cmd.Context())
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), q.timeout)
	defer cancel()
	adm := newAdmin(cl)
	logs, err := loadLogs(ctx, adm, []string{topic}, nil, kgo.ReadCommitted())
	if err != nil {
		return explain(err)
	}
	v, err := q.seekable(ctx, adm, name)
	if err == nil {
		v.Offsets, err = committedList(ctx, adm, v)
	}
	if err != nil {
		return explain(err)
	}
	for i := range logs {
		for _, o := range v.Offsets {
			if o.Topic == topic && o.Partition == logs[i].partition && o.Committed != nil {
				logs[i].start = max(logs[i].start, *o.Committed)
			}
		}
	}
	waiting := []waitingView{}
	err = readLogs(ctx, cl, logs, func(r *kgo.Record) error {
		waiting = append(waiting, waitingView{viewRecord(r).(recordView), r})
		if len(waiting) == count {
			return errEnough
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil && cmd.Context().Err() == nil:
		return explain(ctx.Err())
	}
	now := q.now()
	return q.print(cmd.OutOrStdout(), waiting, func(t *table) {
		t.row("PARTITION", "OFFSET", "AGE", "KEY", "VALUE")
		for _, w := range waiting {
			t.row(w.Partition, w.Offset, spanText(max(0, now.Sub(w.record.Timestamp))), valueText(w.record.Key), valueText(w.record.Value))
		}
	})
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return fmt.Sprint(s)
}
