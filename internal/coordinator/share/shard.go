package share

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Env is what a shard is made with beside its registry.
type Env struct {
	// UpdatesPerSnapshot is share.coordinator.snapshot.update.records.per.snapshot: so many writes of a share-partition are followed by a snapshot of it.
	UpdatesPerSnapshot func(img *metadata.Image) int
	// TrimInterval is share.coordinator.state.topic.prune.interval.ms: how often the log is trimmed to what a load needs. [5 minutes]
	TrimInterval time.Duration
	// ColdInterval is share.coordinator.cold.partition.snapshot.interval.ms: a share-partition without a snapshot for so long gets one when the
	// log is trimmed, so that its last one does not keep the log. [5 minutes]
	ColdInterval time.Duration
}

// Shard holds the state of the share-partitions of one partition of __share_group_state.
type Shard struct {
	env     Env
	states  *timeline.Map[stateKey, *state]
	placed  map[stateKey]kafka.Offset // where the last snapshot of each is; see coordinator.Placed
	end     kafka.Offset              // after the last record that was placed
	trimmed kafka.Offset              // the log was to be trimmed to here
}

var _ coordinator.Shard = (*Shard)(nil)

// state is what is durable of one share-partition. It is never changed, only replaced.
type state struct {
	stateValue
	epoch                int32 // of the last snapshot
	stateEpoch           int32
	fence                kafka.LeaderEpoch // the highest leader epoch seen
	createdAt, writtenAt kafka.Timestamp
	updates              int // since the last snapshot
}

// defaultInterval is Kafka's default of both intervals.
const defaultInterval = 5 * time.Minute

// NewShard makes an empty shard, to be filled by Replay.
func NewShard(env Env, reg *timeline.Registry) *Shard {
	if env.TrimInterval <= 0 {
		env.TrimInterval = defaultInterval
	}
	if env.ColdInterval <= 0 {
		env.ColdInterval = defaultInterval
	}
	return &Shard{env: env, states: timeline.NewMap[stateKey, *state](reg), placed: map[stateKey]kafka.Offset{}}
}

// CoordinatorKey is by what a share-partition finds its partition of __share_group_state, as Kafka's FindCoordinator (key type 2) has it.
func CoordinatorKey(group string, topic kafka.UUID, partition int32) string {
	return group + ":" + topic.String() + ":" + strconv.Itoa(int(partition))
}

// Replay folds a record into the state (COR-3).
func (s *Shard) Replay(r coordinator.Record, _ coordinator.Producer) {
	switch r := r.(type) {
	case *snapshot:
		s.foldSnapshot(r)
	case *update:
		s.foldUpdate(r)
	}
}

func (s *Shard) foldSnapshot(r *snapshot) {
	if r.isGone {
		s.states.Delete(r.key)
		return
	}
	n := &state{stateValue: r.stateValue, epoch: r.epoch, stateEpoch: r.stateEpoch, fence: r.leaderEpoch, createdAt: r.createdAt, writtenAt: r.writtenAt}
	n.batches = tidy(n.batches)
	if old, ok := s.states.Get(r.key); ok {
		n.fence = max(n.fence, old.fence)
	}
	s.states.Set(r.key, n)
}

// foldUpdate lays what changed over what is known. An update without a snapshot before it, which only a damaged log has, is taken for one.
func (s *Shard) foldUpdate(r *update) {
	n := state{stateValue: stateValue{start: -1, leaderEpoch: kafka.NoEpoch}, epoch: r.epoch, fence: kafka.NoEpoch, updates: -1}
	if old, ok := s.states.Get(r.key); ok {
		n = *old
	}
	n.updates++
	if r.start != -1 {
		n.start = r.start
	}
	if r.leaderEpoch != kafka.NoEpoch {
		n.leaderEpoch = r.leaderEpoch
	}
	n.fence = max(n.fence, r.leaderEpoch)
	n.deliveryComplete = r.deliveryComplete
	n.batches = combine(n.batches, tidy(r.batches), n.start)
	s.states.Set(r.key, &n)
}

// EndTxn does nothing: nobody writes share-group state in transactions.
func (s *Shard) EndTxn(coordinator.Producer, bool) {}

// Changed drops the state of topics that were removed.
func (s *Shard) Changed(op *coordinator.Op, d *metadata.Delta) {
	removed := map[kafka.UUID]bool{}
	for _, t := range d.Topics {
		if t.Before != nil && (t.After == nil || t.After.ID != t.Before.ID) {
			removed[t.Before.ID] = true
		}
	}
	if len(removed) == 0 {
		return
	}
	var gone []stateKey
	for k := range s.states.All() {
		if removed[k.topic] {
			gone = append(gone, k)
		}
	}
	slices.SortFunc(gone, func(a, b stateKey) int {
		return cmp.Or(cmp.Compare(a.group, b.group), slices.Compare(a.topic[:], b.topic[:]), cmp.Compare(a.partition, b.partition))
	})
	op.Atomic(false)
	for _, k := range gone {
		op.Emit(&snapshot{key: k, isGone: true})
	}
}
