package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newGroupOffsetDelete(g *groupCommand) *cobra.Command {
	var topics []string
	cmd := &cobra.Command{
		Use:   "offset-delete GROUP --topic TOPIC[:P,P]",
		Short: "Make a group forget topics or partitions",
		Long: `Delete the offsets that a group committed for topics or partitions. The next member that reads them begins where its own setting says
(auto.offset.reset), and they count as lag no more. No member may subscribe to the topic at the time. Share groups forget whole topics.`,
		Example: `  rafka group offset-delete billing --topic orders
  rafka group offset-delete billing --topic orders:0,3`,
		Args: arguments(1, 1, "GROUP"),
		RunE: func(cmd *cobra.Command, names []string) error {
			scope, err := parseScope(topics)
			if err != nil {
				return err
			}
			if len(scope) == 0 {
				return usagef("say what to forget: --topic TOPIC or --topic TOPIC:0,2")
			}
			return g.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				return g.forget(ctx, cmd, adm, names[0], scope)
			})
		},
		ValidArgsFunction: g.completeGroups,
	}
	cmd.Flags().StringArrayVarP(&topics, "topic", "t", nil, "forget this topic or these partitions of it, `TOPIC[:P,P]` (repeatable)")
	// The error means that the flag does not exist.
	_ = cmd.RegisterFlagCompletionFunc("topic", g.completeTopics)
	return cmd
}

// forget deletes the group's offsets of what is in scope.
func (g *groupCommand) forget(ctx context.Context, cmd *cobra.Command, adm *admin, name string, scope []scopeTopic) error {
	found, err := g.find(ctx, adm, []string{name})
	if err != nil {
		return err
	}
	if found[0].Type == shareGroup {
		return g.forgetShared(ctx, cmd, adm, name, scope)
	}
	committed, err := adm.FetchOffsets(ctx, name)
	if err != nil {
		return err
	}
	set := make(kadm.TopicsSet)
	for _, s := range scope {
		partitions := s.partitions
		if partitions == nil {
			partitions = slices.Collect(maps.Keys(committed[s.topic]))
		}
		if len(partitions) == 0 {
			return fmt.Errorf("group %q has no offsets of topic %q", name, s.topic)
		}
		set.Add(s.topic, partitions...)
	}
	answers, err := adm.DeleteOffsets(ctx, name, set)
	if err != nil {
		return describe(err, groupAdvice(err))
	}
	var outcomes []outcome
	for _, t := range set.Sorted() {
		for _, p := range t.Partitions {
			oc := outcome{Name: fmt.Sprintf("%s/%d", t.Topic, p), Status: "forgotten"}
			if err, _ := answers.Lookup(t.Topic, p); err != nil {
				oc.Status, oc.Error = "failed", describedText(err, groupAdvice(err))
			}
			outcomes = append(outcomes, oc)
		}
	}
	return g.printOutcomes(cmd.OutOrStdout(), "partition", outcomes)
}

func (g *groupCommand) forgetShared(ctx context.Context, cmd *cobra.Command, adm *admin, name string, scope []scopeTopic) error {
	var topics []string
	for _, s := range scope {
		if s.partitions != nil {
			return usagef("share groups forget whole topics: name %s without partitions", s.topic)
		}
		topics = append(topics, s.topic)
	}
	answers, err := adm.DeleteShareGroupOffsets(ctx, name, topics...)
	if err != nil {
		return describe(err, groupAdvice(err))
	}
	var outcomes []outcome
	for _, topic := range slices.Compact(slices.Sorted(slices.Values(topics))) {
		oc := outcome{Name: topic, Status: "forgotten"}
		if err, _ := answers.Lookup(topic); err != nil {
			oc.Status, oc.Error = "failed", describedText(err, cmp.Or(groupAdvice(err)))
		}
		outcomes = append(outcomes, oc)
	}
	return g.printOutcomes(cmd.OutOrStdout(), "topic", outcomes)
}
