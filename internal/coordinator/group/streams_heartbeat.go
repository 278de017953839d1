package group

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
)

// StreamsGroupHeartbeat is how a member joins, keeps its membership, hears which tasks it is to have, confirms those it has given up, tells how far
// its copies are, and leaves.
func (s *Shard) StreamsGroupHeartbeat(op *coordinator.Op, c Client, req *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse {
	resp := newStreamsResponse(req)
	if err := s.streamsGroupHeartbeat(op, c, req, resp); err != nil {
		resp = newStreamsResponse(req)
		resp.ErrorCode, resp.ErrorMessage = int16(kafka.CodeOf(err)), messageOf(err)
	}
	return resp
}

// newStreamsResponse has an empty list of statuses: clients take null for "unchanged".
func newStreamsResponse(req *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse {
	resp := kmsg.NewPtrStreamsGroupHeartbeatResponse()
	resp.Version, resp.Status = req.Version, []kmsg.StreamsGroupHeartbeatResponseStatus{}
	return resp
}

func (s *Shard) streamsGroupHeartbeat(op *coordinator.Op, c Client, req *kmsg.StreamsGroupHeartbeatRequest, resp *kmsg.StreamsGroupHeartbeatResponse) error {
	if err := checkStreamsHeartbeat(req); err != nil {
		return err
	}
	if req.MemberEpoch < 0 {
		return s.streamsLeaves(op, req, resp)
	}
	// Whatever can be refused is refused before a group is made or changes its kind, or anything else is emitted.
	b, err := s.streamsBeatOf(op, req)
	if err != nil {
		return err
	}
	b.enter(op)
	g, before := b.group, b.member
	b.subscribe(op, c)
	g.report(b)
	g.retarget(op)
	g.refineAgain(op, b)
	m, _ := g.members.Get(before.id)
	m = g.reconcile(op, m, b.owned)
	g.heard(op, m, b.joins)
	if req.ShutdownApplication {
		g.requestShutdown(op, m)
	}
	moved := !m.at.assigned.Equal(before.at.assigned.Assignment)
	g.noteEndpoint(before, m, moved)
	b.answer(op, m, moved, resp)
	return nil
}

// answer tells the member where it stands.
func (b *streamsBeat) answer(op *coordinator.Op, m *streamsMember, moved bool, resp *kmsg.StreamsGroupHeartbeatResponse) {
	g, cfg := b.group, b.group.config(op.Image)
	resp.MemberID, resp.MemberEpoch = m.id, m.at.epoch
	resp.HeartbeatIntervalMillis = int32(g.pace(op).Milliseconds())
	resp.TaskOffsetIntervalMillis = int32(cfg.TaskOffsetInterval.Milliseconds())
	resp.AcceptableRecoveryLag = cfg.AcceptableLag
	// Who says that it has something else may have missed an answer. Kafka does not tell it again.
	if b.joins || moved || b.owned.told && !b.owned.Equal(m.at.assigned.Assignment) {
		resp.ActiveTasks = heartbeatTasks(m.at.assigned.Active)
		resp.StandbyTasks = heartbeatTasks(m.at.assigned.Standby)
		resp.WarmupTasks = heartbeatTasks(m.at.assigned.Warmup)
	}
	resp.EndpointInformationEpoch = g.soft.Get().endpoints
	if b.req.EndpointInformationEpoch != resp.EndpointInformationEpoch {
		resp.PartitionsByUserEndpoint = g.endpoints(op.Image, b.plan)
	}
	resp.Status = g.statuses(op, b, m)
	g.askTopics(op, b.plan)
}

func heartbeatTasks(set tasks.Set) []kmsg.TaskIDs {
	list := make([]kmsg.TaskIDs, len(set))
	for i, s := range set {
		list[i].SubtopologyID, list[i].Partitions = s.ID, s.Partitions
	}
	return list
}

// What a member may say about where it runs (P6). Kafka's own clients send five tags of at most 30 bytes.
const (
	maxTags = 100
	maxTag  = 1_000
)

// checkStreamsHeartbeat refuses what no client may send, with Kafka's messages.
func checkStreamsHeartbeat(req *kmsg.StreamsGroupHeartbeatRequest) error {
	invalid := func(format string, args ...any) error { return kafka.Errorf(kafka.InvalidRequest, format, args...) }
	blank := func(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
	isEmpty := func(list []kmsg.TaskIDs) bool { return list != nil && len(list) == 0 }
	joins := req.MemberEpoch == epochJoin
	active, standby, warmup := req.ActiveTasks != nil, req.StandbyTasks != nil, req.WarmupTasks != nil
	switch {
	case blank(&req.MemberID):
		return invalid("MemberId can't be empty.")
	case blank(&req.Group):
		return invalid("GroupId can't be empty.")
	case blank(req.InstanceID):
		return invalid("InstanceId can't be empty.")
	case blank(req.RackID):
		return invalid("RackId can't be empty.")
	case joins && req.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case joins && !isEmpty(req.ActiveTasks):
		return invalid("ActiveTasks must be empty when (re-)joining.")
	case joins && !isEmpty(req.StandbyTasks):
		return invalid("StandbyTasks must be empty when (re-)joining.")
	case joins && !isEmpty(req.WarmupTasks):
		return invalid("WarmupTasks must be empty when (re-)joining.")
	case joins && req.Topology == nil:
		return invalid("Topology must be non-null when (re-)joining.")
	case req.MemberEpoch == epochStaticLeave && req.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case req.MemberEpoch < epochStaticLeave:
		return invalid("MemberEpoch is %d, but must be greater than or equal to -2.", req.MemberEpoch)
	case active != standby || active != warmup:
		return invalid("If one task-type is non-null, all must be non-null.")
	case !joins && req.Topology != nil:
		return invalid("Topology can only be provided when (re-)joining.")
	case max(len(req.Group), len(req.MemberID), len(deref(req.InstanceID)), len(deref(req.RackID)), len(deref(req.ProcessID))) > maxName,
		req.UserEndpoint != nil && len(req.UserEndpoint.Host) > maxName:
		return invalid("The group, or what the member says of itself, is longer than %d bytes; choose a shorter one.", maxName)
	case len(req.ClientTags) > maxTags:
		return invalid("A member may have %d tags; this one has %d.", maxTags, len(req.ClientTags))
	}
	for i := range req.ClientTags {
		if t := &req.ClientTags[i]; max(len(t.Key), len(t.Value)) > maxTag {
			return invalid("Keys and values of tags may be %d bytes long.", maxTag)
		}
	}
	return nil
}

// ownedTasks is what a member says it has; told is false when it says nothing, which confirms nothing.
type ownedTasks struct {
	tasks.Assignment
	told bool
}

func ownedTasksOf(req *kmsg.StreamsGroupHeartbeatRequest) (o ownedTasks) {
	if req.ActiveTasks == nil {
		return o
	}
	set := func(list []kmsg.TaskIDs) tasks.Set {
		subs := make([]tasks.Subtopology, len(list))
		for i := range list {
			subs[i] = tasks.Subtopology{ID: list[i].SubtopologyID, Partitions: list[i].Partitions}
		}
		return tasks.Of(subs)
	}
	return ownedTasks{tasks.Assignment{Active: set(req.ActiveTasks), Standby: set(req.StandbyTasks), Warmup: set(req.WarmupTasks)}, true}
}
