package seats

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// store is a store whose members change at once.
type store struct {
	list     []quorum.VoterStatus
	barred   map[kafka.BrokerID]bool
	released []kafka.BrokerID
	next     uint64
	refuses  error // of the next change
}

func (s *store) refused() (err error) {
	err, s.refuses = s.refuses, nil
	return err
}

func (s *store) Leadership() quorum.Leadership {
	return quorum.Leadership{Controller: s.list[0].Node, Here: true}
}

func (s *store) Members(context.Context) ([]quorum.VoterStatus, error) {
	return slices.Clone(s.list), nil
}

func (s *store) AddVoter(_ context.Context, m quorum.Member) ([]quorum.Member, error) {
	if err := s.refused(); err != nil {
		return nil, err
	}
	s.next++
	m.ID = s.next
	s.list = append(s.list, quorum.VoterStatus{Member: m, Learner: true})
	return nil, nil
}

func (s *store) Promote(_ context.Context, node kafka.BrokerID) error {
	for i := range s.list {
		if s.list[i].Node == node {
			s.list[i].Learner = false
			return nil
		}
	}
	return quorum.ErrNoSuchMember
}

func (s *store) RemoveMember(_ context.Context, id uint64) error {
	if err := s.refused(); err != nil {
		return err
	}
	s.list = slices.DeleteFunc(s.list, func(v quorum.VoterStatus) bool { return v.ID == id })
	return nil
}

func (s *store) Barred(context.Context) (map[kafka.BrokerID]bool, error) { return s.barred, nil }

func (s *store) ReleaseID(_ context.Context, id kafka.BrokerID) error {
	s.released = append(s.released, id)
	return nil
}

func (s *store) voters() (ids []kafka.BrokerID) {
	for _, v := range s.list {
		if !v.Learner {
			ids = append(ids, v.Node)
		}
	}
	slices.Sort(ids)
	return ids
}

// world is a cluster of brokers 1 to 5, of which 1 to 3 vote, and a clock.
type world struct {
	*Keeper
	store   *store
	brokers map[kafka.BrokerID]*metadata.Broker
	now     time.Time
	leads   bool
	refuses map[kafka.BrokerID]bool // to begin
}

func newWorld() *world {
	w := &world{store: &store{next: 3}, brokers: map[kafka.BrokerID]*metadata.Broker{}, now: time.Unix(0, 0), leads: true, refuses: map[kafka.BrokerID]bool{}}
	for id := kafka.BrokerID(1); id <= 5; id++ {
		w.brokers[id] = &metadata.Broker{ID: id, Peers: []string{"h:1"}}
		if id <= 3 {
			w.store.list = append(w.store.list, quorum.VoterStatus{Member: quorum.Member{Node: id, ID: uint64(id)}, Started: true})
		}
	}
	w.Keeper = New(Options{
		Store: func() Store {
			if !w.leads {
				return nil
			}
			return w.store
		},
		Image: func() *metadata.Image { return &metadata.Image{Brokers: w.brokers} },
		Begin: func(_ context.Context, id kafka.BrokerID, members []quorum.Member) error {
			if w.refuses[id] || !slices.ContainsFunc(members, func(m quorum.Member) bool { return m.Node == id }) {
				return errors.New("it does not start")
			}
			return nil
		},
		URL: func(b *metadata.Broker) string { return "http://" + b.Peers[0] }, Want: 3, Replace: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	return w
}

// pass lets n seconds go by, with a look in each.
func (w *world) pass(t *testing.T, n int) {
	for range n {
		w.now = w.now.Add(time.Second)
		_ = w.Look(t.Context(), w.now) // what fails is tried again
	}
}

func (w *world) want(t *testing.T, what string, ids ...kafka.BrokerID) {
	t.Helper()
	if got := w.store.voters(); !slices.Equal(got, ids) {
		t.Fatalf("%s: %v vote, want %v", what, got, ids)
	}
}

// SEA-1: a dead voter is replaced after its time, not before, and a controller that begins anew counts anew.
func TestKeeperReplacesADeadVoter(t *testing.T) {
	w := newWorld()
	w.brokers[2].Fenced = true
	w.pass(t, 9)
	w.want(t, "too early", 1, 2, 3)
	w.leads = false
	w.pass(t, 1)
	w.leads = true
	w.pass(t, 9)
	w.want(t, "counted anew", 1, 2, 3)
	w.store.refuses = errors.New("not now")
	w.pass(t, 6)
	w.want(t, "replaced", 1, 3, 4)
	w.brokers[2].Fenced = false
	w.pass(t, 20)
	w.want(t, "the one that came back has none", 1, 3, 4)
}

// SEA-3: a broker that cannot start its learner is given up, and another one gets the vote; so it is with one that was refused a vote by hand.
func TestKeeperTriesAnotherBroker(t *testing.T) {
	w := newWorld()
	w.refuses[4] = true
	w.brokers[3].Fenced = true
	w.pass(t, 30)
	w.want(t, "another one", 1, 2, 5)

	w = newWorld()
	w.store.barred = map[kafka.BrokerID]bool{4: true, 5: true}
	w.brokers[3].Fenced = true
	w.pass(t, 30)
	w.want(t, "nobody may", 1, 2, 3)
}

// An id is given back when its broker was forgotten.
func TestKeeperReleasesTheIDsOfForgottenBrokers(t *testing.T) {
	w := newWorld()
	w.pass(t, 1)
	delete(w.brokers, 5)
	w.pass(t, 3)
	if !slices.Equal(w.store.released, []kafka.BrokerID{5}) {
		t.Fatalf("released %v", w.store.released)
	}
}
