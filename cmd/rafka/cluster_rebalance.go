package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newClusterRebalance(c *clusterCommand) *cobra.Command {
	var dryRun bool
	var balance balanceOptions
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Have every partition led by its preferred replica again",
		Long: `Have every partition led by its preferred replica, the first in its list, and say which leaders move. After a broker was away
others lead what it led; Rafka and Kafka give that back by themselves after a while, this does it now. No data moves.

A Rafka cluster also evens out by itself, by the number of replicas and leaders and by what they have to do: --explain says what it moved and
why, --off and --on are its switch (` + balanceKey + `), and --cancel stops what is under way as well. Topics of which somebody has
reassigned partitions are left as they were placed; --release gives them back.`,
		Example: `  rafka cluster rebalance --dry-run
  rafka cluster rebalance --explain
  rafka cluster rebalance --cancel`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch n := balance.asked(); {
			case n > 1 || n == 1 && dryRun:
				return usagef("one thing at a time: --dry-run, --explain, --on, --off, --cancel or --release")
			case balance.http != "" && !balance.explain:
				return usagef("--http is of --explain")
			}
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				if balance.asked() > 0 {
					return c.balance(ctx, cmd, adm, &balance)
				}
				m, err := adm.Metadata(ctx)
				if err != nil {
					return err
				}
				moves := planLeaders(m.Topics)
				if !dryRun {
					if err := elect(ctx, adm, electPreferred, moves); err != nil {
						return err
					}
				}
				return printElections(cmd, &c.output, moves)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say which leaders would move, move none")
	balance.register(cmd)
	return cmd
}

// planLeaders are the partitions that their preferred replica does not lead, with what would become of each.
func planLeaders(topics kadm.TopicDetails) []election {
	var moves []election
	for _, t := range topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			if len(p.Replicas) == 0 || p.Leader == p.Replicas[0] {
				continue
			}
			e := election{Topic: t.Topic, Partition: p.Partition, From: p.Leader, To: p.Replicas[0], Status: "would move"}
			if !slices.Contains(p.ISR, e.To) {
				e.Status = fmt.Sprintf("would stay: broker %d is not in sync", e.To)
			}
			moves = append(moves, e)
		}
	}
	return moves
}
