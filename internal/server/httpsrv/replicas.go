package httpsrv

import (
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/storage"
)

// OfReplicas reads a replica.Manager's counters.
func OfReplicas(m *replica.Manager) Replicas { return replicas{m} }

type replicas struct{ manager *replica.Manager }

func (r replicas) Counts() Counts {
	c := r.manager.Counts()
	f := c.Following
	return Counts{
		Topics: c.Topics, Partitions: c.Partitions, Leaders: c.Leaders, UnderMinISR: c.UnderMinISR, AtMinISR: c.AtMinISR,
		Offline: c.Offline, Delayed: c.Delayed, Rot: c.Rot, Traffic: traffic(c.Total),
		Following: Following{
			Sources: f.Fetchers, Silent: f.Silent, Failed: f.Failed, MaxLag: f.MaxLag, Behind: f.Behind, BytesIn: f.BytesIn, Failures: f.Failures,
		},
	}
}

func traffic(s *partition.Stats) Traffic {
	return Traffic{
		MessagesIn: s.MessagesIn.Load(), BytesIn: s.BytesIn.Load(), BytesOut: s.BytesOut.Load(),
		ProduceRequests: s.ProduceRequests.Load(), FetchRequests: s.FetchRequests.Load(),
		FailedProduce: s.FailedProduce.Load(), FailedFetch: s.FailedFetch.Load(),
	}
}

func (r replicas) Topics() []Topic {
	all := r.manager.Topics()
	topics := make([]Topic, len(all))
	for i, t := range all {
		topics[i] = Topic{Name: t.Name, Traffic: traffic(t.Stats), handle: t}
		for range t.Partitions() {
			topics[i].Partitions++
		}
	}
	return topics
}

func (r replicas) Partitions(t Topic) []Partition {
	partitions := make([]Partition, 0, t.Partitions)
	for p := range t.handle.(*replica.Topic).Partitions() {
		one := Partition{Partition: p.ID().Partition}
		// Asking the size would open a log that is not in use.
		if p.InUse() {
			if size, err := p.Size(); err == nil {
				one.IsOpen, one.Start, one.HighWatermark, one.Size = true, p.LogStart(), p.HighWatermark(), size
			}
		}
		partitions = append(partitions, one)
	}
	return partitions
}

func (r replicas) Directories() []storage.DirInfo { return r.manager.Directories() }
