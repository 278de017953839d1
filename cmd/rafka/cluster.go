package main

import "github.com/spf13/cobra"

// clusterCommand is what the verbs under `cluster` share.
type clusterCommand struct {
	connection
	output
}

func newClusterCommand(getenv func(string) string) *cobra.Command {
	cmd := group("cluster", "Show brokers and health")
	c := &clusterCommand{connection: connection{getenv: getenv}}
	c.connection.register(cmd)
	c.output.register(cmd)
	cmd.AddCommand(newClusterInfo(c), newClusterHealth(c))
	return cmd
}
