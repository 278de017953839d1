package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newGroupDescribe(g *groupCommand) *cobra.Command {
	var members, all, watch bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "describe NAME...",
		Short: "Show members, assignments, offsets and lag of groups",
		Long: `Show members, assignments, offsets and lag of groups of any type.

LAG is in records. LAG-TIME is the age of the oldest record that the group has not consumed: how far behind it is in time, which stays
small while a group keeps up, however many records there are. It takes one small read for each partition with a lag. Records count as
waiting as soon as they are written, also those of open transactions.

--watch shows a rebalance as it happens: on a terminal it draws the group anew every --interval, elsewhere it prints one line for each change.`,
		Example: `  rafka group describe billing
  rafka group describe billing --members
  rafka group describe billing --watch
  rafka group describe --all --format json`,
		RunE: func(cmd *cobra.Command, names []string) error {
			switch {
			case all && len(names) > 0:
				return usagef("--all describes every group: leave out the names")
			case !all && len(names) == 0:
				return usagef("missing argument: %s NAME... (or --all)", cmd.CommandPath())
			case watch && len(names) != 1:
				return usagef("--watch looks at one group")
			case watch && g.format.value != "text":
				return usagef("--watch prints text: leave out --format")
			case interval < 100*time.Millisecond:
				return usagef("--interval must be 100ms or longer")
			}
			if watch {
				return g.watch(cmd, names[0], interval)
			}
			return g.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				views, err := g.load(ctx, adm, names, all)
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), views, func(t *table) {
					for _, v := range views {
						printGroup(t, v, members)
					}
				})
			})
		},
		ValidArgsFunction: g.completeGroups,
	}
	f := cmd.Flags()
	f.BoolVarP(&members, "members", "m", false, "show each member with its epoch, subscription and assignment instead of the offsets")
	f.BoolVarP(&all, "all", "a", false, "describe every group")
	f.BoolVarP(&watch, "watch", "w", false, "go on and show what changes")
	f.DurationVar(&interval, "interval", time.Second, "how often --watch looks")
	return cmd
}

// load describes the named groups, or all of them.
func (g *groupCommand) load(ctx context.Context, adm *admin, names []string, all bool) ([]*groupView, error) {
	var listed []listedGroup
	var err error
	if all {
		listed, err = listGroups(ctx, adm, nil, g.typeFilter())
	} else {
		listed, err = g.find(ctx, adm, names)
	}
	if err != nil {
		return nil, err
	}
	views := make([]*groupView, 0, len(listed))
	for _, one := range listed {
		v, err := loadGroup(ctx, adm, one)
		if err == nil {
			err = loadOffsets(ctx, adm, v, g.now())
		}
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

func printGroup(t *table, v *groupView, members bool) {
	t.section("GROUP " + v.Group)
	t.row("type", v.Type)
	t.row("state", v.State)
	t.row("coordinator", v.Coordinator)
	if v.Type == classicGroup && v.ProtocolType != "" && v.ProtocolType != "consumer" {
		t.row("protocol", v.ProtocolType)
	}
	if v.Assignor != "" {
		t.row("assignor", v.Assignor)
	}
	if v.Epoch != nil && v.AssignmentEpoch != nil {
		t.row("epoch", fmt.Sprintf("%d (assignment %d)", *v.Epoch, *v.AssignmentEpoch))
	}
	t.row("members", len(v.Members))
	if v.Offsets != nil {
		t.row("lag", lagText(v.Lag, v.LagSeconds))
	}
	if members {
		printMembers(t, v)
		return
	}
	if len(v.Offsets) == 0 {
		return
	}
	t.section("OFFSETS")
	t.row("TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-START-OFFSET", "LOG-END-OFFSET", "LAG", "LAG-TIME", "MEMBER-ID", "CLIENT-ID", "HOST")
	for _, o := range v.Offsets {
		t.row(o.Topic, o.Partition, orDash(o.Committed), orDash(o.Start), orDash(o.End), orDash(o.Lag), secondsText(o.LagSeconds),
			cmp.Or(o.Instance, o.Member, "-"), cmp.Or(o.ClientID, "-"), cmp.Or(o.Host, "-"), o.Error)
	}
}

func printMembers(t *table, v *groupView) {
	t.section("MEMBERS")
	t.row("MEMBER-ID", "CLIENT-ID", "HOST", "EPOCH", "PARTITIONS", "ASSIGNED", "TARGET", "SUBSCRIBED")
	for _, m := range v.Members {
		assigned, target, subscribed := m.Assigned.String(), "-", fmt.Sprint(m.Subscribed)
		if m.Tasks != nil {
			assigned = m.tasksText()
		}
		if m.Target != nil {
			target = m.Target.String()
		}
		if m.Pattern != "" {
			subscribed += " /" + m.Pattern + "/"
		}
		t.row(cmp.Or(m.Instance, m.ID), m.ClientID, m.Host, epochText(&m), m.Assigned.count(), assigned, target, subscribed)
	}
}

// epochText is the member's epoch, marked if it still speaks the classic protocol in a group of consumers.
func epochText(m *memberView) string {
	switch {
	case m.Epoch == nil:
		return "-"
	case m.Protocol == "classic":
		return fmt.Sprintf("%d (classic)", *m.Epoch)
	}
	return fmt.Sprint(*m.Epoch)
}

// lagText is 12 records, 3.4s.
func lagText(records int64, seconds *float64) string {
	s := plural(records, "record")
	if seconds != nil {
		s += ", " + secondsText(seconds)
	}
	return s
}

// plural is 1 record, 2 records.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// secondsText writes seconds as people read them: 0s, 120ms, 3.4s, 2h5m0s; - if unknown.
func secondsText(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return spanText(time.Duration(*seconds * float64(time.Second)))
}

// spanText rounds a span of time to what matters.
func spanText(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d >= 48*time.Hour && d%(24*time.Hour) < time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
	return d.Round(time.Second).String()
}
