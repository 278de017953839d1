package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// watch shows a group until it is interrupted, which is success.
func (g *groupCommand) watch(cmd *cobra.Command, name string, interval time.Duration) error {
	ctx := cmd.Context()
	cl, err := g.open(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm, out := newAdmin(cl), cmd.OutOrStdout()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last *groupView
	for {
		v, err := g.glance(ctx, adm, name, last)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return explain(err)
		}
		if isTerminal(out) {
			err = g.redraw(out, v, interval)
		} else {
			err = printChanges(out, g.now(), last, v)
		}
		if err != nil {
			return err
		}
		last = v
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// glance loads the group once. A group that was there and is gone is shown as gone; one that has not been seen must exist.
func (g *groupCommand) glance(ctx context.Context, adm *admin, name string, last *groupView) (*groupView, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	views, err := g.load(ctx, adm, []string{name}, false)
	if err == nil {
		return views[0], nil
	}
	if last == nil || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	listed, listErr := listGroups(ctx, adm, nil, nil)
	if listErr != nil {
		return nil, listErr
	}
	for _, one := range listed {
		if one.Group == name {
			return nil, err
		}
	}
	return &groupView{Group: name, Type: last.Type, State: "gone"}, nil
}

// redraw clears the screen and draws the group, in one write so that it does not flicker.
func (g *groupCommand) redraw(out io.Writer, v *groupView, interval time.Duration) error {
	var page bytes.Buffer
	page.WriteString("\x1b[H\x1b[2J")
	fmt.Fprintf(&page, "every %s, %s\n\n", interval, g.now().Format(time.TimeOnly))
	err := g.print(&page, v, func(t *table) {
		printGroup(t, v, true)
		if len(v.Offsets) > 0 {
			t.section("OFFSETS")
			t.row("TOPIC", "PARTITION", "CURRENT-OFFSET", "LAG", "LAG-TIME", "MEMBER-ID")
			for _, o := range v.Offsets {
				t.row(o.Topic, o.Partition, orDash(o.Committed), orDash(o.Lag), secondsText(o.LagSeconds), cmp.Or(o.Instance, o.Member, "-"))
			}
		}
	})
	if err != nil {
		return err
	}
	_, err = out.Write(page.Bytes())
	return err
}

func printChanges(out io.Writer, now time.Time, was, is *groupView) error {
	for _, line := range groupChanges(was, is) {
		if _, err := fmt.Fprintf(out, "%s %s\n", now.UTC().Format("2006-01-02T15:04:05.000Z"), line); err != nil {
			return err
		}
	}
	return nil
}

// groupChanges says what changed between two looks, a line for each; was is nil at the first look. Lags are no changes: they always change.
func groupChanges(was, is *groupView) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if was == nil {
		say("group %s is %s, %s, epoch %s, %s", is.Group, is.State, plural(int64(len(is.Members)), "member"), number(is.Epoch), lagText(is.Lag, is.LagSeconds))
		was = &groupView{State: is.State, Epoch: is.Epoch, AssignmentEpoch: is.AssignmentEpoch, Assignor: is.Assignor}
	}
	if was.State != is.State {
		say("state %s -> %s", was.State, is.State)
	}
	if number(was.Epoch) != number(is.Epoch) || number(was.AssignmentEpoch) != number(is.AssignmentEpoch) {
		say("epoch %s -> %s, assignment %s -> %s", number(was.Epoch), number(is.Epoch), number(was.AssignmentEpoch), number(is.AssignmentEpoch))
	}
	if was.Assignor != is.Assignor && is.Assignor != "" && was.Assignor != "" { // classic groups have none during a rebalance
		say("assignor %s -> %s", was.Assignor, is.Assignor)
	}
	before := make(map[string]*memberView)
	for i := range was.Members {
		before[was.Members[i].ID] = &was.Members[i]
	}
	for i := range is.Members {
		m := &is.Members[i]
		old, known := before[m.ID]
		delete(before, m.ID)
		name := m.name()
		switch {
		case !known:
			say("member %s is there, epoch %s, has %s", name, number(m.Epoch), m.assignedText())
			continue
		case number(old.Epoch) != number(m.Epoch):
			say("member %s epoch %s -> %s", name, number(old.Epoch), number(m.Epoch))
		}
		if old.assignedText() != m.assignedText() {
			say("member %s has %s -> %s", name, old.assignedText(), m.assignedText())
		}
		if m.Target != nil && old.Target.String() != m.Target.String() {
			say("member %s is to have %s -> %s", name, old.Target, m.Target)
		}
	}
	for i := range was.Members { // in order, not as the map has them
		if m := &was.Members[i]; before[m.ID] != nil {
			say("member %s is gone, had %s", m.name(), m.assignedText())
		}
	}
	return lines
}

// name is what people know a member by.
func (m *memberView) name() string {
	return fmt.Sprintf("%s (%s, %s)", cmp.Or(m.Instance, m.ID), m.ClientID, m.Host)
}

func (m *memberView) assignedText() string {
	if m.Tasks != nil {
		return m.tasksText()
	}
	return m.Assigned.String()
}

// number is n, or - where there is none.
func number(n *int32) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}
