package loop

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// The lease that a broker believes in ends before the one that the controller keeps. Both begin with the same heartbeat, the broker's when it
// is sent and the controller's when it comes. The broker's is shorter by a part of it, 1/leaseMargin, and besides by the age of what the controller
// knew when it answered: how long before it had begun to make sure that no other one had begun. So what a controller that was deposed without
// knowing grants is counted from a time before its successor began all leases afresh, and ends before those. A controller that has not been sure
// for 1/leaseConfirmed of a lease grants none.
const (
	leaseMargin    = 10
	leaseConfirmed = 2
)

// leases are what the controller knows of the life of brokers, in memory: whoever takes over begins them afresh. There is one for each
// registered broker.
type leases struct {
	mu        sync.Mutex // a leaf
	of        map[kafka.BrokerID]*lease
	confirmed time.Time // this node was certainly the only one to decide then
	looked    time.Time // when the keeper looked last
}

// lease is of one registration.
type lease struct {
	epoch   int64
	heard   time.Time       // when its last heartbeat came, or this lease began
	offset  metadata.Offset // of its image then; -1: no heartbeat has come
	need    metadata.Offset // what its image must have reached before it serves
	gone    bool            // its process is gone
	probing bool
	loads   []controller.Load // of the partitions that it leads, as told at reported
	// reported is zero until it has told.
	reported time.Time
	// understands is the highest level of each feature that the broker has said it knows; nil: it has not.
	understands map[string]int16
}

// maxFeatures bounds what is remembered of a broker's features.
const maxFeatures = 64

// understands notes what a broker understands.
func (s *leases) understands(b *metadata.Broker, features map[string]int16, now time.Time, img *metadata.Image) {
	if len(features) == 0 || len(features) > maxFeatures {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.getLocked(b, now, img).understands = features
}

// supports is the highest level of a feature that a broker has said it knows; known is false while it has said nothing.
func (s *leases) supports(id kafka.BrokerID, feature string) (level int16, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.of[id]; e != nil && e.understands != nil {
		return e.understands[feature], true
	}
	return 0, false
}

// begin forgets everything and gives each broker a lease from now on.
func (s *leases) begin(confirmed, now time.Time, img *metadata.Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = make(map[kafka.BrokerID]*lease, len(img.Brokers))
	s.confirmed, s.looked = confirmed, now
	for _, b := range img.Brokers {
		s.getLocked(b, now, img)
	}
}

// getLocked is the lease of a registration; a new one begins now.
func (s *leases) getLocked(b *metadata.Broker, now time.Time, img *metadata.Image) *lease {
	e := s.of[b.ID]
	if e == nil || e.epoch != b.Epoch {
		e = &lease{epoch: b.Epoch, heard: now, offset: -1, need: img.Offset}
		if s.of == nil {
			s.of = map[kafka.BrokerID]*lease{}
		}
		s.of[b.ID] = e
	}
	return e
}

// heard notes a heartbeat. It returns for how long it has not been certain that this node decides, and whether the broker may be unfenced.
func (s *leases) heard(b *metadata.Broker, offset metadata.Offset, now time.Time, img *metadata.Image) (unsure time.Duration, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.getLocked(b, now, img)
	e.heard, e.offset, e.gone = now, max(e.offset, offset), false
	return max(now.Sub(s.confirmed), 0), mayServe(b, e)
}

func mayServe(b *metadata.Broker, e *lease) bool {
	return b.Fenced && !b.ShuttingDown && !e.gone && e.offset >= e.need
}

// stalled reports that the keeper has not looked for longer than a pause of that length, as when this process or its machine was frozen:
// then heartbeats may have come and gone unheard, and all leases begin anew.
func (s *leases) stalled(now time.Time, pause time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stalled := now.Sub(s.looked) > pause
	s.looked = now
	if stalled {
		for _, e := range s.of {
			e.heard = now
		}
	}
	return stalled
}

// due lists whose lease has ended and who may be unfenced, by id.
func (s *leases) due(now time.Time, img *metadata.Image, length time.Duration) (fence, unfence []kafka.BrokerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.of {
		if img.Brokers[id] == nil {
			delete(s.of, id)
		}
	}
	for id, b := range img.Brokers {
		e := s.getLocked(b, now, img)
		ended := e.gone || now.Sub(e.heard) >= length
		switch {
		case !b.Fenced && ended:
			fence = append(fence, id)
		case !ended && mayServe(b, e):
			unfence = append(unfence, id)
		}
	}
	slices.Sort(fence)
	slices.Sort(unfence)
	return fence, unfence
}

// fenced notes that brokers were fenced by an image of an offset, which they must have seen before they serve again.
func (s *leases) fenced(ids []kafka.BrokerID, at metadata.Offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if e := s.of[id]; e != nil {
			e.need = max(e.need, at)
		}
	}
}

// confirm notes that nobody else decided at some time.
func (s *leases) confirm(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.After(s.confirmed) {
		s.confirmed = at
	}
}

// probe says that a broker's process is looked for; ok is false if that is under way, or nobody knows the broker.
func (s *leases) probe(b *metadata.Broker, now time.Time, img *metadata.Image) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.getLocked(b, now, img)
	ok = !e.probing
	e.probing = true
	return ok
}

// probed says what came of it. The process of the registration is gone if it was found so and has not been heard of since.
func (s *leases) probed(id kafka.BrokerID, epoch int64, since time.Time, gone bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.of[id]
	if e == nil || e.epoch != epoch {
		return false
	}
	e.probing = false
	if gone && !e.heard.After(since) {
		e.gone = true
	}
	return e.gone
}

// why says in words why a broker is fenced.
func (s *leases) why(id kafka.BrokerID, now time.Time) (reason string, silent time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.of[id]
	switch {
	case e == nil:
		return "it is not known", 0
	case e.gone:
		return "its process is gone", now.Sub(e.heard)
	}
	return "its heartbeats have stopped", now.Sub(e.heard)
}

// status lists all brokers, by id.
func (s *leases) status(now time.Time, img *metadata.Image) []BrokerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]BrokerStatus, 0, len(img.Brokers))
	for b := range maps.Values(img.Brokers) {
		e := s.getLocked(b, now, img)
		list = append(list, BrokerStatus{
			ID: b.ID, Epoch: b.Epoch, Fenced: b.Fenced, ShuttingDown: b.ShuttingDown, Draining: b.Draining,
			Silent: now.Sub(e.heard), Offset: e.offset,
		})
	}
	slices.SortFunc(list, func(a, b BrokerStatus) int { return cmp.Compare(a.ID, b.ID) })
	return list
}
