package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newExplainRebalance(e *explainCommand) *cobra.Command {
	cmd := e.verb("rebalance GROUP", "What a rebalance waits for", "Say whether a group rebalances, which members hold it up, and why it began, if the broker tells.", atOnceOnly,
		func(ctx context.Context, adm *admin, name string) (*explanation, error) {
			found, err := (&groupCommand{}).find(ctx, adm, []string{name})
			if err != nil {
				return nil, err
			}
			v, err := loadGroup(ctx, adm, found[0])
			if err != nil {
				return nil, err
			}
			x := explainRebalance(v)
			x.Decisions = e.decisions(ctx, adm, name)
			return x, nil
		})
	cmd.ValidArgsFunction = (&groupCommand{connection: e.connection, now: e.now}).completeGroups
	return cmd
}

// explainRebalance says what the group's state means, and what each member has yet to do.
func explainRebalance(v *groupView) *explanation {
	x := &explanation{About: v.Group}
	members := plural(int64(len(v.Members)), "member")
	switch v.State {
	case "Stable":
		x.say("", "Group %s does not rebalance: its %s have what they should.", v.Group, members)
	case "Empty", "Dead":
		x.say("", "Group %s has no members, so there is nothing to rebalance.", v.Group)
	case "PreparingRebalance":
		x.say("", "Group %s waits for its %s to join again. Each may take as long as its rebalance time-out (max.poll.interval.ms in Java clients), usually until it has processed what it fetched last; who does not come is left out.", v.Group, members)
	case "CompletingRebalance":
		x.say("", "All %s of group %s have joined; the one that leads it is working out who gets what.", members, v.Group)
	case "Assigning":
		x.say("", "The coordinator of group %s is working out who gets what for epoch %s; the last assignment is of epoch %s.", v.Group, number(v.Epoch), number(v.AssignmentEpoch))
	case "Reconciling":
		x.say("", "The assignment of group %s is decided (epoch %s); its members are on their way to it.", v.Group, number(v.Epoch))
	case "NotReady":
		x.say("", "Streams group %s cannot assign tasks: its topics are not there, or its members do not agree on the topology.", v.Group)
	default:
		x.say("", "Group %s is %s, with %s.", v.Group, v.State, members)
	}
	for i := range v.Members {
		if text := explainMember(v, &v.Members[i]); text != "" {
			x.say(v.Members[i].name(), "%s", text)
		}
	}
	return x
}

// explainMember says what keeps a member from where it should be; "" if nothing does, or nothing is known.
func explainMember(v *groupView, m *memberView) string {
	var parts []string
	if m.Epoch != nil && v.Epoch != nil && *m.Epoch < *v.Epoch {
		parts = append(parts, fmt.Sprintf("is at epoch %d of %d", *m.Epoch, *v.Epoch))
	}
	if m.Target == nil {
		return strings.Join(parts, ", ")
	}
	give, wait := make(assignedView), make(assignedView)
	holders := make(map[string]bool)
	for topic, partitions := range m.Assigned {
		for _, p := range partitions {
			if !m.Target.has(topic, p) {
				give[topic] = append(give[topic], p)
			}
		}
	}
	for topic, partitions := range m.Target {
		for _, p := range partitions {
			if m.Assigned.has(topic, p) {
				continue
			}
			wait[topic] = append(wait[topic], p)
			if other := v.owner(topic, p); other != nil {
				holders[other.name()] = true
			}
		}
	}
	if give.count() > 0 {
		parts = append(parts, "has to give up "+give.String())
	}
	if wait.count() > 0 {
		text := "is to get " + wait.String()
		if len(holders) > 0 {
			text += ", which waits for " + strings.Join(slices.Sorted(maps.Keys(holders)), ", ")
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
