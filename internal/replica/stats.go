package replica

import (
	"time"

	"github.com/rafka-io/rafka/internal/partition"
)

// Counts is what the partitions of this node add up to.
type Counts struct {
	Topics      int
	Partitions  int
	Leaders     int              // partitions that this node leads
	UnderMinISR int              // led here, with fewer replicas in sync than min.insync.replicas
	AtMinISR    int              // led here, with just as many
	Offline     int              // partitions whose log failed: OfflineReplicaCount
	Total       *partition.Stats // of all topics, removed ones included

	Rot RotCounts

	Delayed         int // records led here that wait for their time, of partitions that are in use
	UnderReplicated int // led here, with replicas that are not in sync
	Following       FollowCounts
}

// FollowCounts is what is followed here, and how well.
type FollowCounts struct {
	Partitions int           // that are fetched, or should be
	Fetchers   int           // brokers from which something is fetched
	Silent     int           // of these, those that do not answer: DeadThreadCount
	Failed     int           // partitions of which the last attempt failed: FailedPartitionsCount
	MaxLag     int64         // records that are committed at the leader and not here yet, of the partition that has most: MaxLag
	Behind     time.Duration // how long the partition has not had all that is committed which has not for longest
	BytesIn    int64         // records appended to what is followed, since the start: ReplicationBytesInPerSec
	Failures   int64         // connections that broke, and partitions that a leader refused, since the start
}

// Counts adds up. It opens nothing.
func (m *Manager) Counts() Counts {
	c := Counts{Total: &partition.Stats{}}
	m.mu.Lock()
	m.gone.AddTo(c.Total)
	m.mu.Unlock()
	for t := range m.table.Load().all() {
		c.Topics++
		t.Stats.AddTo(c.Total)
		for p := range t.Partitions() {
			c.Partitions++
			if p.Failed() != nil {
				c.Offline++
			}
			r := p.Role()
			if !r.IsLeader {
				continue
			}
			c.Leaders++
			waiting, _ := p.Delayed()
			c.Delayed += waiting
			if len(r.ISR) < len(r.Replicas) {
				c.UnderReplicated++
			}
			switch least := r.NeededInSync(p.Settings().MinISR); {
			case len(r.ISR) < least:
				c.UnderMinISR++
			case len(r.ISR) == least:
				c.AtMinISR++
			}
		}
	}
	c.Following, c.Rot = m.fetchers.total(), m.mender.total()
	return c
}

// total adds up. A source that does not answer leaves all that is fetched from it behind.
func (s *fetchers) total() FollowCounts {
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := FollowCounts{
		Partitions: len(s.following), Fetchers: len(s.bySource),
		BytesIn: s.counts.bytes.Load(), Failures: s.counts.failures.Load(),
	}
	since := func(ns int64) {
		if ns != 0 {
			c.Behind = max(c.Behind, now.Sub(time.Unix(0, ns)))
		}
	}
	for _, f := range s.bySource {
		if broken := f.broken.Load(); broken != 0 {
			c.Silent++
			since(broken)
		}
	}
	for _, x := range s.following {
		if x.sick.Load() {
			c.Failed++
		}
		c.MaxLag = max(c.MaxLag, x.lag.Load())
		since(x.behind.Load())
	}
	return c
}
