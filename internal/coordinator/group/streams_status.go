package group

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// statuses is what a member should know beside its tasks, with Kafka's texts.
func (g *streamsGroup) statuses(op *coordinator.Op, b *streamsBeat, m *streamsMember) []kmsg.StreamsGroupHeartbeatResponseStatus {
	list := []kmsg.StreamsGroupHeartbeatResponseStatus{}
	add := func(code int8, format string, args ...any) {
		list = append(list, kmsg.StreamsGroupHeartbeatResponseStatus{StatusCode: code, StatusDetail: fmt.Sprintf(format, args...)})
	}
	h, soft := g.head.Get(), g.soft.Get()
	if t := g.topology.Get(); t != nil && m.said.topologyEpoch < t.epoch {
		add(statusStaleTopology, "The member's topology epoch %d is behind the group's topology epoch %d.", m.said.topologyEpoch, t.epoch)
	}
	switch {
	case soft.delayed:
		add(statusAssignmentDelayed, "Assignment delayed due to the configured initial rebalance delay.")
	case h.epoch > h.targetEpoch:
		add(statusAssignmentDelayed, "Assignment delayed due to the configured assignment interval.")
	}
	if p := b.plan.problem; p != nil {
		text := p.text
		if p.status == statusMissingInternalTopics && soft.failed != "" {
			text += "; Creation failed: " + soft.failed + "."
		}
		add(p.status, "%s", text)
	}
	if soft.shutdown != "" {
		add(statusShutdownApplication, "Streams group member %s encountered a fatal error and requested a shutdown for the entire application.", soft.shutdown)
	}
	if missing := missingTags(g.config(op.Image).RackTags, m.said.tags); b.req.Version >= 1 && len(missing) > 0 {
		add(statusMissingClientTags, "Missing required client tags for rack-aware standby assignment: %s. Configure them via 'client.tag.<tagKey>' in your Streams config.", strings.Join(missing, ", "))
	}
	return list
}

func missingTags(wanted []string, has []tasks.Tag) (missing []string) {
	for _, key := range wanted {
		if !slices.ContainsFunc(has, func(t tasks.Tag) bool { return t.Key == key }) {
			missing = append(missing, key)
		}
	}
	return missing
}

// askAgain is how long a group waits for topics that it asked for before it asks again.
const askAgain = 10 * time.Second

// askTopics asks for the topics that are missing. Members that tell they are waiting make it go on; one answer from the controller is enough.
func (g *streamsGroup) askTopics(op *coordinator.Op, plan *streamsPlan) {
	if plan.problem == nil || plan.problem.status != statusMissingInternalTopics {
		return
	}
	if asked := g.soft.Get().asked; !asked.IsZero() && op.Now.Sub(asked) < askAgain {
		return
	}
	g.change(func(s *streamsSoft) { s.asked = op.Now })
	op.Note(g.id, "asks for topics: "+summary(namesOf(plan.missing)))
	op.Effect(CreateStreamsTopics{Group: g.id, Topics: plan.missing})
}

// StreamsTopicsFailed tells a group that topics it asked for could not be created, and why; its members are told with their next heartbeats. It
// does nothing if there is no such group any more.
func (s *Shard) StreamsTopicsFailed(op *coordinator.Op, name, why string) {
	if g, ok := named[*streamsGroup](s, name); ok {
		op.Note(g.id, "topics could not be created: "+why)
		g.change(func(s *streamsSoft) { s.failed = why[:min(len(why), maxFailure)] })
	}
}

// maxFailure is how much of the reasons for missing topics is remembered.
const maxFailure = 1_000

// noteEndpoint raises the endpoints' epoch if who answers queries for which partitions has changed.
func (g *streamsGroup) noteEndpoint(before, now *streamsMember, moved bool) {
	if !before.said.sameEndpoint(now.said) || moved && now.said.endpoint != nil {
		g.change(func(s *streamsSoft) { s.endpoints++ })
	}
}

// endpoints is which partitions are to be found where, for queries: those of active tasks, and those of copies.
func (g *streamsGroup) endpoints(img *metadata.Image, plan *streamsPlan) []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint {
	list := []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint{}
	for _, m := range g.sorted() {
		if m.said.endpoint == nil {
			continue
		}
		e := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpoint()
		e.UserEndpoint.Host, e.UserEndpoint.Port = m.said.endpoint.host, m.said.endpoint.port
		eachPartition(img, plan, m.at.assigned.Active, func(topic string, partitions []int32) {
			p := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpointActivePartition()
			p.Topic, p.Partitions = topic, partitions
			e.ActivePartitions = append(e.ActivePartitions, p)
		})
		eachPartition(img, plan, m.at.assigned.Standby.Or(m.at.assigned.Warmup), func(topic string, partitions []int32) {
			p := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpointStandbyPartition()
			p.Topic, p.Partitions = topic, partitions
			e.StandbyPartitions = append(e.StandbyPartitions, p)
		})
		list = append(list, e)
	}
	return list
}

// eachPartition goes through the partitions that tasks read.
func eachPartition(img *metadata.Image, plan *streamsPlan, set tasks.Set, fn func(topic string, partitions []int32)) {
	for _, of := range set {
		s := plan.subtopology(of.ID)
		if s == nil {
			continue
		}
		names := slices.Clone(s.sources)
		for _, r := range s.repartitionSources {
			names = append(names, r.name)
		}
		for _, name := range names {
			t := img.Topics.ByName(name)
			if t == nil {
				continue
			}
			n, _ := slices.BinarySearch(of.Partitions, int32(len(t.Partitions))) // a task may have fewer sources than its subtopology
			if n > 0 {
				fn(name, of.Partitions[:n])
			}
		}
	}
}

// StreamsGroupTopologyDescriptionUpdate refuses, as Kafka does without a plug-in: no description is stored, and no member is asked for one.
func (s *Shard) StreamsGroupTopologyDescriptionUpdate(*coordinator.Op, Client, *kmsg.StreamsGroupTopologyDescriptionUpdateRequest) *kmsg.StreamsGroupTopologyDescriptionUpdateResponse {
	resp := kmsg.NewPtrStreamsGroupTopologyDescriptionUpdateResponse()
	text := "The broker has no streams group topology description plugin configured."
	resp.ErrorCode, resp.ErrorMessage = int16(kafka.UnsupportedVersion), &text
	return resp
}
