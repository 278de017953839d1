package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newExplainLag(e *explainCommand) *cobra.Command {
	observe := 2 * time.Second
	cmd := e.verb("lag GROUP", "Why a group is behind", `Say why a group is behind, partition by partition. It looks twice, --observe apart, to see what moves.`,
		func() time.Duration { return observe },
		func(ctx context.Context, adm *admin, name string) (*explanation, error) {
			if observe < 0 || observe > 10*time.Minute {
				return nil, usagef("--observe must be 0s to 10m")
			}
			return e.lag(ctx, adm, name, observe)
		})
	cmd.Flags().DurationVar(&observe, "observe", observe, "time between the two looks; a group that commits every five seconds needs more")
	cmd.ValidArgsFunction = (&groupCommand{connection: e.connection, now: e.now}).completeGroups
	return cmd
}

func (e *explainCommand) lag(ctx context.Context, adm *admin, name string, observe time.Duration) (*explanation, error) {
	g := &groupCommand{now: e.now}
	before, err := g.load(ctx, adm, []string{name}, false)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(observe):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := g.load(ctx, adm, []string{name}, false)
	if err != nil {
		return nil, err
	}
	stable := lastStable(ctx, adm, after[0])
	x := explainLag(before[0], after[0], observe, stable)
	x.Decisions = e.decisions(ctx, adm, name)
	return x, nil
}

// lastStable is the last stable offset of the group's partitions, as far as it can be told.
func lastStable(ctx context.Context, adm *admin, v *groupView) map[topicPartition]int64 {
	known := make(map[topicPartition]int64)
	if len(v.Offsets) == 0 {
		return known
	}
	listed, err := adm.ListCommittedOffsets(ctx, v.topics()...)
	if err != nil {
		return known
	}
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			known[topicPartition{o.Topic, o.Partition}] = o.Offset
		}
	})
	return known
}

// explainLag compares two looks at a group that lie gap apart.
func explainLag(before, after *groupView, gap time.Duration, stable map[topicPartition]int64) *explanation {
	x := &explanation{About: after.Group}
	switch {
	case len(after.Offsets) == 0:
		x.say("", "Group %s has committed nothing and no member has a partition, so it has no lag.", after.Group)
		return x
	case after.Lag == 0:
		x.say("", "Group %s is not behind: everything that was written is consumed.", after.Group)
	default:
		x.say("", "Group %s is behind by %s in %s.", after.Group, lagText(after.Lag, after.LagSeconds), plural(int64(countLagging(after)), "partition"))
	}
	if len(after.Members) == 0 {
		x.say("", "It has no members (%s): nobody consumes. Start its consumers.", after.State)
	} else if after.State != "Stable" {
		x.say("", "It is %s: members do not consume what changes hands. `rafka explain rebalance %s` says what it waits for.", after.State, after.Group)
	}
	was := make(map[topicPartition]*groupOffset)
	for i := range before.Offsets {
		o := &before.Offsets[i]
		was[topicPartition{o.Topic, o.Partition}] = o
	}
	for i := range after.Offsets {
		o := &after.Offsets[i]
		tp := topicPartition{o.Topic, o.Partition}
		lso, hasLSO := stable[tp]
		if text := explainPartitionLag(was[tp], o, len(after.Members) > 0, gap, lso, hasLSO); text != "" {
			x.say(fmt.Sprintf("%s/%d", o.Topic, o.Partition), "%s", text)
		}
	}
	return x
}

func countLagging(v *groupView) (n int) {
	for _, o := range v.Offsets {
		if o.Lag != nil && *o.Lag > 0 {
			n++
		}
	}
	return n
}

// explainPartitionLag says what there is to say about one partition; "" if all is well.
func explainPartitionLag(was, is *groupOffset, hasMembers bool, gap time.Duration, lso int64, hasLSO bool) string {
	switch {
	case is.Error != "":
		return is.Error
	case is.Committed == nil && is.Member != "":
		return fmt.Sprintf("%s has it and has not committed yet: where it is cannot be told", is.ClientID)
	case is.Committed == nil || is.Start == nil || is.End == nil || is.Lag == nil:
		return ""
	}
	lost := ""
	if *is.Committed < *is.Start {
		lost = fmt.Sprintf("%s that it had not consumed are deleted already (the log starts at %d, it is at %d); ", plural(*is.Start-*is.Committed, "record"), *is.Start, *is.Committed)
	}
	if *is.Lag == 0 {
		if lost != "" {
			return lost + "nothing else waits"
		}
		return ""
	}
	text := lost + lagText(*is.Lag, is.LagSeconds)
	switch {
	case hasLSO && lso < *is.End && *is.Committed >= lso:
		return text + fmt.Sprintf("; an open transaction holds back everything from offset %d for consumers with read_committed: `rafka explain lso %s`", lso, is.Topic)
	case hasMembers && is.Member == "":
		return text + "; no member has it: none subscribes to the topic, or a rebalance is under way"
	case !hasMembers || was == nil || was.Committed == nil || was.End == nil || gap <= 0:
		return text
	}
	consumed, written := *is.Committed-*was.Committed, *is.End-*was.End
	rate := func(n int64) string { return fmt.Sprintf("%.0f/s", float64(n)/gap.Seconds()) }
	switch {
	case consumed == 0 && written == 0:
		return text + fmt.Sprintf("; %s committed nothing in %s and nothing was written: it is stuck, slow, or commits more rarely than that", is.ClientID, gap)
	case consumed == 0:
		return text + fmt.Sprintf("; %s committed nothing in %s while %s were written: it is stuck, slow, or commits more rarely than that", is.ClientID, gap, plural(written, "record"))
	case consumed <= written:
		return text + fmt.Sprintf("; %s consumes %s, producers write %s: it does not catch up; give the group more members or less work for each record", is.ClientID, rate(consumed), rate(written))
	}
	left := time.Duration(float64(*is.Lag) / (float64(consumed-written) / gap.Seconds()) * float64(time.Second))
	return text + fmt.Sprintf("; %s consumes %s, producers write %s: it catches up in about %s", is.ClientID, rate(consumed), rate(written), spanText(left))
}
