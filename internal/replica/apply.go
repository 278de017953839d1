package replica

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/storage"
)

var _ metadata.Publisher = (*Manager)(nil)

// Apply makes the partitions what the image says (REP-1). When it returns, lookups find the new ones, and who waited on removed ones
// has been told. A removed log is gone from its directory.
//
// What is led elsewhere is followed from then on; Apply does not wait for the other broker, nor for what was under way from another.
func (m *Manager) Apply(img *metadata.Image, d *metadata.Delta) {
	m.fetchers.apply(img, d.Brokers)
	e := m.table.Load().edit()
	var removed []*Topic
	for i := range d.Topics {
		t := &d.Topics[i]
		if t.Before != nil && (t.After == nil || t.After.ID != t.Before.ID) {
			if topic := e.id(t.Before.ID); topic != nil {
				removed = append(removed, topic)
			}
			e.remove(t.Before)
		}
		if t.After != nil {
			e.put(m.topic(img, e.id(t.After.ID), t))
		}
	}
	m.reconfigure(img, d, e)
	if m.first {
		m.first = false
		m.reportStrays(e.table)
	}
	// Removed logs go before anybody finds a new topic of the same name, whose logs have the same directories.
	for _, t := range removed {
		m.remove(t)
	}
	m.table.Store(e.table)
	m.fetchers.follow(m.roles)
	clear(m.roles)
	m.roles = m.roles[:0]
	for _, t := range e.changed {
		if now := e.id(t); now != nil {
			m.expectDelays(now)
		}
	}
}

// topic is the topic that follows was (nil: there was none) by the change t.
func (m *Manager) topic(img *metadata.Image, was *Topic, t *metadata.TopicDelta) *Topic {
	after := t.After
	next := &Topic{ID: after.ID, Name: after.Name, Internal: after.Internal}
	if was == nil {
		next.Stats = &partition.Stats{}
		next.settings = m.opts.Settings(img, after.Name)
		next.partitions = make([]*partition.Partition, len(after.Partitions))
		for i := range next.partitions {
			next.partitions[i] = m.replica(next, int32(i), nil, &after.Partitions[i])
		}
		return next
	}
	next.Stats, next.settings = was.Stats, was.settings
	next.partitions = make([]*partition.Partition, len(after.Partitions))
	copy(next.partitions, was.partitions)
	for _, i := range t.Partitions {
		next.partitions[i] = m.replica(next, i, next.partitions[i], &after.Partitions[i])
	}
	return next
}

// replica makes or changes a partition according to its state s; nil: it is not on this node.
func (m *Manager) replica(t *Topic, i int32, p *partition.Partition, s *metadata.Partition) *partition.Partition {
	if !slices.Contains(s.Replicas, m.opts.NodeID) {
		if p != nil {
			m.delete(p)
		}
		return nil
	}
	if p == nil {
		id := storage.ID{TopicPartition: kafka.TopicPartition{Topic: t.Name, Partition: i}, TopicID: t.ID}
		p = partition.New(id, &m.host, t.settings, t.Stats)
	}
	role := partition.Role{
		IsLeader: s.Leader == m.opts.NodeID, Epoch: s.LeaderEpoch, PartitionEpoch: s.PartitionEpoch,
		Leader: s.Leader, Node: m.opts.NodeID, ISR: s.ISR, Replicas: s.Replicas, ELR: s.ELR,
	}
	m.fetchers.release(p, &role)
	p.SetRole(role)
	m.roles = append(m.roles, p)
	return p
}

// reconfigure gives topics their new settings: those that were named, or all if a default of the broker changed.
func (m *Manager) reconfigure(img *metadata.Image, d *metadata.Delta, e *edit) {
	all := false
	for _, r := range d.Configs {
		switch r.Type {
		case metadata.ResourceBroker:
			all = true
		case metadata.ResourceTopic:
			if t := e.name(r.Name); t != nil {
				e.put(m.configured(img, t))
			}
		}
	}
	if (all || m.first) && m.opts.ThrottledRates != nil {
		leader, follower := m.opts.ThrottledRates(img)
		m.leading.set(leader)
		m.fetchers.throttle.set(follower)
	}
	if all || m.first {
		m.cleanerBackoff.Store(int64(m.opts.CleanerBackoff(img)))
	}
	if all {
		for _, t := range slices.Collect(e.all()) {
			e.put(m.configured(img, t))
		}
	}
}

func (m *Manager) configured(img *metadata.Image, t *Topic) *Topic {
	next := *t
	next.settings = m.opts.Settings(img, t.Name)
	for p := range t.Partitions() {
		p.Configure(next.settings)
	}
	return &next
}

func (m *Manager) remove(t *Topic) {
	for p := range t.Partitions() {
		m.delete(p)
	}
	m.mu.Lock()
	t.Stats.AddTo(&m.gone)
	m.mu.Unlock()
}

// delete removes a log. One that cannot be removed is reported and left: nobody finds it any more, and its topic id is never used again.
func (m *Manager) delete(p *partition.Partition) {
	defer m.delays.due(p, time.Time{}) // whose deliverer then finds that it is gone, and forgets it
	m.fetchers.release(p, &partition.Role{Leader: kafka.NoBroker})
	if err := p.Delete(); err != nil {
		m.opts.Logger.Error("a removed partition's log stays on disk: delete its directory by hand", "log", p.ID().String(), "err", err)
	}
}

// reportStrays names logs on disk that belong to no topic, or to a partition whose replicas are elsewhere, once. They are kept: a crash came
// between the removal of a topic and that of its logs, or partitions were moved away while this broker was down, or the metadata is not the one that
// these logs belong to, or is older, and then they may be all there is.
func (m *Manager) reportStrays(t *table) {
	strays, moved, example := 0, 0, ""
	for id := range m.stored {
		switch topic := t.id(id.TopicID); {
		case topic == nil:
			strays++
			example = id.String()
		case int(id.Partition) >= len(topic.partitions) || topic.partitions[id.Partition] == nil:
			moved++
			if strays == 0 {
				example = id.String()
			}
		}
	}
	if strays > 0 {
		m.opts.Logger.Warn("logs on disk belong to no topic and are not touched: if these topics were deleted, delete the directories", "logs", strays, "example", example)
	} else if moved > 0 {
		m.opts.Logger.Warn("logs on disk belong to partitions that have no replica here and are not touched: if the partitions are well elsewhere, delete the directories", "logs", moved, "example", example)
	}
}
