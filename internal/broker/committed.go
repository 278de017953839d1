package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// OffsetVerbs are the verbs that CommitOffset and CommittedOffsets call; a Broker has them.
type OffsetVerbs interface {
	Image() *metadata.Image
	FindCoordinator(ctx context.Context, s *Session, q *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse
	OffsetCommit(ctx context.Context, s *Session, q *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse
	OffsetFetch(ctx context.Context, s *Session, q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse
}

// offsetsByName is the version whose form the requests below have: topics by name, members by id and generation or epoch.
const offsetsByName = 9

// GroupMember says as who offsets are committed. The zero value is somebody outside the group, who may commit while it has no members.
type GroupMember struct {
	ID         string
	Generation int32
}

// CommitOffset stores the offset of the next record that a group is to read, for doors whose clients do not speak OffsetCommit. When it
// returns nil the offset is as durable as the topic of the groups' offsets.
//
// Errors: UnknownTopicOrPartition, those of group.Shard.OffsetCommit, and what AskCoordinator returns.
func CommitOffset(ctx context.Context, verbs OffsetVerbs, s *Session, group string, as GroupMember, tp kafka.TopicPartition, next kafka.Offset) error {
	return AskCoordinator(ctx, verbs, s, group, func() error {
		q := kmsg.NewPtrOffsetCommitRequest()
		q.Version, q.Group = offsetsByName, group
		if as.ID != "" {
			q.MemberID, q.Generation = as.ID, as.Generation
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = tp.Partition, int64(next)
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.Partitions = tp.Topic, append(t.Partitions, p)
		q.Topics = append(q.Topics, t)
		a := verbs.OffsetCommit(ctx, s, q)
		if len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
			return kafka.Errorf(kafka.UnknownServerError, "commit %s of group %q: no answer", tp, group)
		}
		return GroupError(a.Topics[0].Partitions[0].ErrorCode, group)
	})
}

// CommittedOffsets are the offsets of the next records that a group is to read of a topic, by partition. Partitions without one are left
// out.
func CommittedOffsets(ctx context.Context, verbs OffsetVerbs, s *Session, group, topic string) (map[int32]kafka.Offset, error) {
	var committed map[int32]kafka.Offset
	err := AskCoordinator(ctx, verbs, s, group, func() error {
		committed = map[int32]kafka.Offset{}
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Version = offsetsByName
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		if t := verbs.Image().Topics.ByName(topic); t != nil {
			asked := kmsg.NewOffsetFetchRequestGroupTopic()
			asked.Topic = topic
			for p := range t.Partitions {
				asked.Partitions = append(asked.Partitions, int32(p))
			}
			g.Topics = append(g.Topics, asked)
		} else {
			return nil
		}
		q.Groups = append(q.Groups, g)
		a := verbs.OffsetFetch(ctx, s, q)
		if len(a.Groups) != 1 {
			return kafka.Errorf(kafka.UnknownServerError, "offsets of group %q: no answer", group)
		}
		if err := GroupError(a.Groups[0].ErrorCode, group); err != nil {
			return err
		}
		for _, t := range a.Groups[0].Topics {
			for _, p := range t.Partitions {
				if err := GroupError(p.ErrorCode, group); err != nil {
					return err
				}
				if p.Offset >= 0 {
					committed[p.Partition] = kafka.Offset(p.Offset)
				}
			}
		}
		return nil
	})
	return committed, err
}

// coordinatorPatience is how long AskCoordinator looks for a group's coordinator.
const coordinatorPatience = 10 * time.Second

// AskCoordinator calls ask until it returns something else than that the group's coordinator is not to be had at the moment, at most for
// some seconds: the first use of groups creates the topic that they are kept in.
//
// Errors: those of ask, CoordinatorNotAvailable, CoordinatorLoadInProgress, NotCoordinator when patience is at its end, and ctx's.
func AskCoordinator(ctx context.Context, verbs OffsetVerbs, s *Session, group string, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, coordinatorPatience)
	defer cancel()
	for tries := 0; ; tries++ {
		err := ask()
		switch kafka.CodeOf(err) {
		case kafka.CoordinatorNotAvailable, kafka.CoordinatorLoadInProgress, kafka.NotCoordinator:
		default:
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKeys = []string{group}
		verbs.FindCoordinator(ctx, s, q)
		if tries > 0 {
			pause(ctx, min(firstPause<<min(tries-1, 10), longerPause))
		}
	}
}

// GroupError gives the code of an answer about a group the words that a person needs; nil for none.
func GroupError(code int16, group string) error {
	switch c := kafka.ErrorCode(code); c {
	case kafka.None:
		return nil
	case kafka.UnknownMemberID:
		return kafka.Errorf(c, "group %q has members, and you are none of them: join it, and commit as the member you are", group)
	case kafka.IllegalGeneration, kafka.RebalanceInProgress:
		return kafka.Errorf(c, "group %q has rebalanced: join it again", group)
	case kafka.CoordinatorNotAvailable, kafka.CoordinatorLoadInProgress, kafka.NotCoordinator:
		return kafka.Errorf(c, "the coordinator of group %q cannot be reached at the moment: try again", group)
	default:
		return kafka.Errorf(c, "group %q: %w", group, c)
	}
}
