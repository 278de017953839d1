package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// Partition is one replica of one partition. Its methods may be called from any goroutine.
type Partition struct {
	id       storage.ID
	host     *Host
	stats    *Stats
	settings atomic.Pointer[Settings]

	// opening is held by who opens the log or loads what is known of producers: the first use of each. I/O happens under it.
	opening sync.Mutex
	log     atomic.Pointer[openLog] // nil until the first use; never replaced
	loaded  atomic.Bool             // producers and epochs are what the log says; set once, under opening

	// compacting is held while the log is compacted, and by who ends the partition. It guards cleaning. Taken before maintenance.
	compacting sync.Mutex
	cleaning   cleaning

	// maintenance is held by who trims, rolls by age or writes a checkpoint: one at a time. Taken before opening and mu.
	maintenance sync.Mutex

	// delivering is held while delayed records are released or moved. It guards delivery. Taken after maintenance and opening, before mu.
	delivering sync.Mutex
	delivery   delivery

	// role is read anywhere and stored only under mu, so that no append of an older role is under way when SetRole returns (PAR-1).
	role atomic.Pointer[Role]

	// mu is the append lock. It guards end, producers and delays and orders the appends. Held for memory work and for storage.Log.Append.
	// The engine tells of durability without it, so an append that waits for the engine to make room cannot stop that room being made.
	mu        sync.Mutex
	end       kafka.Offset // the offset of the next record
	producers *producers
	delays    *delays
	rollAt    time.Time // when the active segment may be due for a roll by age; zero: not known

	unsaved atomic.Int64 // bytes appended since the last checkpoint

	epochs      atomic.Pointer[epochs] // stored under mu
	savedEpochs kafka.LeaderEpoch      // the latest epoch in the sidecar; guarded by maintenance
	savedUpto   kafka.Offset           // offset of the snapshot in the sidecar, NoOffset: none; guarded by maintenance
	savedDelays savedDelays            // guarded by maintenance
	stale       bool                   // the snapshot tells aborted transactions that compaction has removed; guarded by maintenance

	waiting   waiting
	watchers  watchers
	watermark atomic.Int64 // high watermark: stored under waiting.Mutex, never falls (PAR-4)
	stable    atomic.Int64 // last stable offset, NoOffset: not known yet; stored under waiting.Mutex after watermark, never falls (PAR-4)
	committed atomic.Int64 // bytes that became readable since the log was opened; stored under waiting.Mutex
	settled   atomic.Int64 // the same for who reads committed; may count bytes twice
	start     atomic.Int64 // log start, as of the last trim from here

	aborted atomic.Pointer[abortedTxns] // stored under mu before stable rises past what it tells; nil: none
}

// Role is what this replica is to its partition.
type Role struct {
	IsLeader bool
	Epoch    kafka.LeaderEpoch
	ISR      int // how many replicas are in sync, this one included
	Replicas int // how many there are
	// Gone says why the partition is no longer here at all: deleted or closed. Nothing comes after it.
	Gone error
}

// NeededInSync is how many replicas must be in sync for acks=all when min.insync.replicas is least. It is never more than there are, as
// with Kafka: a topic of one replica takes writes whatever the cluster's default says.
func (r Role) NeededInSync(least int) int { return min(least, r.Replicas) }

// openLog is the log of a partition that has been used.
type openLog struct {
	storage.Log
	failed atomic.Pointer[error] // why it is offline
}

// Host is what all partitions of a node share.
type Host struct {
	Engine storage.Engine
	Logger *slog.Logger
	Now    func() time.Time
	// OnDue is told when Deliver should be called for a partition, or called again earlier than it was told before; nil: nobody delivers. It is called
	// under the partition's locks, so it only takes a note.
	OnDue func(p *Partition, at time.Time)
}

// New returns a partition that has not been used yet. It leads nothing until SetRole.
func New(id storage.ID, host *Host, s *Settings, stats *Stats) *Partition {
	p := &Partition{id: id, host: host, stats: stats}
	p.settings.Store(s)
	p.role.Store(&idle)
	p.stable.Store(int64(kafka.NoOffset))
	p.waiting.stability.open = noneOpen
	return p
}

// idle is the role of a partition that nobody has given one.
var idle = Role{Epoch: kafka.NoEpoch}

// ID names the partition and the incarnation of its topic.
func (p *Partition) ID() storage.ID { return p.id }

// Stats are the counters that the partition shares with its topic.
func (p *Partition) Stats() *Stats { return p.stats }

// Role is the role of this moment.
func (p *Partition) Role() Role { return *p.role.Load() }

// HighWatermark is the offset below which everything is committed. 0 while the log has not been used.
func (p *Partition) HighWatermark() kafka.Offset { return kafka.Offset(p.watermark.Load()) }

// SetRole changes the role. Who waits for an append of the old role is told that this replica does not lead, unless it still leads
// in the same epoch. Calls do not overlap.
func (p *Partition) SetRole(r Role) {
	p.mu.Lock()
	was := p.role.Load()
	if was.Gone != nil {
		p.mu.Unlock()
		return
	}
	p.role.Store(&r)
	p.mu.Unlock()
	switch {
	case r.Gone != nil:
		p.failWaiters(r.Gone)
	case was.IsLeader && (!r.IsLeader || r.Epoch != was.Epoch):
		p.failWaiters(errNotLeader)
	}
}

var (
	errNotLeader = kafka.Errorf(kafka.NotLeaderOrFollower, "this broker does not lead the partition: refresh the metadata")
	errDeleted   = kafka.Errorf(kafka.UnknownTopicOrPartition, "the topic was deleted")
	errClosing   = kafka.Errorf(kafka.NotLeaderOrFollower, "the broker is shutting down: refresh the metadata")
)

// leader returns the role if this replica leads and epoch, unless it is NoEpoch, is the one it leads in.
func (p *Partition) leader(epoch kafka.LeaderEpoch) (*Role, error) {
	r := p.role.Load()
	switch {
	case r.Gone != nil:
		return nil, r.Gone
	case epoch != kafka.NoEpoch && epoch < r.Epoch:
		return nil, kafka.Errorf(kafka.FencedLeaderEpoch, "leader epoch %d is over, the partition is in epoch %d: refresh the metadata", epoch, r.Epoch)
	case epoch != kafka.NoEpoch && epoch > r.Epoch:
		return nil, kafka.Errorf(kafka.UnknownLeaderEpoch, "leader epoch %d is not known here yet, the partition is in epoch %d: try again", epoch, r.Epoch)
	case !r.IsLeader:
		return nil, errNotLeader
	}
	return r, nil
}

// Configure puts new settings in force.
func (p *Partition) Configure(s *Settings) {
	p.opening.Lock()
	defer p.opening.Unlock()
	p.settings.Store(s)
	if l := p.log.Load(); l != nil {
		l.Configure(p.logConfig(l, s))
	}
	p.mu.Lock()
	p.rollAt = time.Time{}
	p.mu.Unlock()
}

// Settings are the ones in force.
func (p *Partition) Settings() *Settings { return p.settings.Load() }

// Delete ends the partition for good and removes its log. Who waits is told that the topic was deleted.
func (p *Partition) Delete() error {
	p.leave(errDeleted)
	p.compacting.Lock()
	defer p.compacting.Unlock()
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	p.opening.Lock()
	defer p.opening.Unlock()
	if err := p.host.Engine.Remove(p.id); err != nil {
		return fmt.Errorf("remove the log of %s: %w", p.id, err)
	}
	return nil
}

// Close saves what a restart would otherwise have to read from the log, and closes it.
func (p *Partition) Close(ctx context.Context) error {
	p.leave(errClosing)
	p.compacting.Lock()
	defer p.compacting.Unlock()
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	p.opening.Lock()
	defer p.opening.Unlock()
	l := p.log.Load()
	if l == nil {
		return nil
	}
	err := p.checkpointLocked(ctx, closeCheckpointBytes)
	return errors.Join(err, l.Close())
}

// Failed is why the log is offline, or nil.
func (p *Partition) Failed() error {
	if l := p.log.Load(); l != nil {
		if err := l.failed.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// leave is the end of the role: no append begins after it, and nobody waits.
func (p *Partition) leave(why error) { p.SetRole(Role{Epoch: p.role.Load().Epoch, Gone: why}) }

// InUse reports whether the log was opened.
func (p *Partition) InUse() bool { return p.log.Load() != nil }
