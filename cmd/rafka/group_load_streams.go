package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// loadStreams describes a streams group (KIP-1071). The client library sends this request to any broker, so the coordinator is found first.
func loadStreams(ctx context.Context, adm *admin, v *groupView) error {
	found := adm.FindGroupCoordinators(ctx, v.Group)
	coordinator, ok := found[v.Group]
	switch {
	case !ok:
		return kerr.CoordinatorNotAvailable
	case coordinator.Err != nil:
		return describe(coordinator.Err, coordinator.ErrMessage)
	}
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = []string{v.Group}
	resp, err := req.RequestWith(ctx, adm.raw.Broker(int(coordinator.NodeID)))
	if err != nil {
		return err
	}
	if len(resp.Groups) != 1 {
		return fmt.Errorf("the broker answered for %d groups", len(resp.Groups))
	}
	d := &resp.Groups[0]
	if err := kerr.ErrorForCode(d.ErrorCode); err != nil {
		return describe(err, deref(d.ErrorMessage))
	}
	v.State, v.Coordinator, v.Epoch, v.AssignmentEpoch = d.State, coordinator.NodeID, &d.Epoch, &d.AssignmentEpoch
	for i := range d.Members {
		m := &d.Members[i]
		one := memberView{
			ID: m.MemberID, Instance: deref(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Rack: deref(m.RackID), Epoch: &m.MemberEpoch,
			Assigned: viewTasks(m.Assignment.ActiveTasks), Target: viewTasks(m.TargetAssignment.ActiveTasks), Tasks: make(map[string]string),
		}
		for kind, tasks := range map[string][]kmsg.TaskIDs{
			"active": m.Assignment.ActiveTasks, "standby": m.Assignment.StandbyTasks, "warm-up": m.Assignment.WarmupTasks,
		} {
			if len(tasks) > 0 {
				one.Tasks[kind] = viewTasks(tasks).String()
			}
		}
		if d.Topology != nil {
			for _, sub := range d.Topology.Subtopologies {
				one.Subscribed = append(one.Subscribed, sub.SourceTopics...)
			}
		}
		v.Members = append(v.Members, one)
	}
	return nil
}

func viewTasks(tasks []kmsg.TaskIDs) assignedView {
	v := make(assignedView)
	for _, t := range tasks {
		v[t.SubtopologyID] = t.Partitions
	}
	return v
}

// tasksText is active 0[0-2] standby 1[3].
func (m *memberView) tasksText() string {
	var parts []string
	for _, kind := range []string{"active", "standby", "warm-up"} {
		if s, ok := m.Tasks[kind]; ok {
			parts = append(parts, kind+" "+s)
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
