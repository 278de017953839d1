package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// groupCommand is what the verbs under `group` and `share` share.
type groupCommand struct {
	connection
	output
	only groupType // groups of other types are refused; "": any
	now  func() time.Time
}

func newGroupCommand(getenv func(string) string) *cobra.Command {
	cmd := group("group", "List, describe, move and delete groups of any type")
	g := &groupCommand{connection: connection{getenv: getenv}, now: time.Now}
	g.connection.register(cmd)
	g.output.register(cmd)
	cmd.AddCommand(newGroupList(g), newGroupDescribe(g), newGroupSeek(g), newGroupDelete(g), newGroupOffsetDelete(g))
	return cmd
}

// groupType is a type of group as the protocol names it, in lower case.
type groupType string

const (
	classicGroup  groupType = "classic"
	consumerGroup groupType = "consumer"
	shareGroup    groupType = "share"
	streamsGroup  groupType = "streams"
)

var groupTypes = []string{string(classicGroup), string(consumerGroup), string(shareGroup), string(streamsGroup)}

// completeGroups offers the cluster's groups to the shell; as completeTopics, it keeps quiet when it cannot.
func (g *groupCommand) completeGroups(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	quick := g.connection
	quick.timeout = min(g.timeout, 2*time.Second)
	var names []string
	err := quick.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
		listed, err := listGroups(ctx, adm, nil, g.typeFilter())
		for _, one := range listed {
			names = append(names, one.Group)
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// typeFilter asks the brokers for the groups that the command is about.
func (g *groupCommand) typeFilter() []string {
	if g.only == "" {
		return nil
	}
	return []string{string(g.only)}
}

// find returns the named groups as they are listed, in the order of names. Listing tells the type of a group, which decides how everything
// else is asked.
func (g *groupCommand) find(ctx context.Context, adm *admin, names []string) ([]listedGroup, error) {
	all, err := listGroups(ctx, adm, nil, nil)
	if err != nil {
		return nil, err
	}
	found := make([]listedGroup, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(all, func(one listedGroup) bool { return one.Group == name })
		switch {
		case i < 0:
			return nil, fmt.Errorf("group %q does not exist; `rafka group list` shows what there is", name)
		case g.only != "" && all[i].Type != g.only:
			return nil, fmt.Errorf("group %q is a %s group, not a %s group; use `rafka group`", name, all[i].Type, g.only)
		}
		found = append(found, all[i])
	}
	return found, nil
}
