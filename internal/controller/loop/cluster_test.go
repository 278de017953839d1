package loop

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// LOP-1, LOP-3, LOP-5, QUO-2, MET-2: whoever is asked and however often the controller changes, a success is committed and in the image of the
// node that was asked when it answers, a refusal has not happened, and only "unknown" may be either. All nodes have the same images.
func TestAnswersAreTrueWhileTheControllerMoves(t *testing.T) {
	for _, lossy := range []bool{false, true} {
		for range 5 {
			synctest.Test(t, func(t *testing.T) { movesUnderLoad(t, lossy) })
		}
	}
}

func movesUnderLoad(t *testing.T, lossy bool) {
	w := newWorld(t)
	nodes := []*member{w.add(1), w.add(2), w.add(3)}
	w.mu.Lock()
	w.lossy = lossy
	w.mu.Unlock()
	stop := make(chan struct{})
	var movers, wg sync.WaitGroup
	movers.Go(func() {
		rng := rand.New(rand.NewPCG(w.seed, 100))
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(20+rng.IntN(200)) * time.Millisecond):
				w.elect(kafka.BrokerID(1 + rng.IntN(3)))
			}
		}
	})
	unknown := 0
	var mu sync.Mutex
	for worker := range 6 {
		rng := rand.New(rand.NewPCG(w.seed, uint64(worker)))
		wg.Go(func() {
			for i := range 25 {
				m := nodes[rng.IntN(3)]
				name := fmt.Sprint("t", worker, "-", i)
				err := m.loop.CreateTopics(t.Context(), topics(name), false)[0].Err
				switch is := m.loop.Image().Topics.ByName(name) != nil; {
				case err == nil && (!is || !m.rec.has(name)):
					t.Errorf("seed %d: node %d answers that it has made %s and does not have it", w.seed, m.id, name)
				case errors.Is(err, kafka.RequestTimedOut):
					mu.Lock()
					unknown++
					mu.Unlock()
				case err != nil:
					t.Errorf("seed %d: node %d: %v", w.seed, m.id, err)
				}
				if err != nil || i%2 == 0 {
					continue
				}
				other := nodes[rng.IntN(3)]
				// Another node may not have it yet; the controller has.
				if err := other.loop.DeleteTopics(t.Context(), []controller.TopicRef{{Name: name}})[0].Err; err == nil {
					if other.loop.Image().Topics.ByName(name) != nil || other.rec.has(name) {
						t.Errorf("seed %d: node %d answers that it has deleted %s and has it", w.seed, other.id, name)
					}
				} else if !errors.Is(err, kafka.RequestTimedOut) {
					t.Errorf("seed %d: node %d: %v", w.seed, other.id, err)
				}
			}
		})
	}
	ids := map[kafka.ProducerID]bool{}
	wg.Go(func() {
		for i := range 20 {
			first, _, err := nodes[i%3].loop.AllocateProducerIDs(t.Context())
			if err != nil || ids[first] {
				t.Errorf("seed %d: block %d twice, or %v", w.seed, first, err)
			}
			ids[first] = true
		}
	})
	wg.Wait()
	close(stop)
	movers.Wait()
	if !lossy && unknown > 0 {
		t.Errorf("seed %d: %d answers say that the outcome is unknown, and no answer was lost", w.seed, unknown)
	}
	w.same()
}

// led makes a topic of partitions on all of three brokers.
func (w *world) topic(m *member, partitions int32) {
	w.t.Helper()
	a := m.loop.CreateTopics(w.t.Context(), []controller.NewTopic{{Name: "t", Partitions: partitions, Replication: 3}}, false)
	if a[0].Err != nil {
		w.t.Fatal(a[0].Err)
	}
}

// CTL-6, LOP-5: verbs about partitions and brokers do their work from any node: a broker is drained, whose partitions the controller moves by
// itself, and comes back into use.
func TestDrainMovesEverythingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3), w.add(4)}
		for _, m := range nodes {
			m.replicate()
		}
		w.topic(nodes[0], 12)
		hasReplicas := func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, p := range w.image.Topics.ByName("t").Partitions {
				if slices.Contains(p.Replicas, 4) {
					return true
				}
			}
			return false
		}
		if !hasReplicas() {
			t.Fatalf("seed %d: broker 4 has nothing", w.seed)
		}
		if err := nodes[1].loop.DrainBroker(t.Context(), 4, true); err != nil {
			t.Fatal(err)
		}
		if !nodes[1].loop.Image().Brokers[4].Draining {
			t.Errorf("seed %d: the node that was asked does not see it", w.seed)
		}
		w.eventually("broker 4 is empty", func() bool { return !hasReplicas() })
		if err := nodes[2].loop.DrainBroker(t.Context(), 4, false); err != nil {
			t.Fatal(err)
		}
		errs := nodes[2].loop.AlterReassignments(t.Context(), []controller.Reassignment{
			{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: 0}, Replicas: []kafka.BrokerID{4, 1, 2}},
			{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: 99}, Replicas: []kafka.BrokerID{4, 1, 2}},
		}, false)
		if errs[0] != nil || !errors.Is(errs[1], kafka.UnknownTopicOrPartition) {
			t.Fatal(errs)
		}
		w.eventually("it has partition 0", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			p := w.image.Topics.ByName("t").Partitions[0]
			return slices.Equal(p.Replicas, []kafka.BrokerID{4, 1, 2}) && !p.Reassigning() && slices.Contains(p.ISR, 4)
		})
		elected, err := nodes[0].loop.ElectLeaders(t.Context(), controller.PreferredElection, []kafka.TopicPartition{{Topic: "t", Partition: 0}, {Topic: "u", Partition: 0}})
		if err != nil || len(elected) != 2 || elected[0].Err != nil && !errors.Is(elected[0].Err, kafka.ElectionNotNeeded) || !errors.Is(elected[1].Err, kafka.UnknownTopicOrPartition) {
			t.Fatal(elected, err)
		}
		if p := nodes[0].loop.Image().Topics.ByName("t").Partitions[0]; p.Leader != 4 {
			t.Errorf("seed %d: %+v after the election", w.seed, p)
		}
		if errs := nodes[0].loop.UpdateFeatures(t.Context(), []controller.FeatureUpdate{{Name: "no.such"}}, true); errs[0] == nil {
			t.Error("a feature that nobody knows is updated")
		}
		if errs := nodes[0].loop.AlterPartition(t.Context(), []controller.ISRChange{{TopicID: kafka.UUID{9}}}); errs[0] == nil {
			t.Error("the ISR of a topic that does not exist is changed")
		}
		if errs := nodes[2].loop.AlterPartition(t.Context(), nil); len(errs) != 0 {
			t.Error(errs)
		}
		w.same()
	})
}

// MET-2, LOP-2: a node that was left behind loads a snapshot and is told what it missed.
func TestNodeThatFellBehindLoadsASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		w.mu.Lock()
		nodes[2].stuck, w.keep = true, 3
		w.mu.Unlock()
		for i := range 20 {
			if a := nodes[1].loop.CreateTopics(t.Context(), topics(fmt.Sprint("t", i)), false); a[0].Err != nil {
				t.Fatal(a[0].Err)
			}
		}
		w.mu.Lock()
		nodes[2].stuck = false
		w.changedLocked()
		w.mu.Unlock()
		w.same()
		for i := range 20 {
			if !nodes[2].rec.has(fmt.Sprint("t", i)) {
				t.Errorf("seed %d: the publishers of the node were not told of t%d", w.seed, i)
			}
		}
	})
}

// A cluster of one that Start began lets others in, is a member as they are, and had a lease all the time.
func TestClusterOfOneLetsOthersIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.prepare(1)
		w.eventually("node 1 leads", func() bool { return first.Leadership().Here })
		if err := first.loop.Start(t.Context(), controller.Node{Broker: first.registration().Broker, ClusterID: "test"}); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.onCommit = func([]metadata.Record, *metadata.Image) {
			if !first.loop.Lease() {
				t.Errorf("seed %d: the first node has no lease", w.seed)
			}
		}
		w.mu.Unlock()
		if a := first.loop.CreateTopics(t.Context(), topics("t"), false); a[0].Err != nil || !first.loop.Lease() || first.loop.BrokerEpoch() < 1 {
			t.Fatal(a, first.loop.Lease())
		}
		if err := first.loop.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.add(2)
		w.add(3)
		time.Sleep(2 * DefaultLease)
		if w.own(1).Fenced || w.ledBy(1) == 0 {
			t.Errorf("seed %d: the first node is %+v", w.seed, w.own(1))
		}
		if err := first.join(); err == nil || first.loop.Err() != nil || !first.loop.Lease() {
			t.Errorf("seed %d: it joins as another process while it lives: %v, %v", w.seed, err, first.loop.Err())
		}
		w.same()
	})
}

// Any node lists the brokers as the controller sees them.
func TestAnyNodeListsTheBrokers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		nodes[2].setCut(true)
		w.eventually("it is fenced", func() bool { return w.own(3).Fenced })
		for _, m := range nodes[:2] {
			list, err := m.loop.Brokers(t.Context())
			if err != nil || len(list) != 3 || list[0].ID != 1 || list[2].ID != 3 {
				t.Fatalf("seed %d: %+v (%v)", w.seed, list, err)
			}
			if list[0].Silent > DefaultLease/2 || list[2].Silent < DefaultLease/2 || list[0].Fenced || !list[2].Fenced || list[1].Offset < 0 {
				t.Errorf("seed %d: %+v", w.seed, list)
			}
		}
	})
}
