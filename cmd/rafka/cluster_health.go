package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// healthView uses the names of Redpanda's health overview where it has one.
type healthView struct {
	Healthy         bool     `json:"is_healthy"`
	Controller      int32    `json:"controller_id"`
	Brokers         []int32  `json:"all_nodes"`
	Leaderless      []string `json:"leaderless_partitions"`
	UnderReplicated []string `json:"under_replicated_partitions"`
	Offline         []string `json:"offline_replicas"`
}

func newClusterHealth(c *clusterCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Find partitions without a leader or with too few replicas; exit 1 if there are any",
		Args:  arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				m, err := adm.Metadata(ctx)
				if err != nil {
					return err
				}
				v := judgeHealth(m)
				if err := c.print(cmd.OutOrStdout(), v, func(tb *table) { printHealth(tb, v) }); err != nil {
					return err
				}
				if !v.Healthy {
					return errors.New("the cluster is not healthy")
				}
				return nil
			})
		},
	}
}

func judgeHealth(m kadm.Metadata) healthView {
	v := healthView{Controller: m.Controller, Brokers: m.Brokers.NodeIDs(), Leaderless: []string{}, UnderReplicated: []string{}, Offline: []string{}}
	for _, t := range m.Topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			name := fmt.Sprintf("%s/%d", t.Topic, p.Partition)
			if p.Leader < 0 {
				v.Leaderless = append(v.Leaderless, name)
			}
			if len(p.ISR) < len(p.Replicas) {
				v.UnderReplicated = append(v.UnderReplicated, name)
			}
			for _, r := range p.OfflineReplicas {
				v.Offline = append(v.Offline, fmt.Sprintf("%s on broker %d", name, r))
			}
		}
	}
	v.Healthy = v.Controller >= 0 && len(v.Leaderless)+len(v.UnderReplicated)+len(v.Offline) == 0
	return v
}

func printHealth(tb *table, v healthView) {
	tb.row("healthy", v.Healthy)
	if v.Controller < 0 {
		tb.row("controller", "none: topics cannot be changed until the brokers have elected one")
	} else {
		tb.row("controller", v.Controller)
	}
	tb.row("brokers", v.Brokers)
	for _, list := range []struct {
		name string
		of   []string
	}{{"leaderless", v.Leaderless}, {"under-replicated", v.UnderReplicated}, {"offline replicas", v.Offline}} {
		tb.row(list.name, len(list.of))
		for _, name := range list.of {
			tb.row("", name)
		}
	}
}
