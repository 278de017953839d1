package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

func newConfigGet(c *configCommand) *cobra.Command {
	return &cobra.Command{
		Use:     "get RESOURCE KEY...",
		Short:   "Show single keys with what they mean",
		Example: `  rafka config get topic/orders retention.ms cleanup.policy`,
		Args:    arguments(2, -1, "RESOURCE KEY..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := parseResource(args[0])
			if err != nil {
				return err
			}
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				all, err := describeConfigs(ctx, adm, r, args[1:])
				if err != nil {
					return err
				}
				for _, key := range args[1:] {
					if !slices.ContainsFunc(all, func(v configView) bool { return v.Key == key }) {
						return fmt.Errorf("%s has no key %q; `rafka config list %s` shows all", r, key, args[0])
					}
				}
				return c.print(cmd.OutOrStdout(), all, func(tb *table) {
					for _, v := range all {
						printConfig(tb, v)
					}
				})
			})
		},
	}
}

func printConfig(tb *table, v configView) {
	tb.row(v.Key, shown(v.Value, v.Sensitive))
	tb.row("  source", v.Source)
	tb.row("  default", shownDefault(v))
	if v.Type != "" {
		tb.row("  type", v.Type)
	}
	if v.ReadOnly {
		tb.row("  read-only", "yes: set it in the server's configuration file")
	}
	if v.Doc != "" {
		tb.row("  meaning", v.Doc)
	}
}
