package replica

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

const (
	// loadSmoothing is over how long rates are averaged: a burst is no reason to move anything.
	loadSmoothing = time.Minute
	// leastRate is a rate that is not worth telling, in bytes a second.
	leastRate = 1 << 10
)

// Load is what a partition that is led here has to do.
type Load struct {
	Topic          kafka.UUID
	Partition      int32
	BytesPerSecond int64 // of records that were committed, averaged over a minute
	Size           int64 // of the log, in bytes
}

// loadMeter measures rates between two calls. It remembers one number for each partition that is led here and in use.
type loadMeter struct {
	mu   sync.Mutex // guards what follows; a leaf
	at   time.Time
	seen map[*partition.Partition]metered
}

type metered struct {
	bytes int64
	rate  float64 // negative: not known yet
}

// Loads are the busiest partitions that this node leads, at most so many, the one with most first. Rates are of the time since the last call, so it is to be called
// every few seconds by one caller.
func (m *Manager) Loads(most int) []Load {
	s := &m.loads
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.opts.Now()
	took := now.Sub(s.at).Seconds()
	if took <= 0 {
		return nil
	}
	type rated struct {
		p    *partition.Partition
		rate float64
	}
	var list []rated
	seen := make(map[*partition.Partition]metered, len(s.seen))
	for t := range m.table.Load().all() {
		for p := range t.Partitions() {
			if !p.InUse() || !p.Role().IsLeader {
				continue
			}
			was, known := s.seen[p]
			x := metered{bytes: p.CommittedBytes(), rate: -1}
			if known {
				x.rate = smooth(was.rate, float64(x.bytes-was.bytes)/took, took)
			}
			seen[p] = x
			if x.rate >= leastRate {
				list = append(list, rated{p, x.rate})
			}
		}
	}
	s.at, s.seen = now, seen
	slices.SortFunc(list, func(a, b rated) int { return cmp.Compare(b.rate, a.rate) })
	loads := make([]Load, 0, min(len(list), most))
	for _, x := range list[:min(len(list), most)] {
		size, err := x.p.Size()
		if err != nil {
			continue // its log has failed: nobody moves it
		}
		loads = append(loads, Load{Topic: x.p.ID().TopicID, Partition: x.p.ID().Partition, BytesPerSecond: int64(x.rate), Size: size})
	}
	return loads
}

// smooth is a rate after it was now for so many seconds.
func smooth(was, now, seconds float64) float64 {
	if was < 0 {
		return now
	}
	return was + (now-was)*(1-math.Exp(-seconds/loadSmoothing.Seconds()))
}
