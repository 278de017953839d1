package grpcsrv

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Acknowledge commits the offset after a message for a group, unless it has gone further already (RPC-4).
func (s *Server) Acknowledge(ctx context.Context, req *rafkapb.AcknowledgeRequest) (*rafkapb.AcknowledgeResponse, error) {
	group, err := groupOf(req.GetGroupId(), req.GetConsumerId())
	if err != nil {
		return nil, s.fail(err)
	}
	tp, offset, ok := parseMessageID(req.GetMessageId())
	switch {
	case !ok:
		return nil, s.fail(status.Errorf(codes.InvalidArgument, "%q is no message_id; give the one that Consume told, <topic>-<partition>-<offset>", req.GetMessageId()))
	case req.GetTopic() != "" && req.GetTopic() != tp.Topic:
		return nil, s.fail(status.Errorf(codes.InvalidArgument, "message %s is not of topic %q", req.GetMessageId(), req.GetTopic()))
	}
	who := session(ctx, req.GetConsumerId())
	committed, err := broker.CommittedOffsets(ctx, s.verbs, who, group, tp.Topic)
	if err != nil {
		return nil, s.fail(err)
	}
	if committed[tp.Partition] > offset {
		return &rafkapb.AcknowledgeResponse{Success: true, Message: "the group has acknowledged a later message already"}, nil
	}
	if err := broker.CommitOffset(ctx, s.verbs, who, group, memberOf(ctx, group, req.GetConsumerId()), tp, offset+1); err != nil {
		return nil, s.fail(err)
	}
	return &rafkapb.AcknowledgeResponse{Success: true, Message: "acknowledged"}, nil
}

// UpdateOffset commits the offset of the next message for a group (RPC-4).
func (s *Server) UpdateOffset(ctx context.Context, req *rafkapb.UpdateOffsetRequest) (*rafkapb.UpdateOffsetResponse, error) {
	group, err := groupOf(req.GetGroupId(), req.GetConsumerId())
	if err != nil {
		return nil, s.fail(err)
	}
	topic := cmp.Or(req.GetTopic(), connectionOf(ctx).topicOf(req.GetConsumerId()))
	if topic == "" {
		return nil, s.fail(status.Error(codes.InvalidArgument, "name a topic, or Subscribe with the same consumer_id on this connection first"))
	}
	tp := kafka.TopicPartition{Topic: topic, Partition: req.GetPartition()}
	if req.GetOffset() < 0 || tp.Partition < 0 {
		return nil, s.fail(status.Errorf(codes.InvalidArgument, "offset %d of partition %d is none; give the offset of the next message to read", req.GetOffset(), tp.Partition))
	}
	if t := s.verbs.Image().Topics.ByName(topic); t != nil && req.Partition == nil && len(t.Partitions) > 1 {
		return nil, s.fail(status.Errorf(codes.InvalidArgument, "topic %s has %d partitions; name the one whose offset it is", topic, len(t.Partitions)))
	}
	who := session(ctx, req.GetConsumerId())
	if err := broker.CommitOffset(ctx, s.verbs, who, group, memberOf(ctx, group, req.GetConsumerId()), tp, kafka.Offset(req.GetOffset())); err != nil {
		return nil, s.fail(err)
	}
	return &rafkapb.UpdateOffsetResponse{Success: true, Message: "committed"}, nil
}

// groupOf is the group that a consumer commits for.
func groupOf(group, consumer string) (string, error) {
	if group = cmp.Or(group, consumer); group == "" {
		return "", status.Error(codes.InvalidArgument, "name a group_id or, for a consumer on its own, a consumer_id")
	}
	return group, nil
}

// parseMessageID reads what messageID wrote.
func parseMessageID(id string) (tp kafka.TopicPartition, offset kafka.Offset, ok bool) {
	rest, last, _ := cutLast(id)
	topic, middle, found := cutLast(rest)
	n, err := strconv.ParseInt(last, 10, 64)
	p, err2 := strconv.ParseInt(middle, 10, 32)
	if !found || topic == "" || err != nil || err2 != nil || n < 0 || p < 0 {
		return kafka.TopicPartition{}, kafka.NoOffset, false
	}
	return kafka.TopicPartition{Topic: topic, Partition: int32(p)}, kafka.Offset(n), true
}

// cutLast cuts at the last '-'.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
