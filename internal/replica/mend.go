package replica

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/digest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

const (
	// notedMost is how many damaged places of one partition wait to be mended. Others are found again when they are read.
	notedMost = 16
	// What could not be mended is tried again after leastMend to mostMend: the replica that has it may be back by then.
	leastMend = 250 * time.Millisecond
	mostMend  = time.Minute
	// copyPatience is how long another broker may take to give some of what is damaged here.
	copyPatience = 5 * time.Second
	copyBytes    = 1 << 20
)

// RotCounts is what is known of damage on disk.
type RotCounts struct {
	Scrubbed int64 // bytes that the scrub has read since the start
	Passes   int64 // that it has finished over all logs
	Found    int64 // damaged stretches that were found since the start
	Mended   int64 // of these, that were filled from another replica
	Broken   int   // partitions with damage that is not mended
}

// mender is what is known of damage: where some was met, and what became of it.
type mender struct {
	kick chan struct{} // of one: something was noted

	scrubbed, passes, found, mended atomic.Int64

	mu    sync.Mutex // guards what follows; a leaf
	noted map[*partition.Partition]*damaged
}

// damaged is a partition with places that were damaged when they were read.
type damaged struct {
	at     []kafka.Offset
	busy   bool // it is looked at: what that meets is no news
	broken bool // it was looked at and could not be mended
	pause  backoff
	until  time.Time // when to look
	logged time.Time
}

func newMender() *mender {
	return &mender{kick: make(chan struct{}, 1), noted: map[*partition.Partition]*damaged{}}
}

func (s *mender) total() RotCounts {
	c := RotCounts{Scrubbed: s.scrubbed.Load(), Passes: s.passes.Load(), Found: s.found.Load(), Mended: s.mended.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, d := range s.noted {
		if d.broken && p.Role().Gone == nil {
			c.Broken++
		}
	}
	return c
}

// noteRot is partition.Host.OnRot.
func (m *Manager) noteRot(p *partition.Partition, at kafka.Offset, _ error) {
	s := m.mender
	s.mu.Lock()
	d := s.noted[p]
	if d == nil {
		d = &damaged{}
		s.noted[p] = d
	}
	if !d.busy && len(d.at) < notedMost && !slices.Contains(d.at, at) {
		d.at = append(d.at, at)
	}
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// mend looks at what was noted and fills it from other replicas, one partition at a time, until Close.
func (m *Manager) mend(ctx context.Context) {
	timer := time.NewTimer(mostMend)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.mender.kick:
		case <-timer.C:
		}
		next := mostMend
		for _, p := range m.mender.list() {
			next = min(next, m.mendPartition(ctx, p))
		}
		timer.Reset(next)
	}
}

func (s *mender) list() (all []*partition.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.noted {
		all = append(all, p)
	}
	return all
}

// mendPartition looks at the places of p if it is time, and answers when to look again.
func (m *Manager) mendPartition(ctx context.Context, p *partition.Partition) (again time.Duration) {
	s := m.mender
	s.mu.Lock()
	d := s.noted[p]
	if wait := d.until.Sub(m.opts.Now()); wait > 0 {
		s.mu.Unlock()
		return wait
	}
	places := slices.Clone(d.at)
	d.busy = true
	s.mu.Unlock()

	var left []kafka.Offset
	for _, at := range places {
		if !m.mendPlace(ctx, p, d, at) {
			left = append(left, at)
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	d.busy, d.at = false, left
	if len(left) == 0 || p.Role().Gone != nil {
		delete(s.noted, p)
		return mostMend
	}
	d.broken = true
	wait := d.pause.next(leastMend, mostMend)
	d.until = m.opts.Now().Add(wait)
	return wait
}

// mendPlace looks at one place and has it mended by one of the replicas in sync, the leader first. It reports whether there is no damage left.
func (m *Manager) mendPlace(ctx context.Context, p *partition.Partition, d *damaged, at kafka.Offset) bool {
	sources := m.sources(p)
	if len(sources) == 0 {
		if d.broken { // it was looked at, and nothing has come by which it could be mended
			return at < p.LogStart()
		}
		sources = []kafka.BrokerID{kafka.NoBroker}
	}
	for _, from := range sources {
		done, err := p.Mend(ctx, at, m.copies(p, from))
		if ctx.Err() != nil || p.Role().Gone != nil {
			return true
		}
		if len(done.Found) == 0 && err == nil {
			return true
		}
		if len(done.Found) > 0 && !d.broken && d.logged.IsZero() {
			m.mender.found.Add(int64(len(done.Found)))
			for _, r := range done.Found {
				m.opts.Logger.Error("records are damaged on this broker's disk", "log", p.ID().String(), "from", int64(r.From), "to", int64(r.To-1), "file", r.File, "byte", r.Position, "bytes", r.Bytes, "err", r.Err)
			}
		}
		if err == nil {
			m.mender.mended.Add(int64(done.Filled))
			m.opts.Logger.Warn("damaged records were fetched again from another replica", "log", p.ID().String(), "from", int64(done.Found[0].From), "stretches", done.Filled, "broker", from, "bytes", done.Bytes)
			return true
		}
		if now := m.opts.Now(); d.logged.IsZero() || now.Sub(d.logged) >= mostMend {
			d.logged = now
			m.opts.Logger.Error("damaged records are not mended yet; what else the log has is served", "log", p.ID().String(), "offset", int64(at), "broker", from, "err", err)
		} else {
			m.opts.Logger.Debug("damaged records are not mended yet", "log", p.ID().String(), "offset", int64(at), "broker", from, "err", err)
		}
	}
	return false
}

// sources are the other replicas that have all that is committed.
func (m *Manager) sources(p *partition.Partition) []kafka.BrokerID {
	r := p.Role()
	if m.opts.Call == nil {
		return nil
	}
	var list []kafka.BrokerID
	for _, id := range r.ISR {
		switch {
		case id == m.opts.NodeID:
		case id == r.Leader:
			list = slices.Insert(list, 0, id)
		default:
			list = append(list, id)
		}
	}
	return list
}

var errNoCopy = errors.New("no other replica is in sync: start the brokers that have one; if there is none, the records are lost, and `rafka topic trim` takes them away with all before them")

// copies reads from another broker's replica of p.
func (m *Manager) copies(p *partition.Partition, from kafka.BrokerID) partition.Copies {
	return func(ctx context.Context, at kafka.Offset) (digest.Copy, error) {
		if from == kafka.NoBroker {
			return digest.Copy{}, errNoCopy
		}
		ctx, cancel := context.WithTimeout(ctx, copyPatience)
		defer cancel()
		q := digest.Question{Topic: p.ID().TopicID, Partition: p.ID().Partition, From: at, Below: kafka.NoOffset}
		b, err := m.opts.Call(ctx, from, digest.MethodCopy, q.Encode())
		if err != nil {
			return digest.Copy{}, err
		}
		return digest.DecodeCopy(b)
	}
}
