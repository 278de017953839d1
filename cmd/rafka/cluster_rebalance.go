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
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Have every partition led by its preferred replica again",
		Long: `Have every partition led by its preferred replica, the first in its list, and say which leaders move. After a broker was away
others lead what it led; Rafka and Kafka give that back by themselves after a while, this does it now. No data moves.`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
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
