package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// newModernWorld is a world with Kafka's settings for consumer and share groups.
func newModernWorld(t testing.TB) *world {
	w := newWorld(t)
	modern := config.ModernGroup{SessionTimeout: 45 * time.Second, HeartbeatInterval: 5 * time.Second, AssignmentInterval: time.Second, MaxSize: 1000}
	w.cfg.Consumer, w.cfg.Share.ModernGroup = modern, modern
	w.cfg.ConsumerAssignors = []string{"uniform", "range"}
	w.cfg.MayUpgrade, w.cfg.MayDowngrade = true, true
	return w
}

// joinBeat is the first heartbeat of a member.
func joinBeat(group, member string, topics ...string) *kmsg.ConsumerGroupHeartbeatRequest {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Version, r.Group, r.MemberID = 1, group, member
	r.RebalanceTimeoutMillis = 60_000
	r.SubscribedTopicNames = topics
	r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return r
}

// beat is a heartbeat that says nothing new.
func beat(group, member string, epoch int32) *kmsg.ConsumerGroupHeartbeatRequest {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Version, r.Group, r.MemberID, r.MemberEpoch = 1, group, member, epoch
	return r
}

// having says what the member has.
func having(r *kmsg.ConsumerGroupHeartbeatRequest, set assign.Partitions) *kmsg.ConsumerGroupHeartbeatRequest {
	r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, t := range set {
		one := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		one.TopicID, one.Partitions = t.ID, t.Partitions
		r.Topics = append(r.Topics, one)
	}
	return r
}

func assignmentOf(a *kmsg.ConsumerGroupHeartbeatResponse) assign.Partitions {
	var list []assign.Topic
	for _, t := range a.Assignment.Topics {
		list = append(list, assign.Topic{ID: t.TopicID, Partitions: t.Partitions})
	}
	return assign.Of(list)
}

func (w *world) consumerBeat(r *kmsg.ConsumerGroupHeartbeatRequest) (resp *kmsg.ConsumerGroupHeartbeatResponse, err error) {
	err = w.op(func(op *coordinator.Op) { resp = w.Shard.ConsumerGroupHeartbeat(op, Client{"app", "/10.0.0.1"}, r) })
	return resp, err
}

// sets prints partitions by the names of topics that exist.
func (w *world) sets(set assign.Partitions) string {
	var parts []string
	for _, t := range set {
		name := t.ID.String()
		if topic := w.Image.Topics.ByID(t.ID); topic != nil {
			name = topic.Name
		}
		parts = append(parts, fmt.Sprintf("%s%v", name, t.Partitions))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// modernState is everything that records say of consumer and share groups, and what is kept of it so that nobody has to search for it.
func (w *world) modernState() string {
	var b strings.Builder
	s := w.Shard
	fmt.Fprintf(&b, "crowd %d\n", s.crowd.Get())
	for _, name := range s.names() {
		if g, ok := named[*consumerGroup](s, name); ok {
			fmt.Fprintf(&b, "consumer group %s %+v\n", name, g.head.Get())
			for _, m := range g.sorted() {
				target, _ := g.targets.Get(m.id)
				fmt.Fprintf(&b, "  %s %q %v %q %q %d %v: %d %d state %d assigned %s %v revoking %s %v target %s\n", m.id, deref(m.said.instance), m.said.topics, deref(m.said.regex),
					deref(m.said.assignor), m.said.rebalanceTimeout, m.said.classic, m.at.epoch, m.at.previous, m.at.state,
					w.sets(m.at.assigned.Partitions), m.at.assigned.since, w.sets(m.at.revoking.Partitions), m.at.revoking.since, w.sets(target))
			}
			for _, expr := range sortedKeys(g.regexes) {
				found, _ := g.regexes.Get(expr)
				fmt.Fprintf(&b, "  %s matches %v\n", expr, found.topics)
			}
			for _, topic := range sortedKeys(g.names) {
				n, _ := g.names.Get(topic)
				fmt.Fprintf(&b, "  %s has %d\n", topic, n)
			}
			for _, instance := range sortedKeys(g.instances) {
				id, _ := g.instances.Get(instance)
				fmt.Fprintf(&b, "  %s is %s\n", instance, id)
			}
			held := 0
			for _, m := range g.sorted() {
				for _, set := range []assign.Partitions{m.at.assigned.Partitions, m.at.revoking.Partitions} {
					for id, part := range set.Each {
						held++
						if owner, _ := g.owners.Get(topicPartition{id, part}); owner != m.id {
							fmt.Fprintf(&b, "  WRONG: %v-%d is held by %s and owned by %q\n", id, part, m.id, owner)
						}
					}
				}
			}
			settled, classic := 0, 0
			for _, m := range g.sorted() {
				if m.settled(g.head.Get().targetEpoch) {
					settled++
				}
				if m.said.classic != nil {
					classic++
				}
			}
			if h := g.head.Get(); h.settled != settled || h.classic != classic {
				fmt.Fprintf(&b, "  WRONG: %d are settled, %d of the classic protocol\n", settled, classic)
			}
			if held != g.owners.Len() {
				fmt.Fprintf(&b, "  WRONG: %d partitions are held and %d owned\n", held, g.owners.Len())
			}
		}
		if g, ok := named[*shareGroup](s, name); ok {
			fmt.Fprintf(&b, "share group %s %+v\n", name, g.head.Get())
			for _, m := range g.sorted() {
				target, _ := g.targets.Get(m.id)
				fmt.Fprintf(&b, "  %s %v: %d %d %s target %s\n", m.id, m.said.topics, m.at.epoch, m.at.previous, w.sets(m.at.assigned), w.sets(target))
			}
		}
	}
	for _, name := range sortedKeys(s.shareStates) {
		t, _ := s.shareStates.Get(name)
		fmt.Fprintf(&b, "states of %s: initializing %s initialized %s deleting %v\n", name, w.sets(t.initializing), w.sets(t.initialized), t.deleting)
	}
	return b.String()
}

func (w *world) grow(name string, by int32) {
	t := w.Image.Topics.ByName(name)
	w.change(&metadata.PartitionRecord{TopicID: t.ID, First: int32(len(t.Partitions)), Runs: []metadata.PartitionRun{{Count: by}}})
}

func (w *world) removeTopic(name string) {
	w.change(&metadata.RemoveTopicRecord{ID: w.Image.Topics.ByName(name).ID})
}

func code(c int16) kafka.ErrorCode { return kafka.ErrorCode(c) }
