package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

func newTopicTrim(t *topicCommand) *cobra.Command {
	var offset, before string
	var partitions []int32
	cmd := &cobra.Command{
		Use:     "trim NAME",
		Aliases: []string{"trim-prefix"},
		Short:   "Delete the records before an offset or a time",
		Example: `  rafka topic trim orders --offset 1000 --partitions 0
  rafka topic trim orders --offset end            # all records
  rafka topic trim orders --before-time -24h`,
		Args: arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			bound, err := trimBound(offset, before, time.Now())
			if err != nil {
				return err
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				logs, err := loadLogs(ctx, adm, names, partitions, kgo.ReadUncommitted(), bound)
				if err != nil {
					return err
				}
				outcomes, err := trim(ctx, adm, logs, bound)
				if err != nil {
					return err
				}
				return t.printOutcomes(cmd.OutOrStdout(), "partition", outcomes)
			})
		},
		ValidArgsFunction: t.completeTopics,
	}
	cmd.Flags().StringVar(&offset, "offset", "", "delete the records before this `OFFSET`: N, +N, -N or end")
	cmd.Flags().StringVar(&before, "before-time", "", "delete the records before the first one at or after this `TIME`: 2026-01-31T12:00:00Z, milliseconds since 1970, -24h")
	cmd.Flags().Int32SliceVarP(&partitions, "partitions", "p", nil, "only these partitions")
	return cmd
}

func trimBound(offset, before string, now time.Time) (offsetspec.Bound, error) {
	switch {
	case (offset == "") == (before == ""):
		return offsetspec.Bound{}, usagef("say where to cut: either --offset OFFSET or --before-time TIME")
	case before != "":
		at, err := offsetspec.ParseTime(before, now)
		if err != nil {
			return offsetspec.Bound{}, usagef("--before-time: %w", err)
		}
		return offsetspec.Bound{Kind: offsetspec.Time, N: at.UnixMilli()}, nil
	}
	r, err := offsetspec.Parse(offset, now)
	if err != nil {
		return offsetspec.Bound{}, usagef("--offset: %w", err)
	}
	if r.Stops() {
		return offsetspec.Bound{}, usagef("--offset %s: want one offset, not a range", offset)
	}
	return r.From, nil
}

func trim(ctx context.Context, adm *admin, logs []partitionLog, bound offsetspec.Bound) ([]outcome, error) {
	cut := make(kadm.Offsets)
	for _, l := range logs {
		cut.AddOffset(l.topic, l.partition, bound.Offset(l.start, l.end, l.times[bound.N]), -1)
	}
	answers, err := adm.DeleteRecords(ctx, cut)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, 0, len(logs))
	for _, a := range answers.Sorted() {
		oc := outcome{Name: fmt.Sprintf("%s/%d", a.Topic, a.Partition), Status: fmt.Sprintf("log starts at %d", a.LowWatermark)}
		if a.Err != nil {
			at, _ := cut.Lookup(a.Topic, a.Partition)
			i := slices.IndexFunc(logs, func(l partitionLog) bool { return l.topic == a.Topic && l.partition == a.Partition })
			oc.Status = "failed"
			oc.Error = fmt.Sprintf("%s (asked for offset %d, the log is %d to %d)", describedText(a.Err, ""), at.At, logs[i].start, logs[i].end)
		}
		outcomes = append(outcomes, oc)
	}
	return outcomes, nil
}
