package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func newShareCommand(getenv func(string) string) *cobra.Command {
	cmd := group("share", "List, describe, move and delete share groups")
	cmd.Long = `List, describe, move and delete share groups (KIP-932): the groups behind queues. ` + "`rafka group`" + ` does the same for groups of any type,
` + "`rafka queue`" + ` sends and receives messages.`
	g := &groupCommand{connection: connection{getenv: getenv}, only: shareGroup, now: time.Now}
	g.connection.register(cmd)
	g.output.register(cmd)
	cmd.AddCommand(newGroupList(g), newGroupDescribe(g), newShareOffsets(g), newGroupSeek(g), newShareDelete(g))
	return cmd
}

func newShareOffsets(g *groupCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "offsets NAME...",
		Short: "Show where share groups begin in each partition, and their lag",
		Long: `Show for each partition of a share group the offset of the first record that is not done with (START-OFFSET), how many records
wait behind it, those in the hands of consumers included, and the age of the oldest.`,
		Args: arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			return g.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				views, err := g.load(ctx, adm, names, false)
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), views, func(t *table) {
					t.row("GROUP", "TOPIC", "PARTITION", "START-OFFSET", "LAG", "LAG-TIME")
					for _, v := range views {
						for _, o := range v.Offsets {
							t.row(v.Group, o.Topic, o.Partition, orDash(o.Committed), orDash(o.Lag), secondsText(o.LagSeconds), o.Error)
						}
					}
				})
			})
		},
		ValidArgsFunction: g.completeGroups,
	}
}

func newShareDelete(g *groupCommand) *cobra.Command {
	var topics []string
	cmd := &cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete share groups, or with --topic what they know of topics",
		Example: `  rafka share delete workers
  rafka share delete workers --topic jobs`,
		Args: arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			scope, err := parseScope(topics)
			if err != nil {
				return err
			}
			if len(scope) > 0 && len(names) > 1 {
				return usagef("--topic goes with one group")
			}
			return g.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				if len(scope) > 0 {
					return g.forget(ctx, cmd, adm, names[0], scope)
				}
				return g.delete(ctx, cmd, adm, names)
			})
		},
		ValidArgsFunction: g.completeGroups,
	}
	cmd.Flags().StringArrayVarP(&topics, "topic", "t", nil, "forget this topic, the group stays (repeatable)")
	// The error means that the flag does not exist.
	_ = cmd.RegisterFlagCompletionFunc("topic", g.completeTopics)
	return cmd
}
