package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// topicSummary is one line of `topic list`.
type topicSummary struct {
	Name       string          `json:"name"`
	Partitions int             `json:"partitions"`
	Replicas   int             `json:"replicas"`
	Internal   bool            `json:"internal,omitempty"`
	Error      string          `json:"error,omitempty"`
	Detail     []partitionView `json:"partition_detail,omitempty"`
}

func newTopicList(t *topicCommand) *cobra.Command {
	var internal, detailed bool
	cmd := &cobra.Command{
		Use:     "list [PATTERN...]",
		Aliases: []string{"ls"},
		Short:   "List topics, all or those whose whole name matches a regular expression",
		RunE: func(cmd *cobra.Command, patterns []string) error {
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				names := []string(nil)
				if len(patterns) > 0 {
					var err error
					if names, err = matchTopics(ctx, adm, patterns, internal); err != nil {
						return err
					}
				}
				all, err := adm.Metadata(ctx, names...)
				if err != nil {
					return err
				}
				topics := []topicSummary{}
				for _, d := range all.Topics.Sorted() {
					if !d.IsInternal || internal {
						topics = append(topics, summarize(d, detailed))
					}
				}
				return t.print(cmd.OutOrStdout(), topics, func(tb *table) { printTopicList(tb, topics, detailed) })
			})
		},
		ValidArgsFunction: t.completeTopics,
	}
	cmd.Flags().BoolVarP(&internal, "internal", "i", false, "also list internal topics")
	cmd.Flags().BoolVarP(&detailed, "detailed", "d", false, "list each partition with its leader and replicas")
	return cmd
}

func summarize(d kadm.TopicDetail, detailed bool) topicSummary {
	s := topicSummary{Name: d.Topic, Partitions: len(d.Partitions), Internal: d.IsInternal, Error: describedText(d.Err, "")}
	for _, p := range d.Partitions.Sorted() {
		s.Replicas = max(s.Replicas, len(p.Replicas))
		if detailed {
			s.Detail = append(s.Detail, viewPartition(p))
		}
	}
	return s
}

func printTopicList(tb *table, topics []topicSummary, detailed bool) {
	if !detailed {
		tb.row("NAME", "PARTITIONS", "REPLICAS")
		for _, s := range topics {
			tb.row(s.Name, s.Partitions, s.Replicas, s.Error)
		}
		return
	}
	tb.row("NAME", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR")
	for _, s := range topics {
		for _, p := range s.Detail {
			tb.row(s.Name, p.Partition, p.Leader, p.Epoch, p.Replicas, p.ISR, p.Error)
		}
	}
}
