package route

import (
	"context"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// coordinated asks the coordinator of a group: here, or q goes to its broker as it is. refuse makes an answer of a code when there is none.
func coordinated[Q kmsg.Request, A kmsg.Response](ctx context.Context, v *Verbs, s *broker.Session, group string, q Q, here func(context.Context, *broker.Session, Q) A, refuse func(kafka.ErrorCode) A) A {
	to := v.coordinatorOf(group)
	switch to {
	case v.opts.NodeID:
		return here(ctx, s, q)
	case kafka.NoBroker:
		return refuse(kafka.CoordinatorNotAvailable)
	}
	resp, err := v.opts.Peers.Kafka(ctx, to, q)
	if a, ok := resp.(A); ok && err == nil {
		return a
	}
	return refuse(kafka.CoordinatorNotAvailable)
}

// OffsetCommit implements broker.OffsetVerbs.
func (v *Verbs) OffsetCommit(ctx context.Context, s *broker.Session, q *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	return coordinated(ctx, v, s, q.Group, q, v.Local.OffsetCommit, func(c kafka.ErrorCode) *kmsg.OffsetCommitResponse {
		a := kmsg.NewPtrOffsetCommitResponse()
		for i := range q.Topics {
			t := kmsg.NewOffsetCommitResponseTopic()
			t.Topic, t.TopicID = q.Topics[i].Topic, q.Topics[i].TopicID
			for _, p := range q.Topics[i].Partitions {
				t.Partitions = append(t.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(c)})
			}
			a.Topics = append(a.Topics, t)
		}
		return a
	})
}

// OffsetFetch implements broker.OffsetVerbs: each group of the request is asked about where it is coordinated.
func (v *Verbs) OffsetFetch(ctx context.Context, s *broker.Session, q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	a := kmsg.NewPtrOffsetFetchResponse()
	for i := range q.Groups {
		one := *q
		one.Groups = q.Groups[i : i+1 : i+1]
		name := q.Groups[i].Group
		refuse := func(c kafka.ErrorCode) *kmsg.OffsetFetchResponse {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group, g.ErrorCode = name, int16(c)
			return &kmsg.OffsetFetchResponse{Groups: []kmsg.OffsetFetchResponseGroup{g}}
		}
		got := coordinated(ctx, v, s, name, &one, v.Local.OffsetFetch, refuse)
		if len(got.Groups) != 1 {
			got = refuse(kafka.CoordinatorNotAvailable)
		}
		a.Groups = append(a.Groups, got.Groups[0])
	}
	return a
}

// JoinGroup makes a client a member, wherever the group is coordinated. It may wait for minutes.
func (v *Verbs) JoinGroup(ctx context.Context, s *broker.Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	return coordinated(ctx, v, s, q.Group, q, v.Local.JoinGroup, func(c kafka.ErrorCode) *kmsg.JoinGroupResponse {
		a := kmsg.NewPtrJoinGroupResponse()
		a.ErrorCode, a.MemberID = int16(c), q.MemberID
		return a
	})
}

// SyncGroup gives a member its assignment.
func (v *Verbs) SyncGroup(ctx context.Context, s *broker.Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	return coordinated(ctx, v, s, q.Group, q, v.Local.SyncGroup, func(c kafka.ErrorCode) *kmsg.SyncGroupResponse {
		a := kmsg.NewPtrSyncGroupResponse()
		a.ErrorCode = int16(c)
		return a
	})
}

// Heartbeat keeps a member of a classic group. While nobody can be asked nothing is held against the one who asks, as while the group is loaded.
func (v *Verbs) Heartbeat(ctx context.Context, s *broker.Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	return coordinated(ctx, v, s, q.Group, q, v.Local.Heartbeat, func(kafka.ErrorCode) *kmsg.HeartbeatResponse { return kmsg.NewPtrHeartbeatResponse() })
}

// ShareGroupHeartbeat joins, keeps and leaves a share group.
func (v *Verbs) ShareGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse {
	return coordinated(ctx, v, s, q.GroupID, q, v.Local.ShareGroupHeartbeat, func(c kafka.ErrorCode) *kmsg.ShareGroupHeartbeatResponse {
		a := kmsg.NewPtrShareGroupHeartbeatResponse()
		a.ErrorCode = int16(c)
		return a
	})
}

// ShareGroupDescribe tells state and members of share groups; each is asked about where it is coordinated.
func (v *Verbs) ShareGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse {
	a := kmsg.NewPtrShareGroupDescribeResponse()
	for _, name := range q.GroupIDs {
		one := *q
		one.GroupIDs = []string{name}
		refuse := func(c kafka.ErrorCode) *kmsg.ShareGroupDescribeResponse {
			g := kmsg.NewShareGroupDescribeResponseGroup()
			g.GroupID, g.ErrorCode = name, int16(c)
			return &kmsg.ShareGroupDescribeResponse{Groups: []kmsg.ShareGroupDescribeResponseGroup{g}}
		}
		got := coordinated(ctx, v, s, name, &one, v.Local.ShareGroupDescribe, refuse)
		if len(got.Groups) != 1 {
			got = refuse(kafka.CoordinatorNotAvailable)
		}
		a.Groups = append(a.Groups, got.Groups[0])
	}
	return a
}

// DescribeShareGroupOffsets says from where on share groups have something to read; each is asked about where it is coordinated.
func (v *Verbs) DescribeShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse {
	a := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
	for i := range q.Groups {
		one := *q
		one.Groups = q.Groups[i : i+1 : i+1]
		name := q.Groups[i].GroupID
		refuse := func(c kafka.ErrorCode) *kmsg.DescribeShareGroupOffsetsResponse {
			g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
			g.GroupID, g.ErrorCode = name, int16(c)
			return &kmsg.DescribeShareGroupOffsetsResponse{Groups: []kmsg.DescribeShareGroupOffsetsResponseGroup{g}}
		}
		got := coordinated(ctx, v, s, name, &one, v.Local.DescribeShareGroupOffsets, refuse)
		if len(got.Groups) != 1 {
			got = refuse(kafka.CoordinatorNotAvailable)
		}
		a.Groups = append(a.Groups, got.Groups[0])
	}
	return a
}

// ReadShareGroupState reads where it is kept.
func (v *Verbs) ReadShareGroupState(ctx context.Context, _ *broker.Session, q *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	return v.opts.States.ReadShareGroupState(ctx, q)
}

// ListGroups lists the groups of every broker. A part would look like all: while one of them cannot say, that is the answer.
func (v *Verbs) ListGroups(ctx context.Context, s *broker.Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	var others []kafka.BrokerID
	for _, b := range v.Image().Brokers {
		if b.ID != v.opts.NodeID && !b.Fenced {
			others = append(others, b.ID)
		}
	}
	if len(others) == 0 {
		return v.Local.ListGroups(ctx, s, q)
	}
	answers := make([]*kmsg.ListGroupsResponse, len(others)+1)
	var asking sync.WaitGroup
	for i, to := range others {
		asking.Go(func() {
			resp, err := v.opts.Peers.Kafka(ctx, to, q)
			if a, ok := resp.(*kmsg.ListGroupsResponse); ok && err == nil {
				answers[i] = a
			}
		})
	}
	answers[len(others)] = v.Local.ListGroups(ctx, s, q)
	asking.Wait()
	all := kmsg.NewPtrListGroupsResponse()
	for _, a := range answers {
		switch {
		case a == nil:
			return &kmsg.ListGroupsResponse{ErrorCode: int16(kafka.CoordinatorNotAvailable)}
		case a.ErrorCode != 0:
			return a
		}
		all.Groups = append(all.Groups, a.Groups...)
	}
	// One whose coordinator has just moved may be in two answers.
	slices.SortStableFunc(all.Groups, func(x, y kmsg.ListGroupsResponseGroup) int {
		switch {
		case x.Group < y.Group:
			return -1
		case x.Group > y.Group:
			return 1
		}
		return 0
	})
	all.Groups = slices.CompactFunc(all.Groups, func(x, y kmsg.ListGroupsResponseGroup) bool { return x.Group == y.Group })
	return all
}
