package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/storage"
)

// Manager is the partitions of this node.
type Manager struct {
	opts  Options
	host  partition.Host
	table atomic.Pointer[table]

	// stored are the logs that were on disk at the start. Written by New, read by retention: a partition that is neither there nor in
	// use has nothing to age.
	stored map[storage.ID]struct{}
	first  bool // no image was applied yet; used by Apply's goroutine only

	delays    *schedule
	fetchers  *fetchers
	loads     loadMeter
	leading   *Throttle
	proposals *proposals
	heard     heard
	mender    *mender
	digesting chan struct{}          // held by who makes a digest: one at a time
	failing   chan struct{}          // of one: some log has failed
	roles     []*partition.Partition // whose role was set by the Apply that runs; used by its goroutine only

	cleanerBackoff atomic.Int64 // a time.Duration, as of the last image; Apply writes it, the cleaner reads it

	mu   sync.Mutex      // guards gone; a leaf
	gone partition.Stats // what removed topics had counted, so that the node's counters never fall

	background context.Context // of the goroutines; stop ends it
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// Options of a Manager. Everything without a default in brackets is required.
type Options struct {
	NodeID kafka.BrokerID
	Engine storage.Engine
	// Settings is what the configuration of a topic, as of an image, means to its partitions.
	Settings func(img *metadata.Image, topic string) *partition.Settings
	// RetentionInterval is log.retention.check.interval.ms: in this time every partition is looked at once. [5 minutes]
	RetentionInterval time.Duration
	// CheckpointInterval is how often partitions are asked whether much was appended since their last snapshot of producers. [1 second]
	CheckpointInterval time.Duration
	// CleanerBackoff is log.cleaner.backoff.ms as of an image: how long the cleaner waits when nothing is left to compact. [15 seconds]
	CleanerBackoff func(img *metadata.Image) time.Duration
	// NoCleaner turns compaction off (log.cleaner.enable).
	NoCleaner bool

	// Peers reaches the brokers that lead what is followed here. [nil: nothing is fetched, as on a cluster of one]
	Peers Peers
	// FetchMaxWait is replica.fetch.wait.max.ms: how long a leader that has nothing new keeps a fetch. [500 ms]
	FetchMaxWait time.Duration
	// FetchMaxBytes is replica.fetch.response.max.bytes: about how much one answer has at most. [10 MiB]
	FetchMaxBytes int
	// FetchPartitionBytes is replica.fetch.max.bytes: the same for one partition of it; one batch is given however large. [1 MiB]
	FetchPartitionBytes int
	// BrokerEpoch is the epoch of this broker's registration, which fetches carry (REP-4). [-1, not known]
	BrokerEpoch func() int64

	// ThrottledRates are leader. and follower.replication.throttled.rate of this node as of an image, in bytes a second. [no limits]
	ThrottledRates func(img *metadata.Image) (leader, follower int64)

	// AlterPartition asks the controller for new sets of replicas in sync and answers each proposal in its place. [nil: nothing is asked for]
	AlterPartition func(ctx context.Context, q []partition.ISRProposal) []error
	// Failed tells the controller of partitions whose logs have failed here. [nil: it is not told]
	Failed func(ctx context.Context, list []storage.ID) error
	// Full tells the controller of partitions in a directory that has been full for a while, so that others lead them and go on without this broker.
	// [nil: it is not told, and followed partitions are tried again and again]
	Full func(ctx context.Context, list []storage.ID) error
	// Useless is told once when every data directory has failed. [nil: nobody is]
	Useless func(err error)
	// MaxLag is replica.lag.time.max.ms: a follower that has not caught up for so long is no longer in sync. [10 seconds]
	MaxLag time.Duration
	// MaxSilence is rafka.replica.silent.max.ms: a follower that lacks something and whose broker has sent no fetch at all for so long is no longer in
	// sync. [0: it has MaxLag like any other]
	MaxSilence time.Duration
	// Lease reports whether the controller still counts on this broker; see partition.Host. [always]
	Lease func() bool

	// Call asks another broker by a method of the peer port, for copies of what is damaged here and for digests. [nil: there are no others]
	Call func(ctx context.Context, to kafka.BrokerID, method string, body []byte) ([]byte, error)
	// ScrubRate is rafka.scrub.bytes.per.second: how much the scrub reads in a second. [0: there is no scrub]
	ScrubRate int64
	// ScrubInterval is rafka.scrub.interval.ms: how long after a pass over all logs began the next one does. [7 days]
	ScrubInterval time.Duration

	// Logger is told of logs that fail. [slog.Default()]
	Logger *slog.Logger
	// Now is the clock. [time.Now]
	Now func() time.Time
}

// New returns a Manager without partitions; Apply brings them, Start begins the work in the background.
func New(o Options) (*Manager, error) {
	if o.RetentionInterval <= 0 {
		o.RetentionInterval = 5 * time.Minute
	}
	if o.CheckpointInterval <= 0 {
		o.CheckpointInterval = time.Second
	}
	o.setFetchDefaults()
	if o.ScrubInterval <= 0 {
		o.ScrubInterval = 7 * 24 * time.Hour
	}
	if o.CleanerBackoff == nil {
		o.CleanerBackoff = func(*metadata.Image) time.Duration { return 15 * time.Second }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	logs, err := o.Engine.List()
	if err != nil {
		return nil, fmt.Errorf("list the logs on disk: %w", err)
	}
	m := &Manager{
		opts:   o,
		host:   partition.Host{Engine: o.Engine, Logger: o.Logger, Now: o.Now, Lease: o.Lease, MaxSilence: o.MaxSilence},
		delays: newSchedule(),
		stored: make(map[storage.ID]struct{}, len(logs)),
		first:  true,
		mender: newMender(), digesting: make(chan struct{}, 1),
	}
	m.host.OnDue, m.host.OnRot = m.delays.due, m.noteRot
	m.failing = make(chan struct{}, 1)
	m.host.OnFailed = func(*partition.Partition) { m.noteFailed() }
	m.background, m.stop = context.WithCancel(context.Background())
	m.leading = newThrottle()
	m.fetchers = newFetchers(&m.opts, m.background, &m.running)
	if o.AlterPartition != nil {
		m.proposals = newProposals()
		m.host.OnISR = m.proposals.note
		m.host.Heard = m.heard.of
	}
	for _, id := range logs {
		m.stored[id] = struct{}{}
	}
	m.table.Store(&table{})
	return m, nil
}

// Start begins the work in the background.
func (m *Manager) Start() {
	m.running.Go(func() { m.retain(m.background) })
	m.running.Go(func() { m.checkpoint(m.background) })
	m.running.Go(func() { m.deliver(m.background) })
	if !m.opts.NoCleaner {
		m.running.Go(func() { m.clean(m.background) })
	}
	m.running.Go(func() { m.mend(m.background) })
	m.running.Go(func() { m.tellFailed(m.background) })
	if m.opts.Full != nil {
		m.running.Go(func() { m.watchRoom(m.background) })
	}
	if m.opts.ScrubRate > 0 {
		m.running.Go(func() { m.scrub(m.background) })
	}
	m.fetchers.start()
	if m.proposals != nil {
		m.running.Go(func() { m.propose(m.background) })
	}
}

func (o *Options) setFetchDefaults() {
	if o.FetchMaxWait <= 0 {
		o.FetchMaxWait = 500 * time.Millisecond
	}
	if o.FetchMaxBytes <= 0 {
		o.FetchMaxBytes = 10 << 20
	}
	if o.FetchPartitionBytes <= 0 {
		o.FetchPartitionBytes = 1 << 20
	}
	if o.BrokerEpoch == nil {
		o.BrokerEpoch = func() int64 { return -1 }
	}
	if o.MaxLag <= 0 {
		o.MaxLag = 10 * time.Second
	}
	if o.MaxSilence > 0 {
		o.MaxSilence = max(o.MaxSilence, 2*o.FetchMaxWait) // a fetch that is kept here is no silence
	}
}

// Close ends the work in the background, then closes every partition: who waits is told that the broker is shutting down, and what a
// restart would have to read is saved. The engine stays open. No Apply may run or follow.
func (m *Manager) Close(ctx context.Context) error {
	m.stop()
	m.running.Wait()
	var errs []error
	for t := range m.table.Load().all() {
		for p := range t.Partitions() {
			if err := p.Close(ctx); err != nil {
				errs = append(errs, fmt.Errorf("close %s: %w", p.ID(), err))
			}
		}
	}
	return errors.Join(errs...)
}

// ByName finds a topic of which a replica is here. UnknownTopicOrPartition if there is none.
func (m *Manager) ByName(topic string) (*Topic, error) {
	if t := m.table.Load().name(topic); t != nil {
		return t, nil
	}
	return nil, kafka.UnknownTopicOrPartition
}

// ByID finds a topic by its id. UnknownTopicID if there is none.
func (m *Manager) ByID(id kafka.UUID) (*Topic, error) {
	if t := m.table.Load().id(id); t != nil {
		return t, nil
	}
	return nil, kafka.UnknownTopicID
}

// Topics lists all topics, in no particular order.
func (m *Manager) Topics() []*Topic {
	var all []*Topic
	for t := range m.table.Load().all() {
		all = append(all, t)
	}
	return all
}
