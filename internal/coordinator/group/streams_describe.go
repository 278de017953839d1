package group

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeStreamsGroup tells all about a streams group: GROUP_ID_NOT_FOUND if there is none of that name, or it is of another kind.
func (s *Shard) DescribeStreamsGroup(v coordinator.View, name string) kmsg.StreamsGroupDescribeResponseGroup {
	d := kmsg.NewStreamsGroupDescribeResponseGroup()
	d.Group = name
	found, ok := s.groups.GetAt(name, v.Committed)
	g, isStreams := found.(*streamsGroup)
	if !isStreams {
		text := "Group " + name + " not found."
		if ok {
			text = "Group " + name + " is not a streams group."
		}
		d.ErrorCode, d.ErrorMessage = int16(kafka.GroupIDNotFound), &text
		return d
	}
	h := g.head.GetAt(v.Committed)
	assignor := tasks.StickyName
	d.State, d.Epoch, d.AssignmentEpoch, d.AssignorName = g.state(v), h.epoch, h.targetEpoch, &assignor
	d.Topology = g.describedTopology(v)
	for id, m := range g.members.AllAt(v.Committed) {
		target, _ := g.targets.GetAt(id, v.Committed)
		progress, _ := g.progress.GetAt(id, v.Committed)
		d.Members = append(d.Members, m.described(target, progress))
	}
	slices.SortFunc(d.Members, func(a, b kmsg.StreamsGroupDescribeResponseGroupMember) int {
		return cmp.Compare(a.MemberID, b.MemberID)
	})
	return d
}

// describedTopology has the decided numbers of partitions when tasks can run, and otherwise what the members said.
func (g *streamsGroup) describedTopology(v coordinator.View) *kmsg.StreamsGroupDescribeResponseGroupTopology {
	t := g.topology.GetAt(v.Committed)
	if t == nil {
		return nil
	}
	d := kmsg.NewStreamsGroupDescribeResponseGroupTopology()
	d.Epoch, d.Subtopologies = t.epoch, []kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology{}
	plan, err := planStreams(t, v.Image)
	ready := err == nil && plan.ready()
	for i := range t.subtopologies {
		s := &t.subtopologies[i]
		o := kmsg.NewStreamsGroupDescribeResponseGroupTopologySubtopology()
		o.SubtopologyID, o.SourceTopics, o.RepartitionSinkTopics = s.id, s.sources, s.repartitionSinks
		var decided map[string]int32
		if ready {
			decided = plan.subtopologies[i].partitions
		}
		o.StateChangelogTopics = describedTopics(s.changelogs, decided)
		o.RepartitionSourceTopics = describedTopics(s.repartitionSources, decided)
		d.Subtopologies = append(d.Subtopologies, o)
	}
	return &d
}

func describedTopics(list []streamsTopic, decided map[string]int32) []kmsg.TopicInfo {
	out := make([]kmsg.TopicInfo, len(list))
	for i, t := range list {
		out[i].Topic, out[i].NumPartitions, out[i].ReplicationFactor = t.name, t.partitions, t.replication
		if n, ok := decided[t.name]; ok {
			out[i].NumPartitions = n
		}
		for _, c := range t.configs {
			out[i].Configs = append(out[i].Configs, kmsg.TopicInfoConfig{Key: c.key, Value: c.value})
		}
	}
	return out
}

func (m *streamsMember) described(target tasks.Assignment, progress *taskProgress) kmsg.StreamsGroupDescribeResponseGroupMember {
	d := kmsg.NewStreamsGroupDescribeResponseGroupMember()
	d.MemberID, d.InstanceID, d.RackID, d.MemberEpoch = m.id, m.said.instance, m.said.rack, m.at.epoch
	d.ClientID, d.ClientHost = m.said.client.ID, m.said.client.Host
	d.TopologyEpoch, d.ProcessID = m.said.topologyEpoch, m.said.process
	if e := m.said.endpoint; e != nil {
		u := kmsg.NewStreamsGroupDescribeResponseGroupMemberUserEndpoint()
		u.Host, u.Port = e.host, e.port
		d.UserEndpoint = &u
	}
	for _, t := range m.said.tags {
		d.ClientTags = append(d.ClientTags, kmsg.StreamsGroupDescribeResponseGroupMemberClientTag{Key: t.Key, Value: t.Value})
	}
	if progress != nil {
		d.TaskOffsets, d.TaskEndOffsets = describedOffsets(progress.offsets), describedOffsets(progress.ends)
	}
	d.Assignment, d.TargetAssignment = describedTasks(m.at.assigned.Assignment), describedTasks(target)
	return d
}

func describedTasks(a tasks.Assignment) kmsg.StreamsAssignment {
	return kmsg.StreamsAssignment{ActiveTasks: heartbeatTasks(a.Active), StandbyTasks: heartbeatTasks(a.Standby), WarmupTasks: heartbeatTasks(a.Warmup)}
}

func describedOffsets(offsets map[tasks.Task]int64) []kmsg.TaskOffset {
	list := make([]kmsg.TaskOffset, 0, len(offsets))
	for t, n := range offsets {
		list = append(list, kmsg.TaskOffset{SubtopologyID: t.Subtopology, Partition: t.Partition, Offset: n})
	}
	slices.SortFunc(list, func(a, b kmsg.TaskOffset) int {
		return cmp.Or(cmp.Compare(a.SubtopologyID, b.SubtopologyID), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}
