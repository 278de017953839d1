package partition

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/memlog"
	"github.com/rafka-io/rafka/internal/storage/seglog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// live is three replicas with goroutines of their own, all in sync all the time, of which any may be made the leader.
type live struct {
	testing.TB
	nodes [3]*Partition
	ctx   context.Context
	acked chan struct{}

	mu     sync.Mutex // guards leader
	leader int
}

// engines are what logs may be in.
func engines(t testing.TB) map[string]func() storage.Engine {
	open := func(e storage.Engine, err error) storage.Engine {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		return e
	}
	return map[string]func() storage.Engine{
		"fake":   func() storage.Engine { return partitiontest.New() },
		"memlog": func() storage.Engine { return open(memlog.Open(memlog.Options{})) },
		"memlog with a write-ahead log": func() storage.Engine {
			return open(memlog.Open(memlog.Options{Dir: t.TempDir(), FS: vfs.OS()}))
		},
		"seglog": func() storage.Engine {
			return open(seglog.Open(vfs.OS(), []string{t.TempDir()}, seglog.Options{JournalBytes: 4 << 20, HotBytes: 4 << 20, Buffered: true}))
		},
	}
}

func newLive(t testing.TB, ctx context.Context, engine func() storage.Engine) *live {
	c := &live{TB: t, ctx: ctx, acked: make(chan struct{})}
	for i := range c.nodes {
		host := &Host{Engine: engine(), Logger: slog.New(slog.DiscardHandler), Now: time.Now, OnISR: func(*Partition) {}}
		s := &Settings{MinISR: 2, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour}
		c.nodes[i] = New(clusterID, host, s, &Stats{})
	}
	return c
}

// elect makes a replica the leader. The replicas learn of it one after the other.
func (c *live) elect(epoch, leader int) {
	for i, p := range c.nodes {
		p.SetRole(Role{
			IsLeader: i == leader, Epoch: kafka.LeaderEpoch(epoch), PartitionEpoch: int32(epoch), Leader: kafka.BrokerID(leader), Node: kafka.BrokerID(i),
			ISR: three, Replicas: three,
		})
	}
	c.mu.Lock()
	c.leader = leader
	c.mu.Unlock()
}

func (c *live) current() *Partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[c.leader]
}

// follow is the fetcher of one replica, until ctx ends.
func (c *live) follow(i int) {
	p, w := c.nodes[i], NewFetchWaiter()
	for c.ctx.Err() == nil {
		point, err := p.FollowPoint()
		if err != nil {
			c.pause(w)
			continue
		}
		if err := p.SyncFollower(c.ctx, point.Offset); err != nil && c.ctx.Err() == nil {
			c.Error(err)
		}
		leader := c.nodes[p.Role().Leader]
		read, err := leader.Read(ReadRequest{
			From: point.Offset, MaxBytes: 500, AtLeastOne: true, CurrentEpoch: point.Epoch, FetchedEpoch: point.LastEpoch, Replica: kafka.BrokerID(i), ReplicaEpoch: -1,
		})
		switch {
		case err != nil:
			c.pause(w)
		case read.Diverging != nil:
			_, _ = p.TruncateTo(point.Epoch, *read.Diverging)
		case read.Records == nil:
			_ = p.LeaderSaid(point.Epoch, read.HighWatermark, read.LogStart)
			w.Start(1, 1)
			if w.Await(leader, point.Offset, &read) {
				c.pause(w)
			}
			w.Stop()
		default:
			b, _ := read.Records.Bytes()
			if _, err := p.AppendAsFollower(point.Epoch, b); kafka.CodeOf(err) == kafka.CorruptMessage {
				c.Error(err)
			}
			_ = p.LeaderSaid(point.Epoch, read.HighWatermark, read.LogStart)
			read.Records.Release()
		}
	}
}

// pause waits for a signal, but not for long.
func (c *live) pause(w *FetchWaiter) {
	select {
	case <-w.Done():
	case <-time.After(time.Millisecond):
	case <-c.ctx.Done():
	}
}

// produce writes batches until ctx ends, each until it is acknowledged, and returns how many there were.
func (c *live) produce(pid kafka.ProducerID) (acked int) {
	w := NewAckWaiter()
	for c.ctx.Err() == nil {
		if !c.send(w, pid, kafka.Sequence(acked)) {
			continue
		}
		acked++
		select {
		case c.acked <- struct{}{}:
		case <-c.ctx.Done():
		}
	}
	return acked
}

func (c *live) send(w *AckWaiter, pid kafka.ProducerID, sequence kafka.Sequence) (acked bool) {
	p := c.current()
	w.Start()
	_, err := p.AppendAsLeader(Append{Records: producerBatch(pid, 0, sequence, 1), AllReplicas: true, Waiter: w}, time.Now())
	complete := w.Seal()
	if err != nil {
		c.pause(NewFetchWaiter())
		return false
	}
	if !complete {
		select {
		case <-w.Done():
		case <-time.After(100 * time.Millisecond):
			if n := len(p.Forget(w, nil)); n == 0 || !w.Drop(n) {
				<-w.Done()
			}
			return false
		}
	}
	return len(w.Failed()) == 0
}

// ISR-2, PAR-1, PAR-7: with everything at once (to be run with the race detector), nothing that was acknowledged is lost or doubled, and all replicas
// come to have the same.
func TestLeadersChangeUnderLoad(t *testing.T) {
	for name, engine := range engines(t) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { leadersChange(t, engine) })
	}
}

func leadersChange(t *testing.T, engine func() storage.Engine) {
	ctx, stop := context.WithCancel(t.Context())
	c := newLive(t, ctx, engine)
	c.elect(1, 0)
	var fetchers, others sync.WaitGroup
	for i := range c.nodes {
		fetchers.Go(func() { c.follow(i) })
	}
	var counts [4]int
	for i := range counts {
		others.Go(func() { counts[i] = c.produce(kafka.ProducerID(i + 1)) })
	}
	for _, p := range c.nodes {
		others.Go(func() {
			for c.ctx.Err() == nil {
				p.maintenance.Lock()
				_ = p.checkpointLocked(ctx, 0)
				p.maintenance.Unlock()
				p.ProposeISR(time.Now(), time.Hour)
				_, _ = p.Producers()
				_, _, _ = p.GuardTxn(9, 0, 0, false, 1)
				p.ExpireProducers(0)
				c.pause(NewFetchWaiter())
			}
		})
	}
	for epoch := 2; epoch < 14; epoch++ {
		for range 25 {
			<-c.acked
		}
		c.elect(epoch, epoch%3)
	}
	for range 25 {
		<-c.acked
	}
	stop()
	others.Wait()
	fetchers.Wait()

	// One more round, in peace.
	rest, end := context.WithTimeout(t.Context(), 30*time.Second)
	c.ctx = rest
	for i := range c.nodes {
		fetchers.Go(func() { c.follow(i) })
	}
	want := c.current().bounds(c.current().log.Load()).End
	for _, p := range c.nodes {
		for p.HighWatermark() < want {
			if rest.Err() != nil {
				t.Fatalf("high watermark %d, the leader's log ends at %d", p.HighWatermark(), want)
			}
			c.pause(NewFetchWaiter())
		}
	}
	end()
	fetchers.Wait()
	logs := [3]string{}
	for i := range c.nodes {
		next := map[kafka.ProducerID]kafka.Sequence{}
		p := c.nodes[i]
		err := eachBatch(p.log.Load(), 0, p.end, func(h *record.Header, b []byte) error {
			if h.BaseSequence != next[h.ProducerID] {
				t.Errorf("replica %d: producer %d goes from sequence %d to %d at offset %d", i, h.ProducerID, next[h.ProducerID]-1, h.BaseSequence, h.BaseOffset)
			}
			next[h.ProducerID]++
			logs[i] += string(b)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for n, acked := range counts {
			if got := int(next[kafka.ProducerID(n+1)]); got < acked {
				t.Errorf("replica %d has %d of %d acknowledged batches of producer %d", i, got, acked, n+1)
			}
		}
		if logs[i] != logs[0] {
			t.Errorf("replica %d differs from replica 0", i)
		}
	}
}
