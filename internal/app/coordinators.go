package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/timeline"
	"github.com/rafka-io/rafka/internal/txnmarker"
)

// internalLog is the partitions of an internal topic for its coordinators.
type internalLog struct {
	ctx      context.Context // ends with the app
	replicas *replica.Manager
	topic    string
	logger   *slog.Logger
}

var _ coordinator.Log = internalLog{}

func (l internalLog) partition(i int32) (*partition.Partition, error) {
	t, err := l.replicas.ByName(l.topic)
	if err != nil {
		return nil, err
	}
	return t.Partition(i)
}

// Append implements coordinator.Log.
func (l internalLog) Append(i int32, epoch kafka.LeaderEpoch, batch []byte, now time.Time) (kafka.Offset, error) {
	p, err := l.partition(i)
	if err != nil {
		return kafka.NoOffset, err
	}
	return p.AppendInternal(batch, epoch, now)
}

// OnHighWatermark implements coordinator.Log.
func (l internalLog) OnHighWatermark(i int32, fn func(kafka.Offset)) (stop func(), err error) {
	p, err := l.partition(i)
	if err != nil {
		return nil, err
	}
	return p.OnHighWatermark(fn), nil
}

// Load implements coordinator.Log. The log of a partition that never had a record is not opened.
func (l internalLog) Load(i int32, epoch kafka.LeaderEpoch, fn func([]byte) error) (end kafka.Offset, err error) {
	p, err := l.partition(i)
	if err != nil {
		return kafka.NoOffset, err
	}
	if !l.replicas.MayHaveData(p) {
		return 0, nil
	}
	return p.ReadAll(l.ctx, epoch, func(b record.Batches) error { return fn(b) })
}

// Leads implements coordinator.Log.
func (l internalLog) Leads(i int32, epoch kafka.LeaderEpoch) error {
	p, err := l.partition(i)
	if err != nil {
		return err
	}
	return p.Leads(epoch)
}

// trim drops what a coordinator needs no more. It is tried again with the next trim, so an error is only told, and nobody waits for followers.
func (l internalLog) trim(i int32, below kafka.Offset) {
	p, err := l.partition(i)
	if err == nil {
		_, err = p.Trim(l.ctx, below)
	}
	if err != nil && l.ctx.Err() == nil {
		l.logger.Warn("an internal topic could not be trimmed", "topic", l.topic, "partition", i, "below", below, "err", err)
	}
}

// openCoordinators makes the coordinators of groups and transactions, whose shards come with the images, and returns who writes the
// transactions' markers on this node.
func (a *App) openCoordinators(set *broker.GroupSettings) (markers *txnmarker.Local) {
	st := a.opts.Static
	ctx, stop := context.WithCancel(context.Background())
	log := func(topic string) internalLog { return internalLog{ctx, a.replicas, topic, a.opts.Logger} }
	image := func() *metadata.Image { return a.loop.Image() }
	a.groups = coordinator.New(coordinator.Options[*group.Shard]{
		Topic: "__consumer_offsets", NodeID: a.node, Log: log("__consumer_offsets"), Image: image, Logger: a.opts.Logger,
		OnEffect: a.onGroupEffect,
		NewShard: func(reg *timeline.Registry, _ int32) *group.Shard {
			return group.New(group.Env{Config: set.Group, OffsetCheckInterval: st.Duration("offsets.retention.check.interval.ms")}, reg)
		},
	})
	a.onStop("groups", func(context.Context) error { a.groups.Close(); return nil })
	a.openStreamsTopics()
	a.openQueues(set, log(shareStateTopic))
	markers = &txnmarker.Local{Replicas: a.replicas, Groups: a.groups, Now: time.Now}
	a.txns = coordinator.New(coordinator.Options[*txn.Shard]{
		Topic: txn.Topic, NodeID: a.node, Log: log(txn.Topic), Image: image, Logger: a.opts.Logger,
		OnEffect: func(partition int32, e any) { a.markers.OnEffect(partition, e) },
		NewShard: func(reg *timeline.Registry, _ int32) *txn.Shard {
			return txn.NewShard(reg, txn.Options{
				MaxTimeout: st.Duration("transaction.max.timeout.ms"), Expiration: st.Duration("transactional.id.expiration.ms"),
				ExpirationRun: st.Duration("transaction.remove.expired.transaction.cleanup.interval.ms"),
			})
		},
	})
	a.onStop("transactions", func(context.Context) error { a.txns.Close(); return nil })
	a.markers = txnmarker.New(txnmarker.Options{
		Coordinator: txnmarker.RuntimeOf(a.txns), Image: image, Logger: a.opts.Logger,
		Writer: a.markerWriter(markers),
	})
	a.markers.Start()
	a.onStop("transaction markers", func(context.Context) error { a.markers.Close(); return nil })
	// Loads that are under way end first.
	a.onStop("coordinators' loads", func(context.Context) error { stop(); return nil })
	return markers
}
