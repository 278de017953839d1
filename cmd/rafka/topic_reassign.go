package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reassignOptions are the flags of `topic reassign`.
type reassignOptions struct {
	partitions   []int32
	replicas     []int32
	cancel, list bool
	dryRun       bool
	throttle     string
	wait         waiting
}

func newTopicReassign(t *topicCommand) *cobra.Command {
	var o reassignOptions
	cmd := &cobra.Command{
		Use:   "reassign TOPIC",
		Short: "Move partitions to other brokers, or change how many replicas they have",
		Long: `Move partitions of a topic to other brokers, or change how many replicas they have. The new replicas copy the data while the old
ones go on serving; --wait watches until all is done.

--replicas lists the brokers that shall have the partition, the preferred leader first. Without --partition it is for all
partitions, and then the list is turned by one from each to the next, so that all of the brokers lead.
--throttle limits how much is copied, on each broker and in each direction, of what is not in sync: it sets the settings that Kafka's tools set, and takes them back
with --wait when all is moved, else when it is called with --throttle off.
--cancel gives up what is under way: the partitions keep the replicas that they had. --list shows what is under way, of one topic or all.`,
		Example: `  rafka topic reassign orders --replicas 1,2,3 --wait
  rafka topic reassign orders --partition 4 --replicas 2,3
  rafka topic reassign orders --replicas 2,3,4 --throttle 50MB --wait
  rafka topic reassign --list
  rafka topic reassign orders --cancel`,
		Args: arguments(0, 1, "TOPIC"),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := o.check(names); err != nil {
				return err
			}
			return t.withPatience(cmd.Context(), func(ctx context.Context, adm *admin) error {
				within, cancel := context.WithTimeout(ctx, t.timeout)
				defer cancel()
				if o.list {
					return t.listMoves(within, cmd, adm, &o, names)
				}
				if o.throttle == throttleOff {
					outcomes, err := unthrottle(within, adm, names[0])
					if err != nil {
						return err
					}
					return t.printOutcomes(cmd.OutOrStdout(), "what", outcomes)
				}
				return t.reassign(ctx, within, cmd, adm, &o, names[0])
			})
		},
		ValidArgsFunction: t.completeTopics,
	}
	f := cmd.Flags()
	f.Int32SliceVarP(&o.partitions, "partition", "p", nil, "only this `PARTITION` (repeatable; default all)")
	f.Int32SliceVar(&o.replicas, "replicas", nil, "ids of the `BROKERS` that shall have it, the preferred leader first")
	f.StringVar(&o.throttle, "throttle", "", "copy at most so many `BYTES` a second; off: no limit any more")
	f.BoolVar(&o.cancel, "cancel", false, "give up what is under way")
	f.BoolVar(&o.list, "list", false, "show what is under way")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would move, move nothing")
	o.wait.register(cmd, "wait until nothing of this is under way any more")
	return cmd
}

func (o *reassignOptions) check(names []string) error {
	asked := 0
	for _, is := range []bool{len(o.replicas) > 0, o.cancel, o.list, o.throttle == throttleOff} {
		if is {
			asked++
		}
	}
	sorted := slices.Sorted(slices.Values(o.replicas))
	switch {
	case asked != 1:
		return usagef("say what to do: one of --replicas 1,2,3, --cancel, --list, --throttle off")
	case len(names) == 0 && !o.list:
		return usagef("missing argument: rafka topic reassign TOPIC")
	case len(names) == 0 && len(o.partitions) > 0:
		return usagef("--partition is of a topic: name it")
	case o.throttle != "" && o.throttle != throttleOff && (len(o.replicas) == 0 || o.dryRun):
		return usagef("--throttle BYTES is of what --replicas moves")
	case o.throttle == throttleOff && o.wait.on:
		return usagef("--throttle off is done at once: leave out --wait")
	case o.list && o.wait.on:
		return usagef("--list only shows: leave out --wait")
	case o.dryRun && len(o.replicas) == 0:
		return usagef("--dry-run is of --replicas; --list shows what --cancel would give up")
	case len(sorted) > 0 && sorted[0] < 0:
		return usagef("--replicas: %d is no id of a broker", sorted[0])
	case len(slices.Compact(sorted)) < len(o.replicas):
		return usagef("--replicas names a broker twice")
	}
	return nil
}

// moveView is a partition whose replicas are changing or shall change.
type moveView struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Replicas  []int32 `json:"replicas"` // those of before and those to come
	Adding    []int32 `json:"adding"`
	Removing  []int32 `json:"removing"`
}

func (t *topicCommand) listMoves(ctx context.Context, cmd *cobra.Command, adm *admin, o *reassignOptions, names []string) error {
	asked, err := movesOf(ctx, adm, names, o.partitions)
	if err != nil {
		return err
	}
	views := []moveView{}
	for _, r := range asked.Sorted() {
		views = append(views, moveView{r.Topic, r.Partition, r.Replicas, r.AddingReplicas, r.RemovingReplicas})
	}
	return t.print(cmd.OutOrStdout(), views, func(tb *table) {
		if len(views) == 0 {
			tb.row("nothing is under way")
			return
		}
		tb.row("PARTITION", "REPLICAS", "ADDING", "REMOVING")
		for _, v := range views {
			tb.row(fmt.Sprintf("%s/%d", v.Topic, v.Partition), v.Replicas, v.Adding, v.Removing)
		}
	})
}

// movesOf are the moves under way of a topic's partitions, all or those named, or of all topics.
func movesOf(ctx context.Context, adm *admin, names []string, partitions []int32) (kadm.ListPartitionReassignmentsResponses, error) {
	if len(names) == 0 {
		return allMoves(ctx, adm)
	}
	var of kadm.TopicsSet
	for _, name := range names {
		chosen, err := choosePartitions(ctx, adm, name, partitions)
		if err != nil {
			return nil, err
		}
		for _, p := range chosen {
			of.Add(name, p.Partition)
		}
	}
	return adm.ListPartitionReassignments(ctx, of)
}

// allMoves are the moves under way of all topics. kadm asks for those of no topic where none is named.
func allMoves(ctx context.Context, adm *admin) (kadm.ListPartitionReassignmentsResponses, error) {
	resp, err := kmsg.NewPtrListPartitionReassignmentsRequest().RequestWith(ctx, adm.raw)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, errors.New(describedText(err, deref(resp.ErrorMessage)))
	}
	all := kadm.ListPartitionReassignmentsResponses{}
	for _, t := range resp.Topics {
		all[t.Topic] = map[int32]kadm.ListPartitionReassignmentsResponse{}
		for _, p := range t.Partitions {
			all[t.Topic][p.Partition] = kadm.ListPartitionReassignmentsResponse{
				Topic: t.Topic, Partition: p.Partition, Replicas: p.Replicas, AddingReplicas: p.AddingReplicas, RemovingReplicas: p.RemovingReplicas,
			}
		}
	}
	return all, nil
}

func (t *topicCommand) reassign(ctx, within context.Context, cmd *cobra.Command, adm *admin, o *reassignOptions, topic string) error {
	chosen, err := choosePartitions(within, adm, topic, o.partitions)
	if err != nil {
		return err
	}
	var req kadm.AlterPartitionAssignmentsReq
	outcomes := make([]outcome, 0, len(chosen))
	for _, p := range chosen {
		status := "move given up"
		switch to := o.target(p.Partition); {
		case o.cancel:
			req.CancelAssign(topic, p.Partition)
		case o.dryRun:
			status = fmt.Sprintf("would move from %v to %v", p.Replicas, to)
		default:
			req.Assign(topic, p.Partition, to)
			status = fmt.Sprintf("moving from %v to %v", p.Replicas, to)
		}
		outcomes = append(outcomes, outcome{Name: fmt.Sprintf("%s/%d", topic, p.Partition), Status: status})
	}
	if o.dryRun {
		return t.printOutcomes(cmd.OutOrStdout(), "partition", outcomes)
	}
	if o.throttle != "" {
		if err := throttle(within, adm, topic, o.throttle, chosen, o.target); err != nil {
			return err
		}
	}
	answers, err := adm.AlterPartitionAssignments(within, req)
	if err != nil {
		return err
	}
	begun := 0
	for i, p := range chosen {
		switch a := answers[topic][p.Partition]; {
		case o.cancel && errors.Is(a.Err, kerr.NoReassignmentInProgress):
			outcomes[i].Status = "was not moving"
		case a.Err != nil:
			outcomes[i].Status, outcomes[i].Error = "failed", describedText(a.Err, a.ErrMessage)
		default:
			begun++
		}
	}
	if o.wait.on && begun > 0 {
		if err := t.awaitMoves(ctx, cmd, adm, o, topic, begun); err != nil {
			return err
		}
		if o.throttle != "" {
			within, cancel := context.WithTimeout(ctx, t.timeout)
			defer cancel()
			if _, err := unthrottle(within, adm, topic); err != nil {
				return fmt.Errorf("all is moved, and the throttle stays (`rafka topic reassign %s --throttle off` takes it off): %w", topic, err)
			}
		}
		for i := range outcomes {
			if outcomes[i].Error == "" && !o.cancel {
				outcomes[i].Status = fmt.Sprintf("moved from %v to %v", chosen[i].Replicas, o.target(chosen[i].Partition))
			}
		}
	}
	return t.printOutcomes(cmd.OutOrStdout(), "partition", outcomes)
}

// target is the list of replicas of a partition: as given, or turned where it is for all.
func (o *reassignOptions) target(partition int32) []int32 {
	if len(o.partitions) > 0 || len(o.replicas) == 0 {
		return o.replicas
	}
	by := int(partition) % len(o.replicas)
	return append(slices.Clone(o.replicas[by:]), o.replicas[:by]...)
}

func (t *topicCommand) awaitMoves(ctx context.Context, cmd *cobra.Command, adm *admin, o *reassignOptions, topic string, total int) error {
	return o.wait.until(ctx, cmd.ErrOrStderr(), t.timeout, func(ctx context.Context) (progress, bool, error) {
		moving, err := movesOf(ctx, adm, []string{topic}, o.partitions)
		if err != nil {
			return progress{}, false, err
		}
		left := len(moving[topic])
		return progress{done: max(total-left, 0), total: total, what: "partitions moved"}, left == 0, nil
	})
}
