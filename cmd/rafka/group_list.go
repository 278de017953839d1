package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listedGroup is what a list of groups says of one.
type listedGroup struct {
	Group        string    `json:"group"`
	Type         groupType `json:"type"`
	State        string    `json:"state"`
	ProtocolType string    `json:"protocol_type,omitempty"`
	Coordinator  int32     `json:"coordinator"`
}

func newGroupList(g *groupCommand) *cobra.Command {
	var states, types []string
	cmd := &cobra.Command{
		Use:   "list [PATTERN...]",
		Short: "List groups with their types and states",
		Long: `List groups. Patterns are regular expressions that must match the whole name.

States: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead (classic groups), Assigning, Reconciling (consumer and streams
groups), NotReady (streams groups).`,
		Example: `  rafka group list
  rafka group list --states Empty --types classic,consumer
  rafka group list 'billing-.*' --format json`,
		RunE: func(cmd *cobra.Command, patterns []string) error {
			for _, t := range types {
				if !slices.Contains(groupTypes, strings.ToLower(t)) {
					return usagef("--types %s: must be one of %s", t, strings.Join(groupTypes, ", "))
				}
			}
			expressions, err := compilePatterns(patterns)
			if err != nil {
				return err
			}
			if g.only != "" {
				types = g.typeFilter()
			}
			return g.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				listed, err := listGroups(ctx, adm, states, types)
				if err != nil {
					return err
				}
				listed = slices.DeleteFunc(listed, func(one listedGroup) bool { return !matchesAny(expressions, one.Group) })
				return g.print(cmd.OutOrStdout(), listed, func(t *table) {
					t.row("GROUP", "TYPE", "STATE", "COORDINATOR")
					for _, one := range listed {
						t.row(one.Group, one.Type, cmp.Or(one.State, "-"), one.Coordinator)
					}
				})
			})
		},
		ValidArgsFunction: g.completeGroups,
	}
	cmd.Flags().StringSliceVarP(&states, "states", "s", nil, "only groups in one of these states")
	if g.only == "" {
		cmd.Flags().StringSliceVarP(&types, "types", "t", nil, "only groups of these types: "+strings.Join(groupTypes, ", "))
		// The error means that the flag does not exist.
		_ = cmd.RegisterFlagCompletionFunc("types", cobra.FixedCompletions(groupTypes, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

// listGroups asks every broker for its groups in these states and of these types (nil: all), sorted by name. kadm's list leaves out the type.
// Brokers before Kafka 3.8 know no types and those before 2.6 no states: their groups are classic, and the filters are applied here.
func listGroups(ctx context.Context, adm *admin, states, types []string) ([]listedGroup, error) {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	listed := []listedGroup{}
	for _, shard := range adm.raw.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		resp := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return nil, err
		}
		for _, one := range resp.Groups {
			v := listedGroup{one.Group, groupType(strings.ToLower(one.GroupType)), one.GroupState, one.ProtocolType, shard.Meta.NodeID}
			if v.Type == "" {
				v.Type = classicGroup
			}
			if hasFold(types, string(v.Type)) && (v.State == "" || hasFold(states, v.State)) {
				listed = append(listed, v)
			}
		}
	}
	slices.SortFunc(listed, func(a, b listedGroup) int { return strings.Compare(a.Group, b.Group) })
	return listed, nil
}

// hasFold reports whether a filter lets value through; an empty one lets everything.
func hasFold(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
}
