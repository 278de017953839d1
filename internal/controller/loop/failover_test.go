package loop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// watchFences counts how often each broker is fenced, and checks LOP-6: at the moment at which it is fenced it knows that it has no lease,
// unless its process is gone.
func (w *world) watchFences() map[kafka.BrokerID]int {
	fences := map[kafka.BrokerID]int{}
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.image
	var mu sync.Mutex
	w.onCommit = func(_ []metadata.Record, img *metadata.Image) {
		mu.Lock()
		defer mu.Unlock()
		for id, b := range img.Brokers {
			before := was.Brokers[id]
			if before == nil || before.Fenced || !b.Fenced || before.Epoch != b.Epoch {
				continue
			}
			fences[id]++
			w.mu.Lock()
			m := w.nodes[id]
			dead := m.dead
			w.mu.Unlock()
			if !dead && !b.ShuttingDown && m.loop.Lease() {
				w.t.Errorf("seed %d: broker %d is fenced and believes in its lease", w.seed, id)
			}
		}
		was = img
	}
	w.background(func(ctx context.Context) { // whatever happens: who is fenced has no lease
		for sleep(ctx, time.Millisecond, nil) == nil {
			for _, m := range w.living() {
				if own := w.own(m.id); own.Fenced && m.loop.Lease() {
					w.t.Errorf("seed %d: broker %d is fenced and has a lease", w.seed, m.id)
				}
			}
		}
	})
	return fences
}

// LOP-6, LOP-7: a broker that is cut off loses its lease before it is fenced, is fenced once, others lead what it led, and it serves again once it
// is back, as the same registration.
func TestBrokerThatIsCutOffIsFencedAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		w.topic(nodes[0], 12)
		fences := w.watchFences()
		victim := nodes[2]
		if w.ledBy(3) == 0 || !victim.loop.Lease() {
			t.Fatalf("seed %d: broker 3 leads nothing", w.seed)
		}
		epoch := victim.loop.BrokerEpoch()
		cut := time.Now()
		victim.setCut(true)
		w.eventually("it is fenced", func() bool { return w.own(3).Fenced })
		if took := time.Since(cut); took < DefaultLease-DefaultLease/10-10*time.Millisecond || took > 2*DefaultLease {
			t.Errorf("seed %d: fenced after %v", w.seed, took)
		}
		if n := w.ledBy(3); n != 0 {
			t.Errorf("seed %d: it leads %d partitions", w.seed, n)
		}
		if n := w.ledBy(kafka.NoBroker); n != 0 {
			t.Errorf("seed %d: nobody leads %d partitions", w.seed, n)
		}
		time.Sleep(3 * DefaultLease)
		if victim.loop.Lease() {
			t.Errorf("seed %d: it has a lease", w.seed)
		}
		victim.setCut(false)
		w.eventually("it serves", func() bool { return !w.own(3).Fenced && victim.loop.Lease() })
		if victim.loop.BrokerEpoch() != epoch || w.own(3).Epoch != epoch {
			t.Errorf("seed %d: it came back as another registration", w.seed)
		}
		if fences[3] != 1 || len(fences) != 1 {
			t.Errorf("seed %d: fenced %v", w.seed, fences)
		}
		w.same()
	})
}

// LOP-6: a broker that was fenced serves, and has a lease, only once its image has the fencing, by which others lead what it led.
func TestBrokerServesOnlyWhatItKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		w.topic(nodes[0], 12)
		w.watchFences()
		w.mu.Lock()
		nodes[2].stuck = true
		w.mu.Unlock()
		nodes[2].setCut(true)
		w.eventually("it is fenced", func() bool { return w.own(3).Fenced })
		nodes[2].setCut(false)
		time.Sleep(3 * DefaultLease)
		if !w.own(3).Fenced || nodes[2].loop.Lease() {
			t.Errorf("seed %d: it serves and has not heard that it was fenced", w.seed)
		}
		w.mu.Lock()
		nodes[2].stuck = false
		w.changedLocked()
		w.mu.Unlock()
		w.eventually("it serves", func() bool { return !w.own(3).Fenced && nodes[2].loop.Lease() })
		w.same()
	})
}

// LOP-6: a controller that is cut off, and that the store cannot tell that it was deposed, ends the leases that it has given before the one after it
// fences them; its own among them. It answers no request with a success.
func TestControllerThatIsCutOffProlongsNoLease(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			nodes := []*member{w.add(1), w.add(2), w.add(3)}
			w.topic(nodes[1], 12)
			fences := w.watchFences()
			old := nodes[0]
			w.eventually("broker 1 decides", func() bool { _, ok := old.loop.decides(); return ok })
			old.setCut(true)
			time.Sleep(time.Duration(rand.New(rand.NewPCG(w.seed, 101)).IntN(1500)) * time.Millisecond)
			w.elect(2)
			short, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			if list, err := old.loop.Brokers(short); err == nil {
				t.Errorf("seed %d: a controller that is cut off tells what it believes: %+v", w.seed, list)
			}
			cancel()
			short, cancel = context.WithTimeout(t.Context(), 700*time.Millisecond)
			if err := old.loop.CreateTopics(short, topics("lost"), false)[0].Err; err == nil {
				t.Errorf("seed %d: a controller that is cut off makes topics", w.seed)
			}
			cancel()
			w.eventually("it is fenced", func() bool { return w.own(1).Fenced })
			if w.ledBy(1) != 0 || w.ledBy(kafka.NoBroker) != 0 {
				t.Errorf("seed %d: broker 1 leads %d, nobody leads %d", w.seed, w.ledBy(1), w.ledBy(kafka.NoBroker))
			}
			old.setCut(false)
			w.eventually("it serves", func() bool { return !w.own(1).Fenced && old.loop.Lease() })
			if fences[1] != 1 || len(fences) != 1 {
				t.Errorf("seed %d: fenced %v", w.seed, fences)
			}
			if err := old.loop.CreateTopics(t.Context(), topics("found"), false)[0].Err; err != nil {
				t.Error(err)
			}
			w.same()
		})
	}
}

// LOP-7: a process that is gone is fenced without waiting for its lease, also when it was the controller and nobody was connected to the new one.
func TestDeadBrokerIsFencedAtOnce(t *testing.T) {
	for _, victim := range []kafka.BrokerID{3, 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			nodes := []*member{w.add(1), w.add(2), w.add(3)}
			w.topic(nodes[1], 12)
			time.Sleep(time.Second)
			killed := time.Now()
			w.nodes[victim].kill()
			if victim == 1 {
				w.elect(2)
			}
			w.eventually("it is fenced", func() bool { return w.own(victim).Fenced })
			if took := time.Since(killed); took > 250*time.Millisecond {
				t.Errorf("seed %d: broker %d is fenced after %v", w.seed, victim, took)
			}
			if w.ledBy(victim) != 0 || w.ledBy(kafka.NoBroker) != 0 {
				t.Errorf("seed %d: it leads %d, nobody leads %d", w.seed, w.ledBy(victim), w.ledBy(kafka.NoBroker))
			}
			again := w.add(victim) // another process of that id
			if !again.loop.Lease() || again.loop.BrokerEpoch() != w.own(victim).Epoch {
				t.Errorf("seed %d: it came back without a lease", w.seed)
			}
			w.same()
		})
	}
}

// A broker that stops in order hands over first: no partition is without a leader at any time, and the process after it is let in at once.
func TestStopHandsOverFirst(t *testing.T) {
	for _, id := range []kafka.BrokerID{3, 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			nodes := []*member{w.add(1), w.add(2), w.add(3)}
			w.topic(nodes[1], 12)
			w.mu.Lock()
			w.onCommit = func(_ []metadata.Record, img *metadata.Image) {
				for _, p := range img.Topics.ByName("t").Partitions {
					if b := img.Brokers[p.Leader]; b == nil || b.Fenced {
						t.Errorf("seed %d: a partition is led by %d", w.seed, p.Leader)
					}
				}
			}
			w.mu.Unlock()
			if err := w.nodes[id].loop.Stop(t.Context()); err != nil {
				t.Fatalf("seed %d: %v", w.seed, err)
			}
			if w.ledBy(id) != 0 || !w.own(id).Fenced {
				t.Errorf("seed %d: it still leads %d partitions", w.seed, w.ledBy(id))
			}
			w.nodes[id].kill()
			if id == 1 {
				w.elect(2)
			}
			began := time.Now()
			w.add(id)
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("seed %d: it was let in after %v", w.seed, took)
			}
			w.same()
		})
	}
}

// A process that comes back before anybody has missed the one before it waits for that one's lease, and is let in then.
func TestProcessAfterAnotherWaitsForItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(1)
		w.add(2)
		old := w.add(3)
		old.loop.Close() // nobody is told
		again := w.add(3)
		if again.loop.BrokerEpoch() <= old.loop.BrokerEpoch() {
			t.Errorf("seed %d: epoch %d after %d", w.seed, again.loop.BrokerEpoch(), old.loop.BrokerEpoch())
		}
		w.same()
	})
}

// A broker whose registration was removed registers anew by itself.
func TestBrokerThatWasForgottenRegistersAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		epoch := nodes[2].loop.BrokerEpoch()
		nodes[2].setCut(true)
		w.eventually("it is fenced", func() bool { return w.own(3).Fenced })
		if err := nodes[1].loop.UnregisterBroker(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		nodes[2].setCut(false)
		w.eventually("it serves", func() bool { return w.own(3).ID == 3 && !w.own(3).Fenced && nodes[2].loop.Lease() })
		if nodes[2].loop.BrokerEpoch() <= epoch || nodes[2].loop.BrokerEpoch() != w.own(3).Epoch {
			t.Errorf("seed %d: epoch %d", w.seed, nodes[2].loop.BrokerEpoch())
		}
		if err := nodes[2].loop.UnregisterBroker(t.Context(), 9); !errors.Is(err, kafka.BrokerIDNotRegistered) {
			t.Error(err)
		}
	})
}

// LOP-6, LOP-7, CTL-4, QUO-2: nodes are cut off, killed, started again and stopped in order, and the controller moves, at random. Whoever is
// fenced has no lease, nobody is led by a broker that is fenced, and when it is over all serve, all partitions are led, and all images are
// the same.
func TestClusterSurvivesWhateverHappens(t *testing.T) {
	for range 6 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			rng := rand.New(rand.NewPCG(w.seed, 9))
			for id := range kafka.BrokerID(3) {
				w.add(id + 1).replicate()
			}
			w.topic(w.nodes[1], 12)
			w.watchFences()
			fenced := w.onCommit
			w.onCommit = func(records []metadata.Record, img *metadata.Image) {
				fenced(records, img)
				for _, p := range img.Topics.ByName("t").Partitions {
					if b := img.Brokers[p.Leader]; p.Leader != kafka.NoBroker && (b == nil || b.Fenced) {
						t.Errorf("seed %d: a partition is led by %d, who is fenced", w.seed, p.Leader)
					}
				}
			}
			w.mu.Lock()
			w.lossy = true
			w.mu.Unlock()
			for range 12 {
				id := kafka.BrokerID(1 + rng.IntN(3))
				m := w.nodes[id]
				next := kafka.BrokerID(1 + (int(id)+rng.IntN(2))%3)
				leads := w.leader() == id
				length := time.Duration(rng.IntN(5000)) * time.Millisecond
				switch rng.IntN(4) {
				case 0:
					w.elect(id)
				case 1:
					m.setCut(true)
					if leads {
						w.elect(next)
					}
					time.Sleep(length)
					m.setCut(false)
				case 2:
					m.kill()
					if leads {
						w.elect(next)
					}
					time.Sleep(length)
					w.add(id).replicate()
				case 3:
					if err := m.loop.Stop(t.Context()); err != nil {
						t.Errorf("seed %d: stop %d: %v", w.seed, id, err)
					}
					m.kill()
					if leads {
						w.elect(next)
					}
					w.add(id).replicate()
				}
				time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				if a := w.nodes[next].loop.CreateTopics(t.Context(), topics(fmt.Sprint("u", rng.Uint64())), false); a[0].Err != nil && !errors.Is(a[0].Err, kafka.RequestTimedOut) {
					t.Errorf("seed %d: %v", w.seed, a[0].Err)
				}
			}
			w.eventually("all serve and all partitions are led", func() bool {
				for id := range kafka.BrokerID(3) {
					if w.own(id+1).Fenced || !w.nodes[id+1].loop.Lease() {
						return false
					}
				}
				return w.ledBy(kafka.NoBroker) == 0
			})
			w.same()
		})
	}
}

// LOP-7: of two processes with one id and copies of one data directory the later one has the id, and the earlier one ends and says why.
func TestProcessThatWasReplacedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(1)
		w.add(2)
		join := func() *member {
			m := w.prepare(3)
			r := m.registration()
			r.Replaces = true
			if err := m.loop.Join(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			return m
		}
		old, later := join(), join()
		<-old.loop.Done()
		if !errors.Is(old.loop.Err(), kafka.DuplicateBrokerRegistration) {
			t.Errorf("seed %d: the earlier one ended because of %v", w.seed, old.loop.Err())
		}
		epoch := later.loop.BrokerEpoch()
		time.Sleep(5 * DefaultLease)
		if w.own(3).Epoch != epoch || w.own(3).Fenced || !later.loop.Lease() || old.loop.Lease() {
			t.Errorf("seed %d: %+v, epoch %d of the later one; leases %v and %v", w.seed, w.own(3), epoch, later.loop.Lease(), old.loop.Lease())
		}
	})
}

// LOP-3: the claim of a controller that is none any more comes late; whoever decides claims once more.
func TestLateClaimIsClaimedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		w.mu.Lock()
		img, _, err := metadata.Fold(w.image, []metadata.Record{&metadata.ControllerRecord{Controller: 2, Term: w.image.Term + 1}})
		if err != nil {
			t.Fatal(err)
		}
		w.image, w.batches = img, append(w.batches, quorum.Batch{Revision: quorum.Revision(len(w.batches) + 1), Records: []metadata.Record{
			&metadata.ControllerRecord{Controller: 2, Term: img.Term},
		}})
		w.changedLocked()
		w.mu.Unlock()
		w.eventually("node 1 says that it decides", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.image.Controller == 1
		})
		if err := nodes[1].loop.CreateTopics(t.Context(), topics("t"), false)[0].Err; err != nil {
			t.Error(err)
		}
		w.same()
	})
}

// LOP-7: one refusal proves nothing: a process may have been about to listen.
func TestProcessThatRefusesOnceIsNotFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		fences := w.watchFences()
		for _, m := range nodes[1:] {
			w.mu.Lock()
			m.refuses = 1
			w.mu.Unlock()
			nodes[0].loop.OnClosed(peer.Caller{Node: m.id})
		}
		time.Sleep(3 * DefaultLease)
		if len(fences) > 0 {
			t.Errorf("seed %d: fenced %v", w.seed, fences)
		}
	})
}
