package queue

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/replica"
)

// Manager is the share partitions of this node: for each partition that it leads and each share group that reads it, who holds which record.
// Its methods may be called from any goroutine.
type Manager struct {
	opts     Options
	stats    Stats
	sessions sessions
	room     room
	unpacked chan struct{} // turns at decompressing for a look at keys; each may have maxUnpacked bytes

	mu         sync.Mutex // guards partitions and closed, for memory work only; nothing is locked while it is held but loading.mu
	partitions map[partitionKey]*sharePartition
	closed     bool

	writes  pending // share partitions that are to be loaded, or whose changes are to be written
	letters pending // share partitions that have dead letters
	effects effects // what the groups' coordinator asks for
	timers  timers
	answers answers // what answers hold of the room
	waiting gauge   // fetches that wait

	ctx     context.Context // of the goroutines and of what they ask; stop ends it
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Settings finds the values in force; broker.Settings is one.
type Settings interface {
	// Group is what the settings of a group mean as of an image.
	Group(img *metadata.Image, group string) config.GroupConfig
	// Value is one setting of a resource in force.
	Value(img *metadata.Image, r metadata.Resource, name string) string
}

// Options of a Manager. Everything without a default in brackets is required.
type Options struct {
	NodeID kafka.BrokerID
	// Replicas are the partitions of this node.
	Replicas *replica.Manager
	// Image is the metadata of this moment.
	Image    func() *metadata.Image
	Settings Settings
	// States is the share coordinator, wherever that is.
	States Persister
	// LocalStates is the share coordinator of this node alone. What other brokers ask of it is not passed on: they may have an older image, and two
	// that each take the other for the coordinator would ask each other for ever. [States]
	LocalStates Persister
	// Peers asks other brokers: for the log ends of partitions that they lead, and to append dead letters. [nobody: there is one node]
	Peers Peers
	// Groups is the groups' coordinator.
	Groups Groups
	// CreateTopic creates a topic with the default number of partitions and replicas, and returns when this node knows it. nil: it cannot be done.
	CreateTopic func(ctx context.Context, name string, settings map[string]string) error
	// FetchMaxBytes is fetch.max.bytes: no answer is larger. [57671680]
	FetchMaxBytes int
	// AnswerBytes is the memory for records in answers that are not written to the client yet. [128 MiB]
	AnswerBytes int64
	// WriteTimeout is share.coordinator.write.timeout.ms. [5 seconds]
	WriteTimeout time.Duration
	// Logger is told of what goes wrong beyond a request. [slog.Default()]
	Logger *slog.Logger
	// Now is the clock. [time.Now]
	Now func() time.Time
}

// How many goroutines work on what waits for others: the share coordinator, which is quick, and dead letters.
const (
	writers       = 16
	letterWriters = 2
)

// New returns a Manager without share partitions: they come with their first use. Start begins its work in the background.
func New(o Options) *Manager {
	if o.FetchMaxBytes <= 0 {
		o.FetchMaxBytes = 55 << 20
	}
	if o.LocalStates == nil {
		o.LocalStates = o.States
	}
	if o.AnswerBytes <= 0 {
		o.AnswerBytes = 128 << 20
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Manager{opts: o, partitions: map[partitionKey]*sharePartition{}, unpacked: make(chan struct{}, maxUnpacking)}
	m.sessions.init()
	m.room.limit = o.AnswerBytes
	m.answers.init(&m.room)
	m.writes.init()
	m.letters.init()
	m.effects.init()
	m.timers.init()
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// Start begins the work in the background.
func (m *Manager) Start() {
	for range writers {
		m.running.Go(m.writeChanges)
	}
	for range letterWriters {
		m.running.Go(m.writeLetters)
	}
	m.running.Go(m.tellStates)
	m.running.Go(m.watchTimes)
}

// Close ends the work in the background. Who waits is answered; what was not written yet is not written: records that were given out are
// delivered again after a restart, as after a crash.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	all := make([]*sharePartition, 0, len(m.partitions))
	for _, sp := range m.partitions {
		all = append(all, sp)
	}
	clear(m.partitions)
	m.mu.Unlock()
	m.stop()
	m.writes.close()
	m.letters.close()
	m.effects.close()
	m.running.Wait()
	for _, sp := range all {
		sp.fence(errClosing)
	}
}

var errClosing = kafka.Errorf(kafka.NotLeaderOrFollower, "the broker is shutting down: refresh the metadata")

// Stats are the counters, shared: only to be read.
func (m *Manager) Stats() *Stats { return &m.stats }

// Gauges counts what there is. It costs a look at every share partition.
func (m *Manager) Gauges() Gauges {
	g := Gauges{Sessions: m.sessions.count(), Waiting: m.waiting.value()}
	for _, sp := range m.all() {
		g.SharePartitions++
		g.InFlight += sp.held()
	}
	return g
}

// all is a copy of the share partitions.
func (m *Manager) all() []*sharePartition {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*sharePartition, 0, len(m.partitions))
	for _, sp := range m.partitions {
		all = append(all, sp)
	}
	return all
}

// nodeSetting is a setting of this broker.
func (m *Manager) nodeSetting(img *metadata.Image, name string) string {
	return m.opts.Settings.Value(img, metadata.Resource{Type: metadata.ResourceBroker, Name: strconv.Itoa(int(m.opts.NodeID))}, name)
}

// sessionLimit is group.share.max.share.sessions.
func (m *Manager) sessionLimit(img *metadata.Image) int {
	n, err := strconv.Atoi(m.nodeSetting(img, "group.share.max.share.sessions"))
	if err != nil {
		return defaultSessions // values are checked when they are set
	}
	return n
}

// defaultSessions is the default of group.share.max.share.sessions.
const defaultSessions = 2000
