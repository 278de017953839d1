package coordinator

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Options of a Runtime. Everything without a default in brackets is required.
type Options[S Shard] struct {
	// Topic is the internal topic; NodeID this node, which has the shards of the partitions it leads.
	Topic  string
	NodeID kafka.BrokerID
	// NewShard makes an empty shard whose state lives in reg.
	NewShard func(reg *timeline.Registry, partition int32) S
	// Log is the partitions of the topic.
	Log Log
	// OnEffect is told, from one goroutine, what operations wanted to happen once they were committed. It must not block. [nobody]
	OnEffect func(partition int32, e any)
	// Image is the metadata of this moment.
	Image func() *metadata.Image
	NewID func() kafka.UUID // [kafka.NewUUID]
	Now   func() time.Time  // [time.Now]
	// Logger is told of shards that cannot be loaded. [slog.Default()]
	Logger *slog.Logger
}

// Runtime runs the shards of one internal topic on this node.
type Runtime[S Shard] struct {
	opts    Options[S]
	table   atomic.Pointer[[]*host[S]] // by partition; nil entries are led elsewhere
	timers  timers
	effects effects
	loaders chan struct{} // one token for each load that may run at once
	closed  chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex // guards closing; a leaf
	closing bool
}

// parallelLoads is how many shards are read from their logs at once.
const parallelLoads = 2

// New returns a Runtime without shards; Apply brings them. Its goroutines end with Close.
func New[S Shard](o Options[S]) *Runtime[S] {
	if o.NewID == nil {
		o.NewID = kafka.NewUUID
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Runtime[S]{opts: o, loaders: make(chan struct{}, parallelLoads), closed: make(chan struct{})}
	r.table.Store(&[]*host[S]{})
	r.timers.init(o.Now)
	r.effects.init()
	r.running.Go(func() { r.timers.run(r.closed) })
	r.running.Go(func() { r.effects.run(r.opts.OnEffect) })
	return r
}

// Close ends every goroutine. Who waits is told to look for the coordinator elsewhere.
func (r *Runtime[S]) Close() {
	r.mu.Lock()
	again := r.closing
	r.closing = true
	r.mu.Unlock()
	if again {
		return
	}
	close(r.closed)
	for _, h := range *r.table.Load() {
		if h != nil {
			h.unload()
		}
	}
	r.effects.close()
	r.running.Wait()
}

var _ metadata.Publisher = (*Runtime[Shard])(nil)

// Apply loads the shards of the partitions that this node has come to lead, unloads those it leads no more, and tells the others what changed.
// It returns before a load is done. A shard stays while its partition has the same leader in the same epoch, whatever else changes of it; when this
// node is elected again, in a later epoch, its log is read anew (COR-5).
func (r *Runtime[S]) Apply(img *metadata.Image, d *metadata.Delta) {
	r.follow(img)
	if d = ofInterest(d); len(d.Topics) == 0 && len(d.Configs) == 0 {
		return
	}
	for _, h := range *r.table.Load() {
		if h != nil {
			h.changed(d)
		}
	}
}

// ofInterest leaves out the topics of which only leaders or replicas changed. In a cluster that happens all the time, to thousands of partitions at
// once when a broker dies, and no shard decides by it.
func ofInterest(d *metadata.Delta) *metadata.Delta {
	moved := func(t metadata.TopicDelta) bool {
		return t.Before != nil && t.After != nil && t.Before.ID == t.After.ID && len(t.Before.Partitions) == len(t.After.Partitions)
	}
	if !slices.ContainsFunc(d.Topics, moved) {
		return d
	}
	rest := *d
	rest.Topics = slices.DeleteFunc(slices.Clone(d.Topics), moved)
	return &rest
}

// follow makes the table what the image says.
func (r *Runtime[S]) follow(img *metadata.Image) {
	was := *r.table.Load()
	var parts []metadata.Partition
	var id kafka.UUID
	if t := img.Topics.ByName(r.opts.Topic); t != nil {
		parts, id = t.Partitions, t.ID
	}
	var next []*host[S]
	for i := range max(len(parts), len(was)) {
		var h *host[S]
		if i < len(was) {
			h = was[i]
		}
		leads := i < len(parts) && parts[i].Leader == r.opts.NodeID
		if h != nil && leads && h.epoch == parts[i].LeaderEpoch && h.topic == id {
			if next != nil {
				next[i] = h
			}
			continue
		}
		if h == nil && !leads && i < len(parts) == (i < len(was)) {
			continue
		}
		if next == nil {
			next = make([]*host[S], len(parts))
			copy(next, was[:min(i, len(parts))])
		}
		if h != nil {
			h.unload()
		}
		if leads {
			next[i] = newHost(r, int32(i), id, parts[i].LeaderEpoch)
			r.start(next[i].load)
		}
	}
	if next != nil {
		r.table.Store(&next)
	}
}

// start runs a load, unless the runtime is being closed.
func (r *Runtime[S]) start(load func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closing {
		r.running.Go(load)
	}
}

// PartitionOf is the partition that a group or a transactional id belongs to. CoordinatorNotAvailable while there is no such topic.
func (r *Runtime[S]) PartitionOf(key string) (int32, error) {
	n := len(*r.table.Load())
	if n == 0 {
		return 0, errNoTopic
	}
	return PartitionOf(key, int32(n)), nil
}

// Ready returns when the shard of a partition serves, or says why it does not: NotCoordinator, CoordinatorLoadInProgress when ctx ends,
// CoordinatorNotAvailable.
func (r *Runtime[S]) Ready(ctx context.Context, partition int32) error {
	h, err := r.at(partition)
	if err != nil {
		return err
	}
	select {
	case <-h.ready:
	case <-r.closed:
		return errElsewhere
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serves()
}

// Phase is where the shard of a partition is; PhaseNone if it is not on this node.
func (r *Runtime[S]) Phase(partition int32) Phase {
	h, err := r.at(partition)
	if err != nil {
		return PhaseNone
	}
	return h.phaseNow()
}

// Notes lists the last decisions about a group or a transactional id, oldest first.
func (r *Runtime[S]) Notes(key string) []Note {
	h, err := r.of(key)
	if err != nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.notes.about(key)
}

// of finds the shard of a key, at that of a partition.
func (r *Runtime[S]) of(key string) (*host[S], error) {
	i, err := r.PartitionOf(key)
	if err != nil {
		return nil, err
	}
	return r.at(i)
}

func (r *Runtime[S]) at(partition int32) (*host[S], error) {
	t := *r.table.Load()
	switch {
	case len(t) == 0:
		return nil, errNoTopic
	case partition < 0 || int(partition) >= len(t) || t[partition] == nil:
		return nil, errElsewhere
	}
	return t[partition], nil
}

var (
	errNoTopic   = kafka.Errorf(kafka.CoordinatorNotAvailable, "there is no coordinator yet: find it first (FindCoordinator), then try again")
	errElsewhere = kafka.Errorf(kafka.NotCoordinator, "this broker is not the coordinator: find it again (FindCoordinator)")
	errLoading   = kafka.Errorf(kafka.CoordinatorLoadInProgress, "the coordinator is being loaded: try again in a moment")
	errFailed    = kafka.Errorf(kafka.CoordinatorNotAvailable, "the coordinator could not be loaded, the broker's log says why: try again later")
)
