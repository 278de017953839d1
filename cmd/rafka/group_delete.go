package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newGroupDelete(g *groupCommand) *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete groups and their offsets",
		Long:    "Delete groups and their offsets. A group must have no members. Its records stay where they are.",
		Example: "  rafka group delete billing",
		Args:    arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			return g.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				return g.delete(ctx, cmd, adm, names)
			})
		},
		ValidArgsFunction: g.completeGroups,
	}
}

func (g *groupCommand) delete(ctx context.Context, cmd *cobra.Command, adm *admin, names []string) error {
	if g.only != "" {
		if _, err := g.find(ctx, adm, names); err != nil {
			return err
		}
	}
	answers, err := adm.DeleteGroups(ctx, names...)
	if err != nil {
		return err
	}
	outcomes := make([]outcome, 0, len(names))
	for _, a := range answers.Sorted() {
		oc := outcome{Name: a.Group, Status: "deleted"}
		if a.Err != nil {
			oc.Status, oc.Error = "failed", describedText(a.Err, cmp.Or(a.ErrMessage, groupAdvice(a.Err)))
		}
		outcomes = append(outcomes, oc)
	}
	return g.printOutcomes(cmd.OutOrStdout(), "group", outcomes)
}

// groupAdvice says what to do about an error code of the group coordinator, for which describe has no words of its own; "" if there is nothing.
func groupAdvice(err error) string {
	switch {
	case errors.Is(err, kerr.NonEmptyGroup):
		return "the group has members; stop them first, `rafka group describe NAME --members` shows them"
	case errors.Is(err, kerr.GroupIDNotFound):
		return "there is no such group; `rafka group list` shows what there is"
	case errors.Is(err, kerr.GroupSubscribedToTopic):
		return "members of the group subscribe to the topic; stop them first"
	}
	return ""
}
