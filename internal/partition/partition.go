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
	loaded  atomic.Bool             // producers and epochs are what the log says; set under opening, unset under opening and mu

	// compacting is held while the log is compacted, and by who ends the partition or cuts its log. It guards cleaning. Taken before maintenance.
	compacting sync.Mutex
	cuts       atomic.Int32 // somebody waits for compacting to cut the log
	cleaning   cleaning

	// maintenance is held by who trims, rolls by age or writes a checkpoint: one at a time. Taken before opening and mu.
	maintenance sync.Mutex

	// delivering is held while delayed records are released or moved. It guards delivery. Taken after maintenance and opening, before mu.
	delivering sync.Mutex
	delivery   delivery

	// role is read anywhere and stored only under mu, so that no append of an older role is under way when SetRole returns (PAR-1).
	role    atomic.Pointer[Role]
	deposed atomic.Int64 // when it ceased to lead, in nanoseconds of Unix time; 0: never

	// mu is the append lock. It guards end, producers and delays and orders the appends. Held for memory work and for storage.Log.Append.
	// The engine tells of durability without it, so an append that waits for the engine to make room cannot stop that room being made.
	mu        sync.Mutex
	opened    bool         // end is known
	end       kafka.Offset // the offset of the next record
	producers *producers
	delays    *delays
	rollAt    time.Time // when the active segment may be due for a roll by age; zero: not known

	unsaved atomic.Int64 // bytes appended since the last checkpoint
	keeps   atomic.Bool  // kept is not nil

	epochs      atomic.Pointer[epochs] // stored under mu
	savedEpochs kafka.LeaderEpoch      // the latest epoch in the sidecar; guarded by maintenance
	savedUpto   kafka.Offset           // offset of the snapshot in the sidecar, NoOffset: none; guarded by maintenance
	savedDelays savedDelays            // guarded by maintenance
	kept        *snapshot              // taken and not committed yet, so not in the sidecar; guarded by maintenance
	stale       bool                   // the snapshot tells aborted transactions that compaction has removed; guarded by maintenance

	waiting   waiting
	watchers  watchers
	watermark atomic.Int64 // high watermark: stored under waiting.Mutex, never falls (PAR-4) but where a follower is cut below it (PAR-2)
	stable    atomic.Int64 // last stable offset, NoOffset: not known yet; stored under waiting.Mutex after watermark, never falls either
	appended  atomic.Int64 // bytes appended while there are followers; stored under waiting.Mutex
	committed atomic.Int64 // bytes that became readable since the log was opened; stored under waiting.Mutex
	settled   atomic.Int64 // the same for who reads committed; may count bytes twice
	start     atomic.Int64 // log start, as of the last trim from here

	startsLate atomic.Bool // start is beyond the end of the log, where a follower was told to go on: the log is yet to be trimmed to it

	aborted atomic.Pointer[abortedTxns] // stored under mu before stable rises past what it tells; nil: none
}

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
	// OnISR is told that ProposeISR is worth calling: a follower has caught up. nil: nobody proposes. Like OnDue it only takes a note.
	OnISR func(p *Partition)
	// MaxSilence is after what time a follower in sync that lacks something is proposed to leave when its broker asks for nothing any more; 0: never for
	// that alone. Heard is when a broker asked last, for whatever partition; it is called under the partition's locks and must be quick; nil: what
	// was asked of the partition itself counts.
	MaxSilence time.Duration
	Heard      func(kafka.BrokerID) time.Time
	// OnRot is told that damage was met in the files of a partition, at an offset; nil: nobody mends. Like OnDue it only takes a note.
	OnRot func(p *Partition, at kafka.Offset, err error)
	// OnFailed is told that a log has failed and is used no more. Like OnDue it only takes a note.
	OnFailed func(p *Partition)
	// Lease reports whether this broker still counts as alive with the controller; nil: always. While it is false another may lead already: no
	// append is taken, and nothing becomes committed by what this broker alone says. It is called under locks and must be quick.
	Lease func() bool
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

// ID names the partition and the incarnation of its topic.
func (p *Partition) ID() storage.ID { return p.id }

// Stats are the counters that the partition shares with its topic.
func (p *Partition) Stats() *Stats { return p.stats }

// HighWatermark is the offset below which everything is committed. 0 while the log has not been used.
func (p *Partition) HighWatermark() kafka.Offset { return kafka.Offset(p.watermark.Load()) }

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
	if errors.Is(err, errUncommitted) {
		err = nil // a restart reads what it would have saved
	}
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

// InUse reports whether the log was opened.
func (p *Partition) InUse() bool { return p.log.Load() != nil }
