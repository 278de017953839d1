package main

import "github.com/spf13/cobra"

func newDevCommand() *cobra.Command {
	cmd := group("dev", "For trying things out on one machine")
	cmd.AddCommand(newDevCluster())
	return cmd
}
