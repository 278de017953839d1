package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newTopicDelete(t *topicCommand) *cobra.Command {
	var regex, yes bool
	cmd := &cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete topics and all their records",
		Example: `  rafka topic delete orders
  rafka topic delete --regex 'test-.*' --yes`,
		Args: arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			if regex && !yes && !isTerminal(cmd.InOrStdin()) {
				return usagef("--regex asks before it deletes, and there is no terminal to ask on: add --yes")
			}
			if regex && !yes {
				confirmed, err := t.confirmDelete(cmd, names)
				if err != nil || len(confirmed) == 0 {
					return err
				}
				names, regex = confirmed, false
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) (err error) {
				if regex {
					if names, err = matchTopics(ctx, adm, names, false); err != nil {
						return err
					}
				}
				answers, err := adm.DeleteTopics(ctx, names...)
				if err != nil {
					return err
				}
				var outcomes []outcome
				for _, a := range answers.Sorted() {
					oc := outcome{Name: a.Topic, Status: "deleted"}
					if a.Err != nil {
						oc.Status, oc.Error = "failed", describedText(a.Err, a.ErrMessage)
					}
					outcomes = append(outcomes, oc)
				}
				return t.printOutcomes(cmd.OutOrStdout(), "topic", outcomes)
			})
		},
		ValidArgsFunction: t.completeTopics,
	}
	cmd.Flags().BoolVar(&regex, "regex", false, "the names are regular expressions that must match a topic's whole name; internal topics are spared")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirmDelete shows what matches and asks; it returns the names that were shown, so that a topic made meanwhile is not deleted.
// It runs outside the time-out of the request: people read slowly.
func (t *topicCommand) confirmDelete(cmd *cobra.Command, patterns []string) (names []string, err error) {
	err = t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) (err error) {
		names, err = matchTopics(ctx, adm, patterns, false)
		return err
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nDelete these %d topics and all their records? [y/N] ", strings.Join(names, "\n"), len(names))
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // an unreadable answer is no yes
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing deleted")
		return nil, nil
	}
	return names, nil
}
