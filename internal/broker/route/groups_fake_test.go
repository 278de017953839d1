package route

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// serveGroup is what a broker answers about groups: the offset of a partition is its own id.
func (w *world) serveGroup(id kafka.BrokerID, q kmsg.Request) kmsg.Response {
	code := func(group string) int16 {
		w.mu.Lock()
		defer w.mu.Unlock()
		if at := w.groups[group]; at != id {
			return int16(kafka.NotCoordinator)
		}
		return 0
	}
	switch q := q.(type) {
	case *kmsg.OffsetCommitRequest:
		a := q.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range q.Topics {
			topic := kmsg.OffsetCommitResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code(q.Group)})
			}
			a.Topics = append(a.Topics, topic)
		}
		return a
	case *kmsg.OffsetFetchRequest:
		a := q.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, g := range q.Groups {
			one := kmsg.OffsetFetchResponseGroup{Group: g.Group, ErrorCode: code(g.Group)}
			for _, t := range g.Topics {
				topic := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic}
				for _, p := range t.Partitions {
					topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{Partition: p, Offset: int64(id)})
				}
				one.Topics = append(one.Topics, topic)
			}
			a.Groups = append(a.Groups, one)
		}
		return a
	case *kmsg.JoinGroupRequest:
		return &kmsg.JoinGroupResponse{ErrorCode: code(q.Group), Generation: int32(id), MemberID: "member"}
	case *kmsg.SyncGroupRequest:
		return &kmsg.SyncGroupResponse{ErrorCode: code(q.Group), MemberAssignment: []byte{byte(id)}}
	case *kmsg.HeartbeatRequest:
		return &kmsg.HeartbeatResponse{ErrorCode: code(q.Group)}
	case *kmsg.ShareGroupHeartbeatRequest:
		return &kmsg.ShareGroupHeartbeatResponse{ErrorCode: code(q.GroupID), MemberEpoch: int32(id)}
	case *kmsg.ShareGroupDescribeRequest:
		a := q.ResponseKind().(*kmsg.ShareGroupDescribeResponse)
		for _, g := range q.GroupIDs {
			a.Groups = append(a.Groups, kmsg.ShareGroupDescribeResponseGroup{GroupID: g, ErrorCode: code(g), GroupEpoch: int32(id)})
		}
		return a
	case *kmsg.DescribeShareGroupOffsetsRequest:
		a := q.ResponseKind().(*kmsg.DescribeShareGroupOffsetsResponse)
		for _, g := range q.Groups {
			a.Groups = append(a.Groups, kmsg.DescribeShareGroupOffsetsResponseGroup{GroupID: g.GroupID, ErrorCode: code(g.GroupID)})
		}
		return a
	case *kmsg.ListGroupsRequest:
		a := q.ResponseKind().(*kmsg.ListGroupsResponse)
		w.mu.Lock()
		defer w.mu.Unlock()
		for g, at := range w.groups {
			if at == id {
				a.Groups = append(a.Groups, kmsg.ListGroupsResponseGroup{Group: g, ProtocolType: "consumer"})
			}
		}
		return a
	}
	w.Errorf("broker %d is asked %s", id, kmsg.NameForKey(q.Key()))
	return nil
}

func answer[A kmsg.Response](w *world, q kmsg.Request) A { return w.serveGroup(1, q).(A) }

func (l *local) OffsetCommit(_ context.Context, _ *broker.Session, q *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	return answer[*kmsg.OffsetCommitResponse](l.w, q)
}

func (l *local) OffsetFetch(_ context.Context, _ *broker.Session, q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	return answer[*kmsg.OffsetFetchResponse](l.w, q)
}

func (l *local) JoinGroup(_ context.Context, _ *broker.Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	return answer[*kmsg.JoinGroupResponse](l.w, q)
}

func (l *local) SyncGroup(_ context.Context, _ *broker.Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	return answer[*kmsg.SyncGroupResponse](l.w, q)
}

func (l *local) Heartbeat(_ context.Context, _ *broker.Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	return answer[*kmsg.HeartbeatResponse](l.w, q)
}

func (l *local) ShareGroupHeartbeat(_ context.Context, _ *broker.Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse {
	return answer[*kmsg.ShareGroupHeartbeatResponse](l.w, q)
}

func (l *local) ShareGroupDescribe(_ context.Context, _ *broker.Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse {
	return answer[*kmsg.ShareGroupDescribeResponse](l.w, q)
}

func (l *local) DescribeShareGroupOffsets(_ context.Context, _ *broker.Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse {
	return answer[*kmsg.DescribeShareGroupOffsetsResponse](l.w, q)
}

func (l *local) ListGroups(_ context.Context, _ *broker.Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	return answer[*kmsg.ListGroupsResponse](l.w, q)
}

// FindCoordinator makes the topic of the groups, as the real one does.
func (l *local) FindCoordinator(_ context.Context, _ *broker.Session, q *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	return kmsg.NewPtrFindCoordinatorResponse()
}

// ReadShareGroupState implements States.
func (w *world) ReadShareGroupState(context.Context, *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	return &kmsg.ReadShareGroupStateResponse{Topics: []kmsg.ReadShareGroupStateResponseTopic{{TopicID: kafka.UUID{77}}}}
}
