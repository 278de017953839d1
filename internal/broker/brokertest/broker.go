package brokertest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
)

// Broker is the fake. Make it with New; set the fields before its first use.
type Broker struct {
	// AutoCreate says whether EnsureTopics creates. New sets it.
	AutoCreate bool
	// Partitions is how many a topic gets that does not ask. New sets 1.
	Partitions int32
	// MaxBatchBytes refuses larger batches (max.message.bytes). New sets 1048588.
	MaxBatchBytes int

	mu      sync.Mutex // guards what follows; nothing waits while holding it
	img     *metadata.Image
	logs    map[kafka.TopicPartition]*log
	changed chan struct{} // closed and replaced when records arrive, topics change or acks are let go
	held    bool
	fail    func(verb string, tp kafka.TopicPartition) error
	fetches int

	latest  atomic.Pointer[metadata.Image] // img, for who must not wait for mu
	runtime *broker.GroupRuntime           // nil unless StartGroups was called
	groups  *broker.Broker                 // has the verbs of groups, and nothing else
}

type log struct {
	start, next kafka.Offset
	batches     []batch
	size        int64
}

type batch struct {
	header record.Header
	bytes  record.Batches
}

// New returns a broker with node id 1 and no topics, which creates topics on first use.
func New() *Broker {
	b := &Broker{AutoCreate: true, Partitions: 1, MaxBatchBytes: 1048588, img: metadata.Empty(), logs: map[kafka.TopicPartition]*log{}, changed: make(chan struct{})}
	b.fold(
		&metadata.ClusterRecord{ID: "brokertest-cluster-0001"},
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 1, Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "localhost", Port: 9092}}}},
		&metadata.ControllerRecord{Controller: 1, Term: 1},
	)
	b.groups = broker.New(broker.Options{Image: b.latest.Load})
	return b
}

// HoldAcks makes what is produced from now on wait until LetGo: it is stored and readable meanwhile.
func (b *Broker) HoldAcks() { b.set(func() { b.held = true }) }

// LetGo lets everything held be acknowledged.
func (b *Broker) LetGo() { b.set(func() { b.held = false }) }

// FailWith asks f before each verb of a partition ("produce", "fetch", "list") and before "create"; an error is the answer. Nil: no failures.
func (b *Broker) FailWith(f func(verb string, tp kafka.TopicPartition) error) {
	b.set(func() { b.fail = f })
}

// Fetches is how often Fetch was asked.
func (b *Broker) Fetches() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fetches
}

// Image is the metadata of this moment.
func (b *Broker) Image() *metadata.Image {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.img
}

// set changes something under the lock and wakes who waits.
func (b *Broker) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	b.wakeLocked()
}

func (b *Broker) wakeLocked() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// fold applies metadata records; b.mu is held, or b is new.
func (b *Broker) fold(records ...metadata.Record) {
	img, delta, err := metadata.Fold(b.img, records)
	if err != nil {
		panic(err) // the fake made them
	}
	b.img = img
	b.latest.Store(img)
	if b.runtime != nil {
		b.runtime.Apply(img, delta)
	}
}

func (b *Broker) failure(verb string, tp kafka.TopicPartition) error {
	if b.fail == nil {
		return nil
	}
	return b.fail(verb, tp)
}

// await waits for done, asking again after each change.
type await[R any] struct {
	b       *Broker
	timeout time.Duration
	done    func() (R, bool) // called with b.mu held
	late    func() R         // the answer when time is up, likewise
}

func (a await[R]) Wait(ctx context.Context) R {
	timer := time.NewTimer(a.timeout)
	defer timer.Stop()
	for {
		a.b.mu.Lock()
		r, ok := a.done()
		changed := a.b.changed
		a.b.mu.Unlock()
		if ok {
			return r
		}
		select {
		case <-changed:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		a.b.mu.Lock()
		defer a.b.mu.Unlock()
		return a.late()
	}
}

var _ interface {
	broker.PublishVerbs
	broker.TailVerbs
} = (*Broker)(nil)
