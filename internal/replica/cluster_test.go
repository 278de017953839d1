package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
	"github.com/rafka-io/rafka/internal/storage/memlog"
)

// cluster is several managers in one process that fetch from each other, with a controller that does as it is told.
type cluster struct {
	testing.TB
	maxLag time.Duration

	mu      sync.Mutex // guards what follows
	img     *metadata.Image
	history [][]metadata.Record
	nodes   map[kafka.BrokerID]*node
	// fault is asked what happens to a request; nil: nothing.
	fault func(from, to kafka.BrokerID, q *kmsg.FetchRequest) fault
	// alterFault is returned instead of the controller's answer; done: though it has done what it was asked.
	alterFault func() (err error, done bool)
	calls      int // of AlterPartition
	steps      int // of Options.Full
}

// fault is what happens to one request.
type fault struct {
	lost       bool // it never arrives
	unanswered bool // it is served and the answer is lost
	twice      bool // it is served twice
	forget     bool // the sessions are forgotten before
	delay      time.Duration
}

// node is one broker.
type node struct {
	c      *cluster
	id     kafka.BrokerID
	engine *faultyEngine
	logged lockedBuffer

	mu       sync.Mutex // guards what follows
	epoch    int64      // of the broker
	applied  int        // batches of c.history
	img      *metadata.Image
	m        *Manager // nil: down
	sessions map[int32]*serverSession
	fetches  int // served here
	fulls    int // of these, those that opened a session
	dials    int // by this node
	conns    map[*testConn]struct{}
	applying sync.Mutex // one catchUp at a time
}

func newCluster(t testing.TB, nodes int, maxLag time.Duration) *cluster {
	c := &cluster{TB: t, img: metadata.Empty(), nodes: map[kafka.BrokerID]*node{}, maxLag: maxLag}
	for i := range nodes {
		id := kafka.BrokerID(i + 1)
		engine, err := memlog.Open(memlog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		n := &node{c: c, id: id, engine: &faultyEngine{Engine: engine}, img: metadata.Empty()}
		c.nodes[id] = n
		c.commit(&metadata.BrokerRecord{Broker: metadata.Broker{ID: id, Epoch: int64(100 + i)}})
		n.start()
	}
	return c
}

// close stops all nodes.
func (c *cluster) close() {
	for _, n := range c.nodes {
		n.stop()
	}
}

// commit is the controller writing records. Nodes learn of them by catchUp.
func (c *cluster) commit(records ...metadata.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commitLocked(records...)
}

func (c *cluster) commitLocked(records ...metadata.Record) {
	img, _, err := metadata.Fold(c.img, records)
	if err != nil {
		c.Error(err)
		return
	}
	c.img = img
	c.history = append(c.history, records)
}

// do commits and has all nodes learn of it.
func (c *cluster) do(records ...metadata.Record) {
	c.commit(records...)
	c.catchUp()
}

// catchUp has all nodes learn what was committed, in the order of their ids.
func (c *cluster) catchUp() {
	for id := range len(c.nodes) {
		c.nodes[kafka.BrokerID(id+1)].catchUp()
	}
}

// state is a partition as the controller knows it.
func (c *cluster) state(id byte, i int32) metadata.Partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stateLocked(kafka.UUID{id}, i)
}

func (c *cluster) stateLocked(id kafka.UUID, i int32) metadata.Partition {
	return c.img.Topics.ByID(id).Partitions[i]
}

// lead gives a partition another leader (NoBroker: none) among the replicas in sync.
func (c *cluster) lead(id byte, i int32, leader kafka.BrokerID) {
	s := c.state(id, i)
	s.Leader, s.LeaderEpoch, s.PartitionEpoch = leader, s.LeaderEpoch+1, s.PartitionEpoch+1
	c.commit(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{id}, Partition: i, State: s})
}

// alter is AlterPartition.
func (c *cluster) alter(by *node, q []partition.ISRProposal) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	answers := make([]error, len(q))
	for i := range q {
		done := true
		var fault error
		if c.alterFault != nil {
			fault, done = c.alterFault()
		}
		if done || fault == nil {
			answers[i] = c.alterLocked(by.id, &q[i])
		}
		if fault != nil {
			answers[i] = fault
		}
	}
	return answers
}

// stepOut is what the controller does when a broker has no room; see controller.StepOut.
func (c *cluster) stepOut(by kafka.BrokerID, list []storage.ID) error {
	c.mu.Lock()
	c.steps++
	for _, id := range list {
		s := c.stateLocked(id.TopicID, id.Partition)
		isr := slices.DeleteFunc(slices.Clone(s.ISR), func(id kafka.BrokerID) bool { return id == by })
		if len(isr) == 0 || len(isr) == len(s.ISR) {
			continue
		}
		s.ISR, s.PartitionEpoch = isr, s.PartitionEpoch+1
		if s.Leader == by {
			s.Leader, s.LeaderEpoch = isr[0], s.LeaderEpoch+1
		}
		c.commitLocked(&metadata.PartitionChangeRecord{TopicID: id.TopicID, Partition: id.Partition, State: s})
	}
	c.mu.Unlock()
	c.catchUp()
	return nil
}

func (c *cluster) alterLocked(by kafka.BrokerID, q *partition.ISRProposal) error {
	topic := c.img.Topics.ByID(q.Partition.TopicID)
	if topic == nil {
		return kafka.UnknownTopicID
	}
	s := topic.Partitions[q.Partition.Partition]
	switch {
	case s.Leader != by || s.LeaderEpoch != q.Epoch:
		return kafka.FencedLeaderEpoch
	case s.PartitionEpoch != q.PartitionEpoch:
		return kafka.InvalidUpdateVersion
	}
	s.ISR = nil
	for _, m := range q.ISR {
		b := c.img.Brokers[m.ID]
		if b == nil || b.Fenced || m.Epoch >= 0 && m.Epoch != b.Epoch || !slices.Contains(s.Replicas, m.ID) {
			return kafka.IneligibleReplica
		}
		s.ISR = append(s.ISR, m.ID)
	}
	if !slices.Contains(s.ISR, by) {
		return kafka.InvalidRequest
	}
	s.PartitionEpoch++
	c.commitLocked(&metadata.PartitionChangeRecord{TopicID: q.Partition.TopicID, Partition: q.Partition.Partition, State: s})
	return nil
}

// start makes the node's manager anew, with what it knew of the metadata.
func (n *node) start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sessions, n.conns = map[int32]*serverSession{}, map[*testConn]struct{}{}
	m, err := New(Options{
		NodeID: n.id, Engine: n.engine,
		Settings: func(_ *metadata.Image, topic string) *partition.Settings {
			s := &partition.Settings{MinISR: 2, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour, Rules: record.Rules{MaxBatchBytes: 1 << 20}}
			switch topic {
			case "later":
				s.Rules.Delays = true
			case "compacted":
				s.Delete, s.Compact = false, true
				s.Log.SegmentBytes, s.Compaction = 1000, compact.Policy{MinDirtyRatio: 0.5, SegmentBytes: 1000}
			}
			return s
		},
		Logger: slog.New(slog.NewTextHandler(&n.logged, nil)),
		Peers:  n, MaxLag: n.c.maxLag, FetchMaxBytes: 100_000, FetchPartitionBytes: 20_000,
		BrokerEpoch: func() int64 {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.epoch
		},
		AlterPartition: func(ctx context.Context, q []partition.ISRProposal) []error {
			answers := n.c.alter(n, q)
			n.catchUp()
			return answers
		},
		Full: func(_ context.Context, list []storage.ID) error { return n.c.stepOut(n.id, list) },
	})
	if err != nil {
		n.c.Fatal(err)
	}
	var all metadata.Delta
	for t := range n.img.Topics.All() {
		all.Topics = append(all.Topics, metadata.TopicDelta{After: t})
	}
	for id := range n.img.Brokers {
		all.Brokers = append(all.Brokers, id)
	}
	m.Apply(n.img, &all)
	m.Start()
	n.m = m
}

// stop ends the node; its logs stay.
func (n *node) stop() {
	n.applying.Lock()
	n.mu.Lock()
	m := n.m
	n.m = nil
	for conn := range n.conns {
		conn.cut()
	}
	n.mu.Unlock()
	n.applying.Unlock()
	if m == nil {
		return
	}
	if err := m.Close(context.Background()); err != nil && !errors.Is(err, errDisk) {
		n.c.Error(err)
	}
}

func (n *node) manager() *Manager {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.m
}

// served is how many fetches this node has served, and how many of these opened a session.
func (n *node) served() (fetches, fulls int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fetches, n.fulls
}

// dialled is how often this node has dialled others.
func (n *node) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// connected is how many connections this node has from others.
func (n *node) connected() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// catchUp applies what the controller has committed since.
func (n *node) catchUp() {
	n.applying.Lock()
	defer n.applying.Unlock()
	for n.step() {
	}
}

// step applies one batch.
func (n *node) step() bool {
	n.c.mu.Lock()
	n.mu.Lock()
	m, at := n.m, n.applied
	if m == nil || at == len(n.c.history) {
		n.mu.Unlock()
		n.c.mu.Unlock()
		return false
	}
	records := n.c.history[at]
	n.c.mu.Unlock()
	img, delta, err := metadata.Fold(n.img, records)
	if err != nil {
		n.c.Error(err)
	}
	n.img, n.applied = img, at+1
	if b := img.Brokers[n.id]; b != nil {
		n.epoch = b.Epoch
	}
	n.mu.Unlock()
	m.Apply(img, delta)
	return true
}

// find is a partition of this node.
func (n *node) find(id byte, i int32) *partition.Partition {
	n.c.Helper()
	t, err := n.manager().ByID(kafka.UUID{id})
	if err != nil {
		n.c.Fatal(err)
	}
	p, err := t.Partition(i)
	if err != nil {
		n.c.Fatal(err)
	}
	return p
}

// produce appends a batch of records and returns a channel that tells whether all replicas have it.
func (n *node) produce(p *partition.Partition, values ...string) <-chan error {
	records := make([]record.Record, len(values))
	for i, v := range values {
		records[i] = record.Record{Offset: kafka.Offset(i), Key: []byte("k"), Value: []byte(v), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}
	}
	return n.produceRecords(p, records)
}

func (n *node) produceRecords(p *partition.Partition, records []record.Record) <-chan error {
	b, err := record.Build(nil, record.PlainOptions(), records)
	if err != nil {
		n.c.Error(err)
	}
	acked := make(chan error, 1)
	w := partition.NewAckWaiter()
	w.Start()
	if _, err := p.AppendAsLeader(partition.Append{Records: b, AllReplicas: true, Waiter: w}, time.Now()); err != nil {
		acked <- err
		return acked
	}
	answer := func() {
		if failed := w.Failed(); len(failed) > 0 {
			acked <- failed[0].Err
			return
		}
		acked <- nil
	}
	if w.Seal() {
		answer()
		return acked
	}
	go func() {
		<-w.Done()
		answer()
	}()
	return acked
}

// contents are the batches of a log on this node.
func (n *node) contents(p *partition.Partition) []byte {
	log, err := n.engine.Engine.Open(p.ID(), storage.Config{})
	if err != nil {
		n.c.Fatal(err)
	}
	var all []byte
	b := log.Bounds()
	for at := b.Start; at < b.End; {
		x, err := log.Read(at, storage.ReadLimit{MaxBytes: 1 << 20, Below: kafka.NoOffset})
		if err != nil {
			n.c.Fatal(err)
		}
		if x == nil {
			break
		}
		batches, err := x.Bytes()
		if err != nil {
			n.c.Fatal(err)
		}
		for h := range batches.All() {
			at = h.NextOffset()
		}
		all = append(all, batches...)
		x.Release()
	}
	return all
}

// same fails the test unless all replicas of a partition are equal; it returns what they have.
func (c *cluster) same(id byte, i int32) []byte {
	c.Helper()
	s := c.state(id, i)
	var first []byte
	for k, replica := range s.Replicas {
		n := c.nodes[replica]
		p := n.find(id, i)
		got := n.contents(p)
		if k == 0 {
			first = got
			continue
		}
		if !bytes.Equal(first, got) {
			c.Errorf("topic %d partition %d: node %d has %s, node %d has %s; state %+v", id, i, s.Replicas[0], describe(first), replica, describe(got), s)
		}
		if a, b := c.nodes[s.Replicas[0]].find(id, i), p; a.LogStart() != b.LogStart() || a.HighWatermark() != b.HighWatermark() {
			c.Errorf("topic %d partition %d: log start %d and %d, high watermark %d and %d", id, i, a.LogStart(), b.LogStart(), a.HighWatermark(), b.HighWatermark())
		}
	}
	return first
}

func describe(b record.Batches) string {
	s := fmt.Sprintf("%d bytes:", len(b))
	for h := range b.All() {
		s += fmt.Sprintf(" %d-%d@%d", h.BaseOffset, h.LastOffset(), h.LeaderEpoch)
	}
	return s
}

// valuesOf lists the values of all records.
func valuesOf(t testing.TB, b record.Batches) (all []string) {
	for _, raw := range b.All() {
		for r, err := range record.Records(raw, 1<<20) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(r.Value))
		}
	}
	return all
}
