package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newTopicElect(t *topicCommand) *cobra.Command {
	var partitions []int32
	var unclean bool
	var wait waiting
	cmd := &cobra.Command{
		Use:   "elect TOPIC",
		Short: "Have partitions led by their preferred replicas, or by any that is left",
		Long: `Have partitions of a topic led by their preferred replica, the first in the list of each. It must be in sync; --wait waits
until it is.

--unclean has partitions that nobody leads be led by any living replica, even if that lacks what was acknowledged: those records
are gone for good, on the other replicas too. Do it only when the brokers that have them will not come back.`,
		Example: `  rafka topic elect orders
  rafka topic elect orders --partition 3 --unclean`,
		Args: arguments(1, 1, "TOPIC"),
		RunE: func(cmd *cobra.Command, names []string) error {
			kind := electPreferred
			if unclean {
				kind = electUnclean
			}
			return t.withPatience(cmd.Context(), func(ctx context.Context, adm *admin) error {
				within, cancel := context.WithTimeout(ctx, t.timeout)
				defer cancel()
				all, err := planElections(within, adm, names[0], partitions, unclean)
				if err == nil {
					err = elect(within, adm, kind, all)
				}
				if err == nil && wait.on {
					err = awaitElections(ctx, cmd, t, adm, wait, kind, all)
				}
				if err != nil {
					return err
				}
				return printElections(cmd, &t.output, all)
			})
		},
		ValidArgsFunction: t.completeTopics,
	}
	cmd.Flags().Int32SliceVarP(&partitions, "partition", "p", nil, "only this `PARTITION` (repeatable; default all)")
	cmd.Flags().BoolVar(&unclean, "unclean", false, "any living replica may lead a partition that nobody leads; loses records")
	wait.register(cmd, "wait until the replicas that should lead are in sync")
	return cmd
}

// planElections are the elections of a topic's partitions, all or those named.
func planElections(ctx context.Context, adm *admin, topic string, partitions []int32, unclean bool) ([]election, error) {
	chosen, err := choosePartitions(ctx, adm, topic, partitions)
	if err != nil {
		return nil, err
	}
	var all []election
	for _, p := range chosen {
		e := election{Topic: topic, Partition: p.Partition, From: p.Leader, Any: unclean}
		if !unclean && len(p.Replicas) > 0 {
			e.To = p.Replicas[0]
		}
		all = append(all, e)
	}
	return all, nil
}

// choosePartitions are the partitions of a topic, all or those named.
func choosePartitions(ctx context.Context, adm *admin, topic string, partitions []int32) ([]kadm.PartitionDetail, error) {
	topics, err := loadTopics(ctx, adm, topic)
	if err != nil {
		return nil, err
	}
	if len(topics) != 1 {
		return nil, fmt.Errorf("the broker answered about %d topics", len(topics))
	}
	all := topics[0].Partitions.Sorted()
	for _, p := range partitions {
		if p < 0 || int(p) >= len(all) {
			return nil, fmt.Errorf("topic %q has no partition %d; it has 0 to %d", topic, p, len(all)-1)
		}
	}
	if len(partitions) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(p kadm.PartitionDetail) bool { return !slices.Contains(partitions, p.Partition) }), nil
}

// awaitElections asks again for what could not be had because the replica was not in sync or not there.
func awaitElections(ctx context.Context, cmd *cobra.Command, t *topicCommand, adm *admin, wait waiting, kind int8, all []election) error {
	later := func(e election) bool {
		return errors.Is(e.err, kerr.PreferredLeaderNotAvailable) || errors.Is(e.err, kerr.EligibleLeadersNotAvailable)
	}
	return wait.until(ctx, cmd.ErrOrStderr(), t.timeout, func(ctx context.Context) (progress, bool, error) {
		var again []election
		for _, e := range all {
			if later(e) {
				again = append(again, e)
			}
		}
		if len(again) == 0 {
			return progress{}, true, nil
		}
		if err := elect(ctx, adm, kind, again); err != nil {
			return progress{}, false, err
		}
		left := 0
		for _, e := range again {
			i := slices.IndexFunc(all, func(a election) bool { return a.Partition == e.Partition })
			if all[i] = e; later(e) {
				left++
			}
		}
		return progress{done: len(all) - left, total: len(all), what: "partitions led as they should be"}, left == 0, nil
	})
}
