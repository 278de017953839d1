package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
)

func newConfigList(c *configCommand) *cobra.Command {
	var changed bool
	cmd := &cobra.Command{
		Use:     "list RESOURCE",
		Aliases: []string{"ls"},
		Short:   "List all keys of a topic or broker with value, source and default",
		Example: `  rafka config list topic/orders
  rafka config list broker/1 --changed`,
		Args: arguments(1, 1, "RESOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := parseResource(args[0])
			if err != nil {
				return err
			}
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				all, err := describeConfigs(ctx, adm, r, nil)
				if err != nil {
					return err
				}
				if changed {
					all = slices.DeleteFunc(all, configView.isDefault)
				}
				return c.print(cmd.OutOrStdout(), all, func(tb *table) { printConfigs(tb, all) })
			})
		},
	}
	cmd.Flags().BoolVar(&changed, "changed", false, "leave out keys that have their default value")
	return cmd
}
