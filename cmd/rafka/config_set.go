package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newConfigSet(c *configCommand) *cobra.Command {
	var change configChange
	cmd := &cobra.Command{
		Use:   "set RESOURCE KEY=VALUE...",
		Short: "Set keys, or with --delete return them to their default",
		Example: `  rafka config set topic/orders retention.ms=3600000
  rafka config set broker log.retention.hours=24
  rafka config set topic/orders --delete retention.ms`,
		Args: arguments(1, -1, "RESOURCE KEY=VALUE..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := parseResource(args[0])
			if err != nil {
				return err
			}
			for _, kv := range args[1:] {
				if err := change.set.Set(kv); err != nil {
					return usagef("%q: %w", kv, err)
				}
			}
			if err := change.validate(); err != nil {
				return err
			}
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				outcomes, err := change.apply(ctx, adm, []resource{r})
				if err != nil {
					return err
				}
				return c.printOutcomes(cmd.OutOrStdout(), "resource", outcomes)
			})
		},
	}
	change.register(cmd)
	return cmd
}

// configChange is a set of keys to set and to delete; `topic alter` and `config set` share it.
type configChange struct {
	set    keyValues
	delete []string
	dryRun bool
}

func (c *configChange) register(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&c.delete, "delete", "d", nil, "return this `KEY` to its default (repeatable)")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "let the broker check the change, do not make it")
}

func (c *configChange) validate() error {
	if len(c.set)+len(c.delete) == 0 {
		return usagef("nothing to change: give KEY=VALUE to set or --delete KEY")
	}
	seen := make(map[string]bool)
	for _, key := range append(c.setKeys(), c.delete...) {
		if seen[key] {
			return usagef("key %q is given twice", key)
		}
		seen[key] = true
	}
	return nil
}

func (c *configChange) setKeys() []string {
	keys := make([]string, len(c.set))
	for i, kv := range c.set {
		keys[i] = kv.key
	}
	return keys
}

// apply changes only the named keys of each resource; the others keep their values (KIP-339).
func (c *configChange) apply(ctx context.Context, adm *admin, resources []resource) ([]outcome, error) {
	return c.applyVia(ctx, adm.raw, resources)
}

// applyVia is apply by a broker of one's choice.
func (c *configChange) applyVia(ctx context.Context, via kmsg.Requestor, resources []resource) ([]outcome, error) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = c.dryRun
	for _, r := range resources {
		res := kmsg.NewIncrementalAlterConfigsRequestResource()
		res.ResourceType, res.ResourceName = r.kind, r.name
		add := func(key string, value *string, op kmsg.IncrementalAlterConfigOp) {
			entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			entry.Name, entry.Value, entry.Op = key, value, op
			res.Configs = append(res.Configs, entry)
		}
		for _, kv := range c.set {
			add(kv.key, &kv.value, kmsg.IncrementalAlterConfigOpSet)
		}
		for _, key := range c.delete {
			add(key, nil, kmsg.IncrementalAlterConfigOpDelete)
		}
		req.Resources = append(req.Resources, res)
	}
	resp, err := req.RequestWith(ctx, via)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, 0, len(resp.Resources))
	for _, a := range resp.Resources {
		oc := outcome{Name: resource{a.ResourceType, a.ResourceName}.String(), Status: "changed"}
		if c.dryRun {
			oc.Status = "would be changed"
		}
		if err := kerr.ErrorForCode(a.ErrorCode); err != nil {
			oc.Status, oc.Error = "failed", describedText(err, deref(a.ErrorMessage))
		}
		outcomes = append(outcomes, oc)
	}
	return outcomes, nil
}
