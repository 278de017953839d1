package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/timeline"
)

// newStreamsWorld is a world with Kafka's settings for streams groups.
func newStreamsWorld(t testing.TB) *world {
	w := newModernWorld(t)
	w.cfg.Streams = config.StreamsGroup{
		ModernGroup:           config.ModernGroup{SessionTimeout: 45 * time.Second, HeartbeatInterval: 5 * time.Second, AssignmentInterval: time.Second, MaxSize: 1000},
		InitialRebalanceDelay: 3 * time.Second, WarmupReplicas: 2, AcceptableLag: 10_000, TaskOffsetInterval: time.Minute,
	}
	return w
}

func topicInfo(name string, partitions int32) kmsg.TopicInfo {
	return kmsg.TopicInfo{Topic: name, NumPartitions: partitions, Configs: []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "compact"}}}
}

// wordCount reads orders, sends every record on by another key, and counts.
func wordCount() *kmsg.StreamsGroupHeartbeatRequestTopology {
	split := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	split.SubtopologyID, split.SourceTopics, split.RepartitionSinkTopics = "0", []string{"orders"}, []string{"by-word"}
	count := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	count.SubtopologyID, count.RepartitionSourceTopics = "1", []kmsg.TopicInfo{topicInfo("by-word", 0)}
	count.StateChangelogTopics = []kmsg.TopicInfo{topicInfo("counts-changelog", 0)}
	return &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{split, count}}
}

// streamsJoin is the first heartbeat of a member.
func streamsJoin(group, member, process string, t *kmsg.StreamsGroupHeartbeatRequestTopology) *kmsg.StreamsGroupHeartbeatRequest {
	r := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	r.Version, r.Group, r.MemberID, r.ProcessID, r.Topology = 1, group, member, &process, t
	r.RebalanceTimeoutMillis, r.EndpointInformationEpoch = 60_000, -1
	return streamsHaving(r, tasks.Assignment{})
}

// streamsBeatAt is a heartbeat that says nothing new.
func streamsBeatAt(group, member string, epoch int32) *kmsg.StreamsGroupHeartbeatRequest {
	r := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	r.Version, r.Group, r.MemberID, r.MemberEpoch = 1, group, member, epoch
	return r
}

// streamsHaving says what the member has.
func streamsHaving(r *kmsg.StreamsGroupHeartbeatRequest, a tasks.Assignment) *kmsg.StreamsGroupHeartbeatRequest {
	r.ActiveTasks, r.StandbyTasks, r.WarmupTasks = heartbeatTasks(a.Active), heartbeatTasks(a.Standby), heartbeatTasks(a.Warmup)
	return r
}

func (w *world) streamsHeartbeat(r *kmsg.StreamsGroupHeartbeatRequest) (resp *kmsg.StreamsGroupHeartbeatResponse, err error) {
	err = w.op(func(op *coordinator.Op) { resp = w.Shard.StreamsGroupHeartbeat(op, Client{"app", "/10.0.0.1"}, r) })
	return resp, err
}

func tasksOf(a *kmsg.StreamsGroupHeartbeatResponse) tasks.Assignment {
	return ownedTasksOf(&kmsg.StreamsGroupHeartbeatRequest{ActiveTasks: a.ActiveTasks, StandbyTasks: a.StandbyTasks, WarmupTasks: a.WarmupTasks}).Assignment
}

func roles(a tasks.Assignment) string {
	var parts []string
	for _, role := range []struct {
		name string
		set  tasks.Set
	}{{"active", a.Active}, {"standby", a.Standby}, {"warm-up", a.Warmup}} {
		for _, s := range role.set {
			parts = append(parts, fmt.Sprintf("%s %s%v", role.name, s.ID, s.Partitions))
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// streamsState is everything that records say of streams groups, and what is kept of it so that nobody has to search for it.
func streamsState(s *Shard) string {
	var b strings.Builder
	fmt.Fprintf(&b, "crowd %d\n", s.crowd.Get())
	for _, name := range s.names() {
		g, ok := named[*streamsGroup](s, name)
		if !ok {
			continue
		}
		h := g.head.Get()
		fmt.Fprintf(&b, "streams group %s %+v\n", name, h)
		if t := g.topology.Get(); t != nil {
			fmt.Fprintf(&b, "  topology %+v\n", *t)
		}
		settled, runs, local := 0, 0, map[localTask]string{}
		for _, m := range g.sorted() {
			target, _ := g.targets.Get(m.id)
			fmt.Fprintf(&b, "  %s %q %v process %s %v %+v %d: %d %d state %d assigned %s %v revoking %s %v target %s\n", m.id, deref(m.said.instance), m.said.client, m.said.process,
				m.said.tags, m.said.endpoint, m.said.rebalanceTimeout, m.at.epoch, m.at.previous, m.at.state,
				roles(m.at.assigned.Assignment), m.at.assigned.since, roles(m.at.revoking.Assignment), m.at.revoking.since, roles(target))
			if m.settled(h.targetEpoch) {
				settled++
			}
			running, has := m.holds()
			for t := range running {
				runs++
				if owner, _ := g.active.Get(t); owner != m.id {
					fmt.Fprintf(&b, "  WRONG: %v runs at %s and belongs to %q\n", t, m.id, owner)
				}
			}
			for t := range has {
				at := localTask{t, m.said.process}
				if other, taken := local[at]; taken {
					fmt.Fprintf(&b, "  WRONG: %v is at %s and at %s\n", at, m.id, other)
				}
				local[at] = m.id
			}
		}
		if settled != h.settled || runs != g.active.Len() || len(local) != g.local.Len() {
			fmt.Fprintf(&b, "  WRONG: settled %d, run %d of %d, local %d of %d\n", settled, runs, g.active.Len(), len(local), g.local.Len())
		}
		for _, instance := range sortedKeys(g.instances) {
			id, _ := g.instances.Get(instance)
			fmt.Fprintf(&b, "  %s is %s\n", instance, id)
		}
	}
	return b.String()
}

// reloaded is the state that follows from the records alone.
func (w *world) reloaded() string {
	reg := timeline.NewRegistry()
	s := New(w.Shard.env, reg)
	for i, r := range w.Log {
		decoded, err := s.Decode(r.Key, r.Value)
		if err != nil {
			w.t.Fatalf("record %d: %v", i, err)
		}
		s.Replay(decoded, r.Producer)
	}
	return streamsState(s)
}
