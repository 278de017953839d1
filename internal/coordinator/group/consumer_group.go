package group

import (
	"slices"
	"strconv"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// consumerGroup is a group of KIP-848. Its records are in consumer_record_*.go; what they do not say follows from them, and is kept here so
// that no operation has to search for it.
type consumerGroup struct {
	s  *Shard
	id string

	head    *timeline.Value[consumerHead]
	members *timeline.Map[string, *consumerMember]
	targets *timeline.Map[string, assign.Partitions]
	regexes *timeline.Map[string, *regexTopics]

	owners    *timeline.Map[topicPartition, string] // who holds a partition: it is assigned, or not yet given up (GRP-1)
	instances *timeline.Map[string, string]         // the member of an instance id
	names     *timeline.Map[string, int]            // how many members subscribe to a topic by its name
	stirred   *timeline.Value[time.Time]            // when something last changed that members must hear of

	settings groupSettings
}

type topicPartition struct {
	topic     kafka.UUID
	partition int32
}

// consumerHead is what a consumer group knows of itself as a whole.
type consumerHead struct {
	epoch         int32 // rises with every change of members, subscriptions or topics (GRP-2)
	hash          int64 // of the topics subscribed to, as of epoch
	targetEpoch   int32 // the epoch that targets are for; epoch > targetEpoch: they are to be computed
	targetAt      kafka.Timestamp
	oldPartitions bool // a record of type 4 is in the log
	settled       int  // members that have reached targetEpoch
	classic       int  // members that speak the classic protocol
}

var _ group = (*consumerGroup)(nil)

func newConsumerGroup(s *Shard, id string) *consumerGroup {
	return &consumerGroup{
		s: s, id: id,
		head:    timeline.NewValue(s.reg, consumerHead{}),
		members: timeline.NewMap[string, *consumerMember](s.reg), targets: timeline.NewMap[string, assign.Partitions](s.reg),
		regexes: timeline.NewMap[string, *regexTopics](s.reg), owners: timeline.NewMap[topicPartition, string](s.reg),
		instances: timeline.NewMap[string, string](s.reg), names: timeline.NewMap[string, int](s.reg),
		stirred: timeline.NewValue(s.reg, time.Time{}),
	}
}

func (g *consumerGroup) name() string  { return g.id }
func (g *consumerGroup) kind() kind    { return kindConsumer }
func (g *consumerGroup) isEmpty() bool { return g.members.Len() == 0 }

func (g *consumerGroup) state(at coordinator.View) string {
	h, members := g.head.GetAt(at.Committed), g.members.LenAt(at.Committed)
	switch {
	case members == 0:
		return "Empty"
	case h.epoch > h.targetEpoch:
		return "Assigning"
	case h.settled < members:
		return "Reconciling"
	}
	return "Stable"
}

func (g *consumerGroup) protocol(at coordinator.View) (typ, name string) {
	return consumerProtocolType, g.assignorAt(g.s.env.Config(at.Image, g.id).ConsumerAssignors, at.Committed)
}

// checkDelete refuses to delete a group that has members.
func (g *consumerGroup) checkDelete() error {
	if !g.isEmpty() {
		return kafka.Errorf(kafka.NonEmptyGroup, "Group %s has members; stop its consumers first.", g.id)
	}
	return nil
}

// remove emits the tombstones of the group, members first.
func (g *consumerGroup) remove(op *coordinator.Op) {
	for _, m := range g.sorted() {
		g.removeMember(op, m)
	}
	for _, regex := range sortedKeys(g.regexes) {
		op.Emit(&consumerRegex{group: g.id, regex: regex})
	}
	h := g.head.Get()
	op.Emit(&consumerTarget{group: g.id, gone: true})
	if h.oldPartitions {
		op.Emit(&consumerPartitions{group: g.id, gone: true})
	}
	op.Emit(&consumerMetadata{group: g.id, gone: true})
	op.Cancel(g.assignTimer())
}

// usesTopic reports whether a member subscribes to the topic, by its name or by an expression.
func (g *consumerGroup) usesTopic(topic string) bool {
	if n, _ := g.names.Get(topic); n > 0 {
		return true
	}
	for _, found := range g.regexes.All() {
		if _, ok := slices.BinarySearch(found.topics, topic); ok {
			return true
		}
	}
	return false
}

// sorted lists the members by id.
func (g *consumerGroup) sorted() []*consumerMember {
	list := make([]*consumerMember, 0, g.members.Len())
	for _, id := range sortedKeys(g.members) {
		m, _ := g.members.Get(id)
		list = append(list, m)
	}
	return list
}

// settings of a group, as of the image they were read from: to read them for every heartbeat would cost more than the heartbeat. It is not
// state, for it follows from the image alone.
type groupSettings struct {
	of     metadata.Offset
	valid  bool
	config config.GroupConfig
}

func (c *groupSettings) get(env Env, img *metadata.Image, group string) *config.GroupConfig {
	if !c.valid || c.of != img.Offset {
		*c = groupSettings{of: img.Offset, valid: true, config: env.Config(img, group)}
	}
	return &c.config
}

// config is for operations; a read must not remember anything, and calls Env.Config.
func (g *consumerGroup) config(img *metadata.Image) *config.GroupConfig {
	return g.settings.get(g.s.env, img, g.id)
}

// timerKey names a timer of a group, or of a member of one. The group's name is quoted, so that no two groups share a key, whatever their
// names are.
func timerKey(what, group string, member ...string) string {
	key := what + " " + strconv.Quote(group)
	for _, m := range member {
		key += " " + m
	}
	return key
}

func sortedKeys[V any](m *timeline.Map[string, V]) []string {
	keys := make([]string, 0, m.Len())
	for k := range m.All() {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
