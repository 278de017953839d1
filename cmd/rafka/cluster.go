package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
)

// clusterCommand is what the verbs under `cluster` share.
type clusterCommand struct {
	connection
	output
}

func newClusterCommand(getenv func(string) string) *cobra.Command {
	cmd := group("cluster", "Show brokers and health; drain, remove and even out brokers")
	c := &clusterCommand{connection: connection{getenv: getenv}}
	c.connection.register(cmd)
	c.output.register(cmd)
	cmd.AddCommand(newClusterInfo(c), newClusterHealth(c), newClusterNodes(c), newClusterQuorum(c),
		newClusterDrain(c), newClusterDecommission(c), newClusterRebalance(c), newClusterUpgrade(c))
	return cmd
}

// parseBroker is the id of a broker that was given as an argument.
func parseBroker(s string) (int32, error) {
	id, err := strconv.ParseInt(s, 10, 32)
	if err != nil || id < 0 {
		return 0, usagef("%q is no id of a broker; `rafka cluster nodes` lists them", s)
	}
	return int32(id), nil
}

// completeBrokers offers the ids of brokers to the shell.
func (c *clusterCommand) completeBrokers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	err := c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
		n, err := loadNodes(ctx, adm)
		for _, node := range n.list {
			ids = append(ids, strconv.Itoa(int(node.ID)))
		}
		return err
	})
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
