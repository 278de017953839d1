package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// loadGroup describes the membership of a listed group, by the request for its type. Offsets are loaded by loadOffsets.
func loadGroup(ctx context.Context, adm *admin, listed listedGroup) (*groupView, error) {
	v := &groupView{Group: listed.Group, Type: listed.Type, State: listed.State, Coordinator: listed.Coordinator, ProtocolType: listed.ProtocolType, Members: []memberView{}}
	load := map[groupType]func(context.Context, *admin, *groupView) error{
		classicGroup: loadClassic, consumerGroup: loadConsumer, shareGroup: loadShare, streamsGroup: loadStreams,
	}[listed.Type]
	if load == nil {
		return nil, fmt.Errorf("group %q is of type %q, which this program does not know", listed.Group, listed.Type)
	}
	if err := load(ctx, adm, v); err != nil {
		return nil, fmt.Errorf("describe group %q: %w", v.Group, explain(err))
	}
	slices.SortFunc(v.Members, func(a, b memberView) int { return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.ID, b.ID)) })
	return v, nil
}

func loadClassic(ctx context.Context, adm *admin, v *groupView) error {
	all, err := adm.DescribeGroups(ctx, v.Group)
	if err != nil {
		return err
	}
	d, ok := all[v.Group]
	switch {
	case !ok:
		return kerr.GroupIDNotFound
	case d.Err != nil:
		return describe(d.Err, d.ErrMessage)
	}
	v.State, v.ProtocolType, v.Assignor, v.Coordinator = d.State, d.ProtocolType, d.Protocol, d.Coordinator.NodeID
	for _, m := range d.Members {
		one := memberView{ID: m.MemberID, Instance: deref(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Assigned: assignedView{}}
		if join, ok := m.Join.AsConsumer(); ok {
			one.Subscribed = slices.Sorted(slices.Values(join.Topics))
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				one.Assigned[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
			}
		}
		v.Members = append(v.Members, one)
	}
	return nil
}

func loadConsumer(ctx context.Context, adm *admin, v *groupView) error {
	all, err := adm.DescribeConsumerGroups(ctx, v.Group)
	if err != nil {
		return err
	}
	d, ok := all[v.Group]
	switch {
	case !ok:
		return kerr.GroupIDNotFound
	case d.Err != nil:
		return d.Err
	}
	v.State, v.Assignor, v.Coordinator, v.Epoch, v.AssignmentEpoch = d.State, d.AssignorName, d.Coordinator.NodeID, &d.Epoch, &d.AssignmentEpoch
	for _, m := range d.Members {
		v.Members = append(v.Members, memberView{
			ID: m.MemberID, Instance: deref(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Rack: deref(m.RackID), Epoch: &m.MemberEpoch,
			Protocol:   map[int8]string{0: "classic", 1: "consumer"}[m.MemberType],
			Subscribed: slices.Sorted(slices.Values(m.SubscribedTopics)), Pattern: deref(m.SubscribedTopicRegex),
			Assigned: viewAssigned(m.Assignment), Target: viewAssigned(m.TargetAssignment),
		})
	}
	return nil
}

func loadShare(ctx context.Context, adm *admin, v *groupView) error {
	all, err := adm.DescribeShareGroups(ctx, v.Group)
	if err != nil {
		return err
	}
	d, ok := all[v.Group]
	switch {
	case !ok:
		return kerr.GroupIDNotFound
	case d.Err != nil:
		return d.Err
	}
	v.State, v.Assignor, v.Coordinator, v.Epoch, v.AssignmentEpoch = d.GroupState, d.Assignor, d.Coordinator.NodeID, &d.GroupEpoch, &d.AssignmentEpoch
	for _, m := range d.Members {
		v.Members = append(v.Members, memberView{
			ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Rack: deref(m.RackID), Epoch: &m.MemberEpoch,
			Subscribed: slices.Sorted(slices.Values(m.SubscribedTopicNames)), Assigned: viewAssigned(m.Assignment),
		})
	}
	return nil
}

// assigned is every partition that some member has.
func (v *groupView) assigned() kadm.TopicsSet {
	s := make(kadm.TopicsSet)
	for _, m := range v.Members {
		if m.Tasks != nil {
			continue // a streams member has tasks, whose names are not those of topics
		}
		for topic, partitions := range m.Assigned {
			s.Add(topic, partitions...)
		}
	}
	return s
}
