package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deadLetterKey is the group setting that names the topic for its dead letters.
const deadLetterKey = "errors.deadletterqueue.topic.name"

// letterView is a dead letter.
type letterView struct {
	recordView
	Origin *origin `json:"origin"` // null: its headers do not say

	record *kgo.Record
}

func newQueueDead(q *queueCommand) *cobra.Command {
	var name string
	var count int
	cmd := &cobra.Command{
		Use:   "dead [DEAD-LETTER-TOPIC]",
		Short: "List dead letters, where they come from and why they died",
		Long: `List the messages of a dead-letter topic, the newest --count of each partition. Name the topic, or with --group the share group whose
setting ` + deadLetterKey + ` names it. The headers of share groups (__dlq.errors.*), of Spring (kafka_dlt-*) and of
Kafka Connect (__connect.errors.*) are understood.`,
		Example: `  rafka queue dead dlq.jobs
  rafka queue dead --group workers --format json`,
		Args: arguments(0, 1, "[DEAD-LETTER-TOPIC]"),
		RunE: func(cmd *cobra.Command, topics []string) error {
			switch {
			case (len(topics) == 1) == (name != ""):
				return usagef("name either the dead-letter topic or the --group that it belongs to")
			case count < 1 || count > 100_000:
				return usagef("--count must be 1 to 100000")
			}
			topic := append(topics, "")[0]
			return q.dead(cmd, topic, name, count)
		},
		ValidArgsFunction: q.completeTopics,
	}
	cmd.Flags().StringVarP(&name, "group", "g", "", "the dead-letter topic of this share group")
	cmd.Flags().IntVarP(&count, "count", "n", 20, "list at most this many of each partition")
	q.output.register(cmd)
	q.completeQueueGroup(cmd)
	return cmd
}

func (q *queueCommand) dead(cmd *cobra.Command, topic, name string, count int) error {
	cl, err := q.openReader(cmd.Context())
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), q.timeout)
	defer cancel()
	adm := newAdmin(cl)
	if name != "" {
		if topic, err = deadLetterTopic(ctx, adm, name); err != nil {
			return explain(err)
		}
	}
	logs, err := loadLogs(ctx, adm, []string{topic}, nil, kgo.ReadCommitted())
	if err != nil {
		return explain(err)
	}
	for i := range logs {
		logs[i].start = max(logs[i].start, logs[i].end-int64(count))
	}
	letters := []letterView{}
	err = readLogs(ctx, cl, logs, func(r *kgo.Record) error {
		letters = append(letters, viewLetter(r))
		return nil
	})
	if err != nil {
		return err
	}
	if ctx.Err() != nil && cmd.Context().Err() == nil {
		return explain(ctx.Err())
	}
	now := q.now()
	return q.print(cmd.OutOrStdout(), letters, func(t *table) {
		t.row("PARTITION", "OFFSET", "ORIGIN", "GROUP", "DELIVERIES", "AGE", "WHY", "KEY", "VALUE")
		for _, l := range letters {
			o := origin{Topic: "-"}
			if l.Origin != nil {
				o = *l.Origin
			} else {
				o.Partition, o.Offset = -1, -1
			}
			t.row(l.Partition, l.Offset, o.place(), orNone(o.Group), orNone(o.Deliveries), spanText(max(0, now.Sub(l.record.Timestamp))), orNone(o.Why),
				valueText(l.record.Key), valueText(l.record.Value))
		}
	})
}

func viewLetter(r *kgo.Record) letterView {
	v := letterView{viewRecord(r).(recordView), nil, r}
	if o, ok := originOf(r.Headers); ok {
		v.Origin = &o
	}
	return v
}

// deadLetterTopic is the topic that a share group's setting names.
func deadLetterTopic(ctx context.Context, adm *admin, name string) (string, error) {
	configs, err := describeConfigs(ctx, adm, resource{kmsg.ConfigResourceTypeGroupConfig, name}, []string{deadLetterKey})
	if err != nil {
		return "", err
	}
	for _, c := range configs {
		if c.Key == deadLetterKey && deref(c.Value) != "" {
			return *c.Value, nil
		}
	}
	return "", fmt.Errorf("group %q has no dead-letter topic: set one with `rafka config set group/%s %s=dlq.%s`", name, name, deadLetterKey, name)
}
