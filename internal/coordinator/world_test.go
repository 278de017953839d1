package coordinator

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/timeline"
)

// counters is the simplest shard: it adds numbers to named counters. What was added in a transaction counts when that commits.
type counters struct {
	sums    *timeline.Map[string, int]
	pending *timeline.Map[Producer, int]
	changes *timeline.Value[int]
}

// addition is its record.
type addition struct {
	name string
	n    int
}

func (a addition) AppendKey(dst []byte) []byte { return append(dst, a.name...) }
func (a addition) AppendValue(dst []byte) ([]byte, bool) {
	return binary.BigEndian.AppendUint64(dst, uint64(a.n)), true
}

func newCounters(reg *timeline.Registry, _ int32) *counters {
	return &counters{timeline.NewMap[string, int](reg), timeline.NewMap[Producer, int](reg), timeline.NewValue(reg, 0)}
}

func (c *counters) Decode(key, value []byte) (Record, error) {
	if len(value) != 8 {
		return nil, fmt.Errorf("a value of %d bytes", len(value))
	}
	return addition{string(key), int(binary.BigEndian.Uint64(value))}, nil
}

func (c *counters) Replay(r Record, p Producer) {
	a := r.(addition)
	if p != noProducer {
		sum, _ := c.pending.Get(p)
		c.pending.Set(p, sum+a.n)
		return
	}
	sum, _ := c.sums.Get(a.name)
	c.sums.Set(a.name, sum+a.n)
}

func (c *counters) EndTxn(p Producer, commit bool) {
	n, _ := c.pending.Get(p)
	c.pending.Delete(p)
	if commit {
		sum, _ := c.sums.Get("txn")
		c.sums.Set("txn", sum+n)
	}
}

func (c *counters) Staged(id kafka.ProducerID) (epoch kafka.ProducerEpoch, open bool) {
	for p := range c.pending.All() {
		if p.ID == id {
			return p.Epoch, true
		}
	}
	return -1, false
}

func (c *counters) Loaded(*Op) {}

func (c *counters) Changed(*Op, *metadata.Delta) { c.changes.Set(c.changes.Get() + 1) }

func (c *counters) add(op *Op, name string, n int) int {
	op.Emit(addition{name, n})
	sum, _ := c.sums.Get(name)
	return sum
}

// memLog is partitions in memory. Nothing is committed while held.
type memLog struct {
	mu         sync.Mutex
	partitions map[int32]*memPartition
	held       bool
	fail       error         // the next append fails with it
	broken     error         // every load fails with it
	deposed    error         // why it may not say that it leads
	gate       chan struct{} // not nil: a load waits until it is closed
	loads      int
}

type memPartition struct {
	batches []record.Batches
	end, hw kafka.Offset
	epoch   kafka.LeaderEpoch
	watch   map[int]func(kafka.Offset)
	watches int
}

func (l *memLog) at(i int32) *memPartition {
	p := l.partitions[i]
	if p == nil {
		p = &memPartition{watch: map[int]func(kafka.Offset){}}
		l.partitions[i] = p
	}
	return p
}

func (l *memLog) Append(i int32, epoch kafka.LeaderEpoch, batch []byte, _ time.Time) (kafka.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.at(i)
	if err := l.fail; err != nil {
		l.fail = nil
		return 0, err
	}
	if epoch < p.epoch {
		return 0, kafka.Errorf(kafka.FencedLeaderEpoch, "epoch %d is over", epoch)
	}
	b := record.Batches(append([]byte(nil), batch...))
	record.Stamp(b, p.end, epoch)
	h, _ := record.ParseHeader(b)
	p.batches = append(p.batches, b)
	p.end += kafka.Offset(h.LastOffsetDelta) + 1
	if !l.held {
		go l.commit(i)
	}
	return p.end, nil
}

func (l *memLog) failNext(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *memLog) breakLoads(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

func (l *memLog) countLoads() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loads
}

// watchers is how many watch a partition's high watermark.
func (l *memLog) watchers(i int32) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.at(i).watch)
}

// lose says that a partition cannot be used any more.
func (l *memLog) lose(i int32) {
	l.mu.Lock()
	var tell []func(kafka.Offset)
	for _, fn := range l.at(i).watch {
		tell = append(tell, fn)
	}
	l.mu.Unlock()
	for _, fn := range tell {
		fn(kafka.NoOffset)
	}
}

// commit lets the high watermark of a partition go to its end.
func (l *memLog) commit(i int32) {
	l.mu.Lock()
	p := l.at(i)
	p.hw = p.end
	hw := p.hw
	var tell []func(kafka.Offset)
	for _, fn := range p.watch {
		tell = append(tell, fn)
	}
	l.mu.Unlock()
	for _, fn := range tell {
		fn(hw)
	}
}

func (l *memLog) hold(yes bool) {
	l.mu.Lock()
	l.held = yes
	l.mu.Unlock()
	if !yes {
		for i := range l.partitions {
			l.commit(i)
		}
	}
}

func (l *memLog) Leads(int32, kafka.LeaderEpoch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deposed
}

func (l *memLog) OnHighWatermark(i int32, fn func(kafka.Offset)) (func(), error) {
	l.mu.Lock()
	p := l.at(i)
	p.watches++
	n := p.watches
	p.watch[n] = fn
	hw := p.hw
	l.mu.Unlock()
	fn(hw)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(p.watch, n)
	}, nil
}

func (l *memLog) Load(i int32, epoch kafka.LeaderEpoch, fn func([]byte) error) (kafka.Offset, error) {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loads++
	if l.broken != nil {
		return 0, l.broken
	}
	p := l.at(i)
	p.epoch = max(p.epoch, epoch)
	for _, b := range p.batches {
		if err := fn(b); err != nil {
			return 0, err
		}
	}
	if !l.held {
		p.hw = p.end
	}
	return p.end, nil
}

// world is a runtime over a memLog, and the metadata that it follows.
type world struct {
	t     testing.TB
	log   *memLog
	rt    *Runtime[*counters]
	img   atomic.Pointer[metadata.Image]
	mu    sync.Mutex
	done  []any // effects
	topic kafka.UUID
}

func newWorld(t testing.TB, partitions int) *world {
	w := &world{t: t, log: &memLog{partitions: map[int32]*memPartition{}}, topic: kafka.UUID{1}}
	w.img.Store(metadata.Empty())
	w.rt = New(Options[*counters]{
		Topic: "__counters", NodeID: 1, Log: w.log, NewShard: newCounters, Image: w.img.Load,
		OnEffect: func(_ int32, e any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.done = append(w.done, e)
		},
	})
	if partitions > 0 {
		run := metadata.PartitionRun{Count: int32(partitions), Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}
		w.apply(&metadata.TopicRecord{ID: w.topic, Name: "__counters", Internal: true, Partitions: []metadata.PartitionRun{run}})
	}
	return w
}

func (w *world) apply(records ...metadata.Record) {
	w.t.Helper()
	img, d, err := metadata.Fold(w.img.Load(), records)
	if err != nil {
		w.t.Fatal(err)
	}
	w.img.Store(img)
	w.rt.Apply(img, d)
}

// lead gives a partition another leader, in the next epoch.
func (w *world) lead(partition int32, leader kafka.BrokerID) {
	w.t.Helper()
	s := w.img.Load().Topics.ByName("__counters").Partitions[partition]
	s.Leader = leader
	s.LeaderEpoch++
	w.apply(&metadata.PartitionChangeRecord{TopicID: w.topic, Partition: partition, State: s})
}

func (w *world) effects() []any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]any(nil), w.done...)
}
