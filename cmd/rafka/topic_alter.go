package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newTopicAlter(t *topicCommand) *cobra.Command {
	var change configChange
	cmd := &cobra.Command{
		Use:     "alter NAME...",
		Aliases: []string{"alter-config"},
		Short:   "Change the configuration of topics",
		Example: `  rafka topic alter orders --set retention.ms=3600000 --delete max.message.bytes`,
		Args:    arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := change.validate(); err != nil {
				return err
			}
			var resources []resource
			for _, n := range names {
				resources = append(resources, resource{kmsg.ConfigResourceTypeTopic, n})
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				outcomes, err := change.apply(ctx, adm, resources)
				if err != nil {
					return err
				}
				return t.printOutcomes(cmd.OutOrStdout(), "topic", outcomes)
			})
		},
		ValidArgsFunction: t.completeTopics,
	}
	cmd.Flags().VarP(&change.set, "set", "s", "set a key (repeatable)")
	change.register(cmd)
	return cmd
}
