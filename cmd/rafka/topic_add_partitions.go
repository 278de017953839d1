package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newTopicAddPartitions(t *topicCommand) *cobra.Command {
	var add, total int
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "add-partitions NAME...",
		Short: "Add partitions to topics",
		Long: `Add partitions to topics. Keys that were in one partition may move to another for new records, so the order of a key's
records holds only from then on. Partitions cannot be taken away again.`,
		Args: arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			if (add > 0) == (total > 0) || add < 0 || total < 0 {
				return usagef("say how many: either --num N more, or --total N in the end")
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				change, n := adm.CreatePartitions, add
				switch {
				case total > 0 && dryRun:
					change, n = adm.ValidateUpdatePartitions, total
				case total > 0:
					change, n = adm.UpdatePartitions, total
				case dryRun:
					change = adm.ValidateCreatePartitions
				}
				answers, err := change(ctx, n, names...)
				if err != nil {
					return err
				}
				var outcomes []outcome
				for _, a := range answers.Sorted() {
					oc := outcome{Name: a.Topic, Status: partitionsStatus(add, total, dryRun)}
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
	cmd.Flags().IntVarP(&add, "num", "n", 0, "number of partitions to add")
	cmd.Flags().IntVar(&total, "total", 0, "number of partitions to have in the end")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "let the broker check the request, change nothing")
	return cmd
}

func partitionsStatus(add, total int, dryRun bool) string {
	status := fmt.Sprintf("%d partitions added", add)
	if total > 0 {
		status = fmt.Sprintf("has %d partitions", total)
	}
	if dryRun {
		status = "would succeed: " + status
	}
	return status
}
