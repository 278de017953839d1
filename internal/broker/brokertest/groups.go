package brokertest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/timeline"
)

// groupsTopic is the topic that the first FindCoordinator creates.
const groupsTopic = "__consumer_offsets"

// StartGroups makes the broker coordinate groups: the real verbs and state machine, over logs in memory. stop ends that.
func (b *Broker) StartGroups() (stop func()) {
	settings := (&config.Layers{}).Group()
	settings.InitialRebalanceDelay = 0
	env := group.Env{Config: func(*metadata.Image, string) config.GroupConfig { return settings }, OffsetCheckInterval: time.Hour}
	b.runtime = coordinator.New(coordinator.Options[*group.Shard]{
		Topic: groupsTopic, NodeID: 1, Log: &groupLogs{}, Image: b.latest.Load,
		NewShard: func(reg *timeline.Registry, _ int32) *group.Shard { return group.New(env, reg) },
	})
	b.groups = broker.New(broker.Options{GroupOptions: broker.GroupOptions{Groups: b.runtime}, Image: b.latest.Load})
	return b.runtime.Close
}

// GroupVerbs is the real broker that has the verbs of groups, and nothing else.
func (b *Broker) GroupVerbs() *broker.Broker { return b.groups }

// FindCoordinator names the one node there is; the first one creates the topic that groups are kept in.
func (b *Broker) FindCoordinator(ctx context.Context, s *broker.Session, q *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	if b.Image().Topics.ByName(groupsTopic) == nil {
		b.CreateTopics(ctx, s, []broker.NewTopic{{Name: groupsTopic, Partitions: 3, Replication: 1}}, false)
	}
	a := kmsg.NewPtrFindCoordinatorResponse()
	for _, key := range q.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID = key, 1
		a.Coordinators = append(a.Coordinators, c)
	}
	return a
}

// OffsetCommit and what follows are the real broker's.
func (b *Broker) OffsetCommit(ctx context.Context, s *broker.Session, q *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	return b.groups.OffsetCommit(ctx, s, q)
}

// OffsetFetch is the real broker's.
func (b *Broker) OffsetFetch(ctx context.Context, s *broker.Session, q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	return b.groups.OffsetFetch(ctx, s, q)
}

// JoinGroup is the real broker's.
func (b *Broker) JoinGroup(ctx context.Context, s *broker.Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	return b.groups.JoinGroup(ctx, s, q)
}

// SyncGroup is the real broker's.
func (b *Broker) SyncGroup(ctx context.Context, s *broker.Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	return b.groups.SyncGroup(ctx, s, q)
}

// Heartbeat is the real broker's.
func (b *Broker) Heartbeat(ctx context.Context, s *broker.Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	return b.groups.Heartbeat(ctx, s, q)
}

// groupLogs are the partitions of an internal topic, in memory; everything is committed at once.
type groupLogs struct {
	mu   sync.Mutex // guards logs; nothing waits while holding it
	logs map[int32]*groupLog
}

type groupLog struct {
	batches  [][]byte
	end      kafka.Offset
	watchers []*func(kafka.Offset)
}

func (l *groupLogs) of(partition int32) *groupLog {
	if l.logs == nil {
		l.logs = map[int32]*groupLog{}
	}
	if l.logs[partition] == nil {
		l.logs[partition] = &groupLog{}
	}
	return l.logs[partition]
}

// Append implements coordinator.Log.
func (l *groupLogs) Append(partition int32, _ kafka.LeaderEpoch, batch []byte, _ time.Time) (kafka.Offset, error) {
	l.mu.Lock()
	log := l.of(partition)
	stored := slices.Clone(batch)
	record.Stamp(stored, log.end, 0)
	h, _ := record.ParseHeader(stored)
	log.batches, log.end = append(log.batches, stored), h.NextOffset()
	end, watchers := log.end, slices.Clone(log.watchers)
	l.mu.Unlock()
	for _, fn := range watchers {
		(*fn)(end)
	}
	return end, nil
}

// Leads implements coordinator.Log.
func (l *groupLogs) Leads(int32, kafka.LeaderEpoch) error { return nil }

// OnHighWatermark implements coordinator.Log.
func (l *groupLogs) OnHighWatermark(partition int32, fn func(kafka.Offset)) (stop func(), err error) {
	l.mu.Lock()
	log := l.of(partition)
	log.watchers = append(log.watchers, &fn)
	end := log.end
	l.mu.Unlock()
	fn(end)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		log.watchers = slices.DeleteFunc(log.watchers, func(w *func(kafka.Offset)) bool { return w == &fn })
	}, nil
}

// Load implements coordinator.Log.
func (l *groupLogs) Load(partition int32, _ kafka.LeaderEpoch, fn func(batch []byte) error) (kafka.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.of(partition)
	for _, b := range log.batches {
		if err := fn(b); err != nil {
			return 0, err
		}
	}
	return log.end, nil
}
