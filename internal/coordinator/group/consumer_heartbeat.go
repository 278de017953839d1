package group

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ConsumerGroupHeartbeat is how a member joins, keeps its membership, hears what it is to have, confirms what it has given up, and leaves.
func (s *Shard) ConsumerGroupHeartbeat(op *coordinator.Op, c Client, req *kmsg.ConsumerGroupHeartbeatRequest) *kmsg.ConsumerGroupHeartbeatResponse {
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	resp.Version = req.Version
	if err := s.consumerGroupHeartbeat(op, c, req, resp); err != nil {
		*resp = kmsg.NewConsumerGroupHeartbeatResponse()
		resp.Version = req.Version
		resp.ErrorCode, resp.ErrorMessage = int16(kafka.CodeOf(err)), messageOf(err)
	}
	return resp
}

// messageOf is the message of an error as answers carry it.
func messageOf(err error) *string {
	if text := kafka.MessageOf(err); text != "" {
		return &text
	}
	return nil
}

func (s *Shard) consumerGroupHeartbeat(op *coordinator.Op, c Client, req *kmsg.ConsumerGroupHeartbeatRequest, resp *kmsg.ConsumerGroupHeartbeatResponse) error {
	if err := checkConsumerHeartbeat(req); err != nil {
		return err
	}
	if req.MemberEpoch < 0 {
		return s.consumerLeaves(op, req, resp)
	}
	joins := req.MemberEpoch == epochJoin
	if joins || req.ServerAssignor != nil {
		if err := checkAssignor(s.env.Config(op.Image, req.Group).ConsumerAssignors, req.ServerAssignor); err != nil {
			return err
		}
	}
	// Whatever can be refused is refused before a group is made or changes its kind.
	if joins && deref(req.SubscribedTopicRegex) != "" {
		if err := checkRegex(*req.SubscribedTopicRegex); err != nil {
			return err
		}
	}
	before, _ := s.groups.Get(req.Group)
	g, err := s.consumerGroupFor(op, req, joins)
	if err != nil {
		return err
	}
	if _, converted := before.(*classicGroup); converted {
		defer op.Atomic(true) // half a conversion would lose members that live
	}
	owned, told := ownedOf(req)
	m, err := g.consumerMemberFor(op, req, joins, owned, told)
	if err != nil {
		return err
	}
	change := consumerSubscription{
		instance: req.InstanceID, rack: req.RackID, client: c, topics: req.SubscribedTopicNames, regex: req.SubscribedTopicRegex,
		rebalanceTimeout: req.RebalanceTimeoutMillis, assignor: req.ServerAssignor,
	}
	was, said := m.at, m.said
	if m, err = g.subscribe(op, m, change); err != nil {
		return err
	}
	g.retarget(op)
	m, _ = g.members.Get(m.id)
	m = g.reconcile(op, m, owned, told, m.said != said)
	g.heard(op, m, joins)

	resp.MemberID, resp.MemberEpoch = &m.id, m.at.epoch
	resp.HeartbeatIntervalMillis = int32(g.pace(op, m).Milliseconds())
	full := joins || req.RebalanceTimeoutMillis != -1 && (req.SubscribedTopicNames != nil || req.SubscribedTopicRegex != nil) && told
	if full || m.at != was && !m.at.assigned.Equal(was.assigned.Partitions) {
		resp.Assignment = heartbeatAssignment(m.at.assigned.Partitions)
	}
	return nil
}

// checkConsumerHeartbeat refuses what no client may send, with Kafka's messages.
func checkConsumerHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest) error {
	invalid := func(text string) error { return kafka.Errorf(kafka.InvalidRequest, "%s", text) }
	switch {
	case strings.TrimSpace(req.MemberID) == "" && (req.Version >= 1 || req.MemberEpoch > 0 || req.MemberEpoch == epochLeave):
		return invalid("MemberId can't be empty.")
	case strings.TrimSpace(req.Group) == "":
		return invalid("GroupId can't be empty.")
	case req.InstanceID != nil && strings.TrimSpace(*req.InstanceID) == "":
		return invalid("InstanceId can't be empty.")
	case req.RackID != nil && strings.TrimSpace(*req.RackID) == "":
		return invalid("RackId can't be empty.")
	case req.MemberEpoch == epochJoin && req.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case req.MemberEpoch == epochJoin && (req.Topics == nil || len(req.Topics) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case req.MemberEpoch == epochJoin && req.SubscribedTopicNames == nil && req.SubscribedTopicRegex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case req.MemberEpoch == epochStaticLeave && req.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case req.MemberEpoch < epochStaticLeave:
		return invalid("MemberEpoch is invalid.")
	case len(req.Group) > maxName || len(req.MemberID) > maxName || len(deref(req.InstanceID)) > maxName:
		return invalid(fmt.Sprintf("The group, the member id or the instance id is longer than %d bytes; choose a shorter one.", maxName))
	}
	return nil
}

// checkAssignor refuses an assignor that the settings do not list; nil leaves the choice to the group.
func checkAssignor(listed []string, name *string) error {
	if name == nil {
		return nil
	}
	supported := supportedAssignors(listed)
	if !slices.Contains(supported, *name) {
		return kafka.Errorf(kafka.UnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.", *name, strings.Join(supported, ", "))
	}
	return nil
}

// ownedOf is what a member says it has; told is false when it says nothing.
func ownedOf(req *kmsg.ConsumerGroupHeartbeatRequest) (owned assign.Partitions, told bool) {
	if req.Topics == nil {
		return nil, false
	}
	list := make([]assign.Topic, len(req.Topics))
	for i := range req.Topics {
		list[i] = assign.Topic{ID: req.Topics[i].TopicID, Partitions: req.Topics[i].Partitions}
	}
	return assign.Of(list), true
}

func heartbeatAssignment(set assign.Partitions) *kmsg.ConsumerGroupHeartbeatResponseAssignment {
	a := &kmsg.ConsumerGroupHeartbeatResponseAssignment{Topics: make([]kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic, len(set))}
	for i, t := range set {
		a.Topics[i].TopicID, a.Topics[i].Partitions = t.ID, t.Partitions
	}
	return a
}
