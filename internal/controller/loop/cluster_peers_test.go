package loop

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
)

// reach waits until a message from m to another node arrives, if it ever does.
func (m *member) reach(ctx context.Context, to kafka.BrokerID) (*member, error) {
	m.w.pause()
	var other *member
	refused := false
	err := m.w.until(ctx, func() bool {
		other = m.w.nodes[to]
		refused = other == nil || other.dead
		if other != nil && other.refuses > 0 {
			other.refuses--
			refused = true
		}
		return refused || !m.cut && !other.cut
	})
	if err != nil {
		return nil, kafka.Errorf(kafka.RequestTimedOut, "no answer: %w", err)
	}
	if refused {
		return nil, kafka.Errorf(kafka.BrokerNotAvailable, "broker %d: %w", to, syscall.ECONNREFUSED)
	}
	return other, nil
}

// Call implements Peers.
func (m *member) Call(ctx context.Context, to kafka.BrokerID, method string, body []byte) ([]byte, error) {
	other, err := m.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	m.w.mu.Lock()
	other.calls[method]++
	m.w.mu.Unlock()
	type answer struct {
		body []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		b, err := other.loop.Methods()[method](context.Background(), peer.Caller{Node: m.id}, slices.Clone(body))
		if m.w.until(other.loop.ctx, func() bool { return !m.cut && !other.cut }) == nil {
			done <- answer{b, err}
		}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return nil, kafka.Errorf(kafka.CodeOf(a.err), "%s", a.err.Error())
		}
		return a.body, nil
	case <-ctx.Done():
		return nil, kafka.Errorf(kafka.RequestTimedOut, "no answer: %w", ctx.Err())
	case <-other.loop.ctx.Done():
		return nil, kafka.Errorf(kafka.NetworkException, "the connection broke")
	}
}

// Probe implements Peers.
func (m *member) Probe(ctx context.Context, to kafka.BrokerID) error {
	_, err := m.reach(ctx, to)
	return err
}

// replicate has a node do what leaders do: who is alive and a replica is taken into the ISR.
func (m *member) replicate() {
	propose := func() {
		img := m.loop.Image()
		var changes []controller.ISRChange
		for topic := range img.Topics.All() {
			for i, p := range topic.Partitions {
				c := controller.ISRChange{TopicID: topic.ID, Partition: int32(i), LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch}
				for _, id := range p.Replicas {
					if b := img.Brokers[id]; b != nil && (slices.Contains(p.ISR, id) || !b.Fenced && !b.ShuttingDown) {
						c.ISR = append(c.ISR, controller.ISRMember{ID: id, Epoch: b.Epoch})
					}
				}
				if p.Leader == m.id && len(c.ISR) > len(p.ISR) {
					changes = append(changes, c)
				}
			}
		}
		for i, err := range m.loop.AlterPartition(context.Background(), changes) {
			now := m.loop.Image().Topics.ByID(changes[i].TopicID)
			if err == nil && now != nil && now.Partitions[changes[i].Partition].PartitionEpoch <= changes[i].PartitionEpoch {
				m.w.t.Errorf("seed %d: node %d has changed an ISR and does not see it", m.w.seed, m.id)
			}
		}
	}
	m.w.background(func(ctx context.Context) {
		for sleep(ctx, 50*time.Millisecond, nil) == nil {
			propose()
		}
	})
}
