package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

type clusterView struct {
	ID         string       `json:"cluster_id"`
	Controller int32        `json:"controller"`
	Brokers    []brokerView `json:"brokers"`
	Topics     int          `json:"topics"`
	Internal   int          `json:"internal_topics"`
	Partitions int          `json:"partitions"`
	Replicas   int          `json:"replicas"`
	Voters     []int32      `json:"voters"` // who keeps the metadata; none where the cluster does not tell
	Level      int16        `json:"level"`  // of the cluster's formats; 0: not told
}

type brokerView struct {
	ID         int32  `json:"id"`
	Address    string `json:"address,omitempty"`
	Rack       string `json:"rack,omitempty"`
	State      string `json:"state"`
	Controller bool   `json:"controller"`
	Leaders    int    `json:"leads_partitions"`
	Replicas   int    `json:"holds_replicas"`
}

func newClusterInfo(c *clusterCommand) *cobra.Command {
	return &cobra.Command{
		Use:     "info",
		Aliases: []string{"metadata"},
		Short:   "Show brokers, controller, cluster id and how many topics and partitions there are",
		Args:    arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				n, err := loadNodes(ctx, adm)
				if err != nil {
					return err
				}
				v := viewCluster(n)
				if q, err := loadQuorum(ctx, adm); err == nil {
					for _, node := range q.Nodes {
						if node.Role != roleObserver {
							v.Voters = append(v.Voters, node.ID)
						}
					}
				}
				_, v.Level, _ = levelsOf(ctx, adm.raw) // not told: 0
				return c.print(cmd.OutOrStdout(), v, func(tb *table) { printCluster(tb, v) })
			})
		},
	}
}

func viewCluster(n *nodes) clusterView {
	v := clusterView{ID: n.meta.Cluster, Controller: n.meta.Controller, Voters: []int32{}}
	for _, t := range n.meta.Topics {
		v.Topics++
		if t.IsInternal {
			v.Internal++
		}
		for _, p := range t.Partitions {
			v.Partitions++
			v.Replicas += len(p.Replicas)
		}
	}
	for _, b := range n.list {
		v.Brokers = append(v.Brokers, brokerView{
			ID: b.ID, Address: b.Address, Rack: b.Rack, State: b.State, Controller: b.Controller, Leaders: b.Leaders, Replicas: b.Replicas,
		})
	}
	return v
}

func printCluster(tb *table, v clusterView) {
	tb.row("cluster", v.ID)
	if v.Controller < 0 {
		tb.row("controller", "none")
	} else {
		tb.row("controller", v.Controller)
	}
	if len(v.Voters) > 0 {
		tb.row("voters", v.Voters)
	}
	if v.Level > 0 {
		tb.row(versionFeature, v.Level)
	}
	serving := 0
	for _, b := range v.Brokers {
		if b.State == stateServing {
			serving++
		}
	}
	tb.row("brokers", fmt.Sprintf("%d (%d serving)", len(v.Brokers), serving))
	tb.row("topics", strconv.Itoa(v.Topics)+" ("+strconv.Itoa(v.Internal)+" internal)")
	tb.row("partitions", strconv.Itoa(v.Partitions)+" ("+strconv.Itoa(v.Replicas)+" replicas)")
	tb.section("BROKERS")
	tb.row("ID", "ADDRESS", "RACK", "LEADS", "REPLICAS", "ROLE")
	for _, b := range v.Brokers {
		role := "broker"
		switch {
		case b.State != stateServing:
			role = b.State
		case b.Controller:
			role = "controller"
		}
		tb.row(b.ID, cmp.Or(b.Address, "-"), cmp.Or(b.Rack, "-"), b.Leaders, b.Replicas, role)
	}
}
