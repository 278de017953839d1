package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newTopicCreate(t *topicCommand) *cobra.Command {
	var partitions int32
	var replicas int16
	var configs keyValues
	var ifNotExists, dryRun bool
	cmd := &cobra.Command{
		Use:   "create NAME...",
		Short: "Create topics",
		Example: `  rafka topic create orders
  rafka topic create orders payments -p 6 -r 3 -c cleanup.policy=compact -c retention.ms=86400000`,
		Args: arguments(1, -1, "NAME..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			if partitions == 0 || partitions < -1 || replicas == 0 || replicas < -1 {
				return usagef("--partitions and --replicas must be 1 or more, or -1 for the broker's default")
			}
			values := make(map[string]*string, len(configs))
			for _, c := range configs {
				values[c.key] = &c.value
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				create := adm.CreateTopics
				if dryRun {
					create = adm.ValidateCreateTopics
				}
				answers, err := create(ctx, partitions, replicas, values, names...)
				if err != nil {
					return err
				}
				var outcomes []outcome
				for _, a := range answers.Sorted() {
					outcomes = append(outcomes, createOutcome(a, ifNotExists, dryRun))
				}
				return t.printOutcomes(cmd.OutOrStdout(), "topic", outcomes)
			})
		},
	}
	f := cmd.Flags()
	f.Int32VarP(&partitions, "partitions", "p", -1, "number of partitions; -1: the broker's default")
	f.Int16VarP(&replicas, "replicas", "r", -1, "replication factor; -1: the broker's default")
	f.VarP(&configs, "config", "c", "set a topic configuration (repeatable)")
	f.BoolVar(&ifNotExists, "if-not-exists", false, "do not fail for a topic that exists already")
	f.BoolVar(&dryRun, "dry-run", false, "let the broker check the request, create nothing")
	return cmd
}

func createOutcome(a kadm.CreateTopicResponse, ifNotExists, dryRun bool) outcome {
	oc := outcome{Name: a.Topic}
	switch {
	case ifNotExists && errors.Is(a.Err, kerr.TopicAlreadyExists):
		oc.Status = "exists"
		return oc
	case a.Err != nil:
		oc.Status, oc.Error = "failed", describedText(a.Err, a.ErrMessage)
		return oc
	case dryRun:
		oc.Status = "would be created"
	default:
		oc.Status = "created"
	}
	if a.NumPartitions > 0 {
		oc.Status += fmt.Sprintf(" (partitions %d, replicas %d)", a.NumPartitions, a.ReplicationFactor)
	}
	return oc
}
