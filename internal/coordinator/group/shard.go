package group

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Env is what a shard is made with beside its registry.
type Env struct {
	// Config is what the settings of a group mean as of an image; "" gives the broker's defaults.
	Config func(img *metadata.Image, group string) config.GroupConfig
	// OffsetCheckInterval is how long after one search for expired offsets the next begins (offsets.retention.check.interval.ms).
	OffsetCheckInterval time.Duration
}

// Client is who asks.
type Client struct{ ID, Host string }

// Shard holds the groups of one partition of __consumer_offsets.
type Shard struct {
	env    Env
	reg    *timeline.Registry
	groups *timeline.Map[string, group]
	// crowd is how many members the groups of the broker's own protocols have: how often they may send heartbeats depends on it.
	crowd *timeline.Value[int]
	// shareStates is which partitions of each share group have a state; of a group that is gone until the last is removed.
	shareStates *timeline.Map[string, *shareTopics]
	offsetStore
}

var _ coordinator.Shard = (*Shard)(nil)

// New makes an empty shard, to be filled by Replay.
func New(env Env, reg *timeline.Registry) *Shard {
	return &Shard{env: env, reg: reg, groups: timeline.NewMap[string, group](reg), crowd: timeline.NewValue(reg, 0),
		shareStates: timeline.NewMap[string, *shareTopics](reg), offsetStore: newOffsetStore(reg)}
}

// Replay folds a record into the state (COR-3).
func (s *Shard) Replay(r coordinator.Record, p coordinator.Producer) {
	if own, ok := r.(record); ok {
		own.replay(s, p)
	}
}

// Loaded starts the sessions of all members and the search for expired offsets (GRP-6).
func (s *Shard) Loaded(op *coordinator.Op) {
	for name := range s.byGroup.All() {
		s.ensureSimple(name, kafka.NoTimestamp) // offsets without a group would stay for ever
	}
	for _, name := range s.names() {
		if g, ok := s.groups.Get(name); ok {
			g.load(op)
		}
	}
	s.loadShareStates(op)
	s.scheduleExpiry(op)
}

// Changed drops the offsets of removed topics and tells every group that topics changed.
func (s *Shard) Changed(op *coordinator.Op, d *metadata.Delta) {
	if len(d.Topics) == 0 {
		return
	}
	s.dropRemovedTopics(op, d)
	s.forgetRemovedTopics(op, d)
	for _, name := range s.names() {
		if g, ok := s.groups.Get(name); ok {
			g.imageChanged(op, d)
		}
	}
}

// names are those of all groups, sorted: what an operation does to many groups is the same on every run.
func (s *Shard) names() []string {
	names := make([]string, 0, s.groups.Len())
	for name := range s.groups.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
