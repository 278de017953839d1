package main

import (
	"cmp"
	"context"
	"net"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type clusterView struct {
	ID         string       `json:"cluster_id"`
	Controller int32        `json:"controller"`
	Brokers    []brokerView `json:"brokers"`
	Topics     int          `json:"topics"`
	Internal   int          `json:"internal_topics"`
	Partitions int          `json:"partitions"`
	Replicas   int          `json:"replicas"`
}

type brokerView struct {
	ID         int32  `json:"id"`
	Address    string `json:"address"`
	Rack       string `json:"rack,omitempty"`
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
				m, err := adm.Metadata(ctx)
				if err != nil {
					return err
				}
				v := viewCluster(m)
				return c.print(cmd.OutOrStdout(), v, func(tb *table) { printCluster(tb, v) })
			})
		},
	}
}

func viewCluster(m kadm.Metadata) clusterView {
	v := clusterView{ID: m.Cluster, Controller: m.Controller}
	leaders, replicas := make(map[int32]int), make(map[int32]int)
	for _, t := range m.Topics {
		v.Topics++
		if t.IsInternal {
			v.Internal++
		}
		for _, p := range t.Partitions {
			v.Partitions++
			v.Replicas += len(p.Replicas)
			leaders[p.Leader]++
			for _, r := range p.Replicas {
				replicas[r]++
			}
		}
	}
	for _, b := range m.Brokers {
		v.Brokers = append(v.Brokers, brokerView{
			ID: b.NodeID, Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), Rack: deref(b.Rack),
			Controller: b.NodeID == m.Controller, Leaders: leaders[b.NodeID], Replicas: replicas[b.NodeID],
		})
	}
	return v
}

func printCluster(tb *table, v clusterView) {
	tb.row("cluster", v.ID)
	tb.row("controller", v.Controller)
	tb.row("topics", strconv.Itoa(v.Topics)+" ("+strconv.Itoa(v.Internal)+" internal)")
	tb.row("partitions", strconv.Itoa(v.Partitions)+" ("+strconv.Itoa(v.Replicas)+" replicas)")
	tb.section("BROKERS")
	tb.row("ID", "ADDRESS", "RACK", "LEADS", "REPLICAS", "ROLE")
	for _, b := range v.Brokers {
		role := "broker"
		if b.Controller {
			role = "controller"
		}
		tb.row(b.ID, b.Address, cmp.Or(b.Rack, "-"), b.Leaders, b.Replicas, role)
	}
}
