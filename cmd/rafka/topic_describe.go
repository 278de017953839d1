package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicView is all there is to say about a topic.
type topicView struct {
	Name       string          `json:"name"`
	ID         string          `json:"id,omitempty"`
	Internal   bool            `json:"internal"`
	Replicas   int             `json:"replicas"`
	Partitions []partitionView `json:"partitions,omitempty"`
	Configs    []configView    `json:"configs,omitempty"`
}

type partitionView struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Epoch     int32   `json:"leader_epoch"`
	Replicas  []int32 `json:"replicas"` // the preferred leader first
	ISR       []int32 `json:"isr"`
	Offline   []int32 `json:"offline,omitempty"`
	Start     *int64  `json:"log_start,omitempty"`
	End       *int64  `json:"log_end,omitempty"`
	Error     string  `json:"error,omitempty"`
}

func viewPartition(p kadm.PartitionDetail) partitionView {
	v := partitionView{
		Partition: p.Partition, Leader: p.Leader, Epoch: p.LeaderEpoch, Error: describedText(p.Err, ""),
		Replicas: p.Replicas, ISR: slices.Sorted(slices.Values(p.ISR)),
		Offline: slices.Sorted(slices.Values(p.OfflineReplicas)),
	}
	return v
}

func newTopicDescribe(t *topicCommand) *cobra.Command {
	var onlyConfigs, onlyPartitions bool
	cmd := &cobra.Command{
		Use:   "describe NAME...",
		Short: "Show partitions, offsets and configuration of topics",
		Long: `Show partitions, offsets and configuration of topics. Without a flag, configuration that has its default value is left
out; --configs shows all of it and nothing else, --partitions only the partitions.`,
		Args: arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			if onlyConfigs && onlyPartitions {
				return usagef("--configs and --partitions exclude each other; give none of them to see both")
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				topics, err := loadTopics(ctx, adm, names...)
				if err != nil {
					return err
				}
				views := make([]topicView, len(topics))
				for i, d := range topics {
					views[i] = viewTopic(d)
					if onlyConfigs {
						views[i].Partitions = nil
					} else {
						addOffsets(ctx, adm, &views[i])
					}
					if !onlyPartitions {
						all, err := describeConfigs(ctx, adm, resource{kmsg.ConfigResourceTypeTopic, d.Topic}, nil)
						if err != nil {
							return err
						}
						views[i].Configs = slices.DeleteFunc(all, func(c configView) bool { return c.isDefault() && !onlyConfigs })
					}
				}
				return t.print(cmd.OutOrStdout(), views, func(tb *table) {
					for _, v := range views {
						printTopic(tb, v)
					}
				})
			})
		},
		ValidArgsFunction: t.completeTopics,
	}
	cmd.Flags().BoolVarP(&onlyConfigs, "configs", "c", false, "only the configuration, defaults included")
	cmd.Flags().BoolVarP(&onlyPartitions, "partitions", "p", false, "only the partitions")
	return cmd
}

func viewTopic(d kadm.TopicDetail) topicView {
	v := topicView{Name: d.Topic, Internal: d.IsInternal}
	if d.ID != (kadm.TopicID{}) {
		v.ID = uuidText(d.ID)
	}
	for _, p := range d.Partitions.Sorted() {
		v.Replicas = max(v.Replicas, len(p.Replicas))
		v.Partitions = append(v.Partitions, viewPartition(p))
	}
	return v
}

// addOffsets fills in where the log of each partition starts and ends. A partition without a leader cannot say; the rest can,
// so errors are shown beside the partition.
func addOffsets(ctx context.Context, adm *admin, v *topicView) {
	starts, startErr := adm.ListStartOffsets(ctx, v.Name)
	ends, endErr := adm.ListEndOffsets(ctx, v.Name)
	for i := range v.Partitions {
		p := &v.Partitions[i]
		start, hasStart := starts.Lookup(v.Name, p.Partition)
		end, hasEnd := ends.Lookup(v.Name, p.Partition)
		switch err := cmp.Or(p.Error, describedText(start.Err, ""), describedText(end.Err, "")); {
		case err != "":
			p.Error = err
		case hasStart && hasEnd:
			p.Start, p.End = &start.Offset, &end.Offset
		case startErr != nil || endErr != nil:
			p.Error = "offsets unknown: " + cmp.Or(describedText(startErr, ""), describedText(endErr, ""))
		}
	}
}

// uuidText is an id as Kafka writes it.
func uuidText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func printTopic(tb *table, v topicView) {
	tb.section("TOPIC " + v.Name)
	if v.ID != "" {
		tb.row("id", v.ID)
	}
	if v.Internal {
		tb.row("internal", "yes")
	}
	tb.row("replicas", v.Replicas)
	if len(v.Partitions) > 0 {
		tb.section("PARTITIONS")
		tb.row("PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "LOG-START", "LOG-END")
		for _, p := range v.Partitions {
			tb.row(p.Partition, p.Leader, p.Epoch, p.Replicas, p.ISR, orDash(p.Start), orDash(p.End), p.Error)
		}
	}
	if len(v.Configs) > 0 {
		tb.section("CONFIGS")
		printConfigs(tb, v.Configs)
	}
}

func orDash(n *int64) any {
	if n == nil {
		return "-"
	}
	return *n
}
