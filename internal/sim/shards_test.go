package sim

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

const (
	offsetsTopic = "__consumer_offsets"
	txnTopic     = txn.Topic
)

// coordinators are the shards of a node.
type coordinators struct {
	n      *node
	groups []*shard[*group.Shard]
	txns   []*shard[*txn.Shard]
	shares []*shard[*share.Shard]
}

func newCoordinators(n *node) coordinators { return coordinators{n: n} }

// published begins and ends shards, and tells them of changes, as coordinator.Runtime does.
func (c *coordinators) published(d *metadata.Delta) {
	c.groups = place(c.n, offsetsTopic, c.groups, d, func(reg *timeline.Registry) *group.Shard {
		return group.New(group.Env{Config: groupConfig, OffsetCheckInterval: time.Hour}, reg)
	}, nil)
	c.shares = place(c.n, shareTopic, c.shares, d, func(reg *timeline.Registry) *share.Shard {
		return share.NewShard(share.Env{UpdatesPerSnapshot: func(*metadata.Image) int { return 5 }, TrimInterval: time.Hour, ColdInterval: time.Hour}, reg)
	}, nil)
	c.txns = place(c.n, txnTopic, c.txns, d, func(reg *timeline.Registry) *txn.Shard {
		return txn.NewShard(reg, txn.Options{MaxTimeout: time.Minute, Expiration: 24 * time.Hour, ExpirationRun: time.Hour})
	}, func(h *shard[*txn.Shard], e any) {
		if m, ok := e.(txn.SendMarkers); ok {
			c.n.sendMarkers(h, m)
		}
	})
}

func groupConfig(*metadata.Image, string) (c config.GroupConfig) {
	c.Consumer = config.ModernGroup{SessionTimeout: sessionTimeout, HeartbeatInterval: 300 * time.Millisecond, AssignmentInterval: 0, MaxSize: 100}
	c.Share.ModernGroup, c.Streams.ModernGroup = c.Consumer, c.Consumer
	c.ConsumerAssignors = []string{"uniform", "range"}
	c.Protocols = []string{"classic", "consumer"}
	c.MaxSize, c.MinSessionTimeout, c.MaxSessionTimeout = 100, time.Second, time.Minute
	c.OffsetRetention, c.MaxOffsetMetadata = 24*time.Hour, 4096
	return c
}

const sessionTimeout = 3 * time.Second

// place makes a list of shards what the image says.
func place[S coordinator.Shard](n *node, topic string, list []*shard[S], d *metadata.Delta, make func(*timeline.Registry) S, effect func(*shard[S], any)) []*shard[S] {
	t := n.img.Topics.ByName(topic)
	if t == nil {
		return list
	}
	for i := range t.Partitions {
		p := &t.Partitions[i]
		at := slices.IndexFunc(list, func(h *shard[S]) bool { return h.partition == int32(i) })
		if at >= 0 && (p.Leader != n.id || list[at].epoch != p.LeaderEpoch) {
			list[at].leave(phaseClosed)
			list = slices.Delete(list, at, at+1)
			at = -1
		}
		if at < 0 && p.Leader == n.id {
			h := &shard[S]{n: n, topic: topic, partition: int32(i), epoch: p.LeaderEpoch, make: make, effect: effect}
			list = append(list, h)
			h.load()
		}
	}
	changed := slices.ContainsFunc(d.Topics, func(t metadata.TopicDelta) bool {
		return t.Before == nil || t.After == nil || len(t.Before.Partitions) != len(t.After.Partitions)
	})
	if changed {
		for _, h := range list {
			h.changed(d)
		}
	}
	return list
}
