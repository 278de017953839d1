package app

import (
	"context"
	"strconv"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/queue"
	"github.com/rafka-io/rafka/internal/timeline"
)

const shareStateTopic = "__share_group_state"

// openQueues makes what gives records to share groups, and the coordinator that keeps its state.
func (a *App) openQueues(set *broker.GroupSettings, log internalLog) {
	st := a.opts.Static
	image := func() *metadata.Image { return a.loop.Image() }
	me := metadata.Resource{Type: metadata.ResourceBroker, Name: strconv.Itoa(int(a.node))}
	updates := func(img *metadata.Image) int {
		n, err := strconv.Atoi(set.Value(img, me, "share.coordinator.snapshot.update.records.per.snapshot"))
		if err != nil {
			return 500 // values are checked when they are set
		}
		return n
	}
	a.shares = coordinator.New(coordinator.Options[*share.Shard]{
		Topic: shareStateTopic, NodeID: a.node, Log: log, Image: image, Logger: a.opts.Logger,
		NewShard: func(reg *timeline.Registry, _ int32) *share.Shard {
			return share.NewShard(share.Env{
				UpdatesPerSnapshot: updates, TrimInterval: st.Duration("share.coordinator.state.topic.prune.interval.ms"),
				ColdInterval: st.Duration("share.coordinator.cold.partition.snapshot.interval.ms"),
			}, reg)
		},
		OnEffect: func(partition int32, e any) {
			if trim, ok := e.(share.TrimLog); ok {
				log.trim(partition, trim.Below)
			}
		},
	})
	a.onStop("share groups' state", func(context.Context) error { a.shares.Close(); return nil })
	create := func(ctx context.Context) error { return a.broker.EnsureShareState(ctx) }
	here := queue.NewStates(a.shares, create)
	o := queue.Options{
		NodeID: a.node, Replicas: a.replicas, Image: image, Settings: set, Logger: a.opts.Logger,
		States:        here,
		Groups:        shareGroups{a.groups},
		FetchMaxBytes: int(st.Int("fetch.max.bytes")), WriteTimeout: st.Duration("share.coordinator.write.timeout.ms"),
		CreateTopic: func(ctx context.Context, name string, settings map[string]string) error {
			return a.broker.CreateTopic(ctx, name, settings)
		},
	}
	if a.peers != nil {
		o.LocalStates, o.Peers = here, a.lanes
		o.States = queue.NewClusterStates(queue.ClusterStatesOptions{NodeID: a.node, Image: image, Local: here, Peers: a.lanes, Create: create})
	}
	a.states = o.States
	a.queues = queue.New(o)
	a.queues.Start()
	a.onStop("queues", func(context.Context) error { a.queues.Close(); return nil })
}

// shareGroups is the groups' coordinator as the queues see it.
type shareGroups struct {
	*coordinator.Runtime[*group.Shard]
}

var _ queue.Groups = shareGroups{}

// ShareStateInitialized implements queue.Groups.
func (g shareGroups) ShareStateInitialized(ctx context.Context, name string, topics []group.TopicIDPartitions) error {
	_, err := coordinator.Ask(ctx, g.Runtime, name, func(s *group.Shard, op *coordinator.Op) struct{} {
		s.ShareStateInitialized(op, name, topics)
		return struct{}{}
	})
	return err
}

// ShareStateDeleted implements queue.Groups.
func (g shareGroups) ShareStateDeleted(ctx context.Context, name string, topics []group.TopicIDPartitions) error {
	_, err := coordinator.Ask(ctx, g.Runtime, name, func(s *group.Shard, op *coordinator.Op) struct{} {
		s.ShareStateDeleted(op, name, topics)
		return struct{}{}
	})
	return err
}

// result is an answer that may be an error of the group's own.
type result[A any] struct {
	a   A
	err error
}

func (r result[A]) or(err error) (A, error) {
	if err != nil {
		var none A
		return none, err
	}
	return r.a, r.err
}

// SharePartitions implements queue.Groups.
func (g shareGroups) SharePartitions(_ context.Context, name string) ([]group.TopicIDPartitions, error) {
	r, err := coordinator.Read(g.Runtime, name, func(s *group.Shard, v coordinator.View) (r result[[]group.TopicIDPartitions]) {
		r.a, r.err = s.SharePartitions(v, name)
		return r
	})
	return r.or(err)
}

// AlterShareState implements queue.Groups.
func (g shareGroups) AlterShareState(ctx context.Context, name string, topics []group.TopicIDPartitions) (int32, error) {
	r, err := coordinator.Ask(ctx, g.Runtime, name, func(s *group.Shard, op *coordinator.Op) (r result[int32]) {
		r.a, r.err = s.AlterShareState(op, name, topics)
		return r
	})
	return r.or(err)
}

// DeleteShareState implements queue.Groups.
func (g shareGroups) DeleteShareState(ctx context.Context, name string, topics []string) ([]group.TopicIDPartitions, error) {
	r, err := coordinator.Ask(ctx, g.Runtime, name, func(s *group.Shard, op *coordinator.Op) (r result[[]group.TopicIDPartitions]) {
		r.a, r.err = s.DeleteShareState(op, name, topics)
		return r
	})
	return r.or(err)
}
