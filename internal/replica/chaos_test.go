package replica

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

var (
	chaosRuns = flag.Int("chaos.runs", 10, "how many seeds to run")
)

// REP-1, REP-2, PAR-2: leaders change, nodes stop and come back, brokers learn of it late, requests and answers are lost, sessions forgotten, disks
// break, topics are made anew. When it is calm again, all replicas are equal and have everything that was acknowledged, once.
func TestReplicasAgreeAfterChaos(t *testing.T) {
	for range *chaosRuns {
		chaos(t, seed.Of(t))
	}
}

func chaos(t *testing.T, seed uint64) {
	ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := &chaosTest{cluster: newCluster(t, 3, 2*time.Second), rng: rand.New(rand.NewPCG(seed, 1)), acked: map[byte]map[string]bool{}, stop: make(chan struct{})}
			defer x.close()
			x.run()
		})
	})
	if !ok {
		t.Logf("again: go test ./internal/replica -run Chaos -chaos.seed=%d", seed)
	}
}

const chaosPartitions = 3

type chaosTest struct {
	*cluster
	rng    *rand.Rand // of the test's goroutine
	topics []byte     // ids that exist
	next   byte
	stop   chan struct{}
	work   sync.WaitGroup

	ackMu sync.Mutex
	acked map[byte]map[string]bool // by topic id; false: sent
	n     int
}

func (x *chaosTest) run() {
	for range 2 {
		x.create(fmt.Sprint("t", len(x.topics)))
	}
	for _, n := range x.nodes {
		rng := rand.New(rand.NewPCG(x.rng.Uint64(), 2))
		x.work.Go(func() { // learns of the metadata late, and not when others do
			for {
				wait := time.Duration(rng.ExpFloat64() * float64(3*time.Millisecond))
				if rng.IntN(50) == 0 {
					wait = time.Duration(rng.IntN(3000)) * time.Millisecond
				}
				select {
				case <-time.After(wait):
				case <-x.stop:
					return
				}
				n.applying.Lock()
				n.step()
				n.applying.Unlock()
			}
		})
	}
	for range 300 {
		time.Sleep(time.Duration(x.rng.ExpFloat64() * float64(20*time.Millisecond)))
		x.event()
	}
	x.heal()
	close(x.stop)
	x.work.Wait()
	time.Sleep(2 * time.Minute)
	x.check()
}

func (x *chaosTest) event() {
	switch k := x.rng.IntN(100); {
	case k < 60:
		x.write()
	case k < 75:
		x.elect()
	case k < 80:
		x.kill()
	case k < 87:
		x.revive(false)
	case k < 94:
		x.disturb()
	case k < 96:
		x.breakDisk()
	case k < 97:
		x.recreate()
	default:
		time.Sleep(time.Duration(x.rng.IntN(4000)) * time.Millisecond)
	}
}

func (x *chaosTest) create(name string) {
	x.next++
	x.topics = append(x.topics, x.next)
	x.ackMu.Lock()
	x.acked[x.next] = map[string]bool{}
	x.ackMu.Unlock()
	var runs []metadata.PartitionRun
	x.mu.Lock()
	for i := range chaosPartitions {
		p := metadata.Partition{Leader: kafka.NoBroker}
		for j := range 3 {
			id := kafka.BrokerID((i+j)%3 + 1)
			p.Replicas = append(p.Replicas, id)
			if !x.img.Brokers[id].Fenced {
				p.ISR = append(p.ISR, id)
			}
		}
		if len(p.ISR) == 0 {
			p.ISR = p.Replicas[:1]
		} else {
			p.Leader = p.ISR[0]
		}
		runs = append(runs, metadata.PartitionRun{Count: 1, Partition: p})
	}
	x.commitLocked(topic(name, x.next, runs...))
	x.mu.Unlock()
}

func (x *chaosTest) recreate() {
	i := x.rng.IntN(len(x.topics))
	id := x.topics[i]
	x.topics = slices.Delete(x.topics, i, i+1)
	x.mu.Lock()
	name := x.img.Topics.ByID(kafka.UUID{id}).Name
	x.commitLocked(&metadata.RemoveTopicRecord{ID: kafka.UUID{id}})
	x.mu.Unlock()
	x.create(name)
}

// write appends at whoever believes to lead.
func (x *chaosTest) write() {
	id, i := x.topics[x.rng.IntN(len(x.topics))], int32(x.rng.IntN(chaosPartitions))
	for _, n := range x.nodes {
		m := n.manager()
		if m == nil {
			continue
		}
		t, err := m.ByID(kafka.UUID{id})
		if err != nil {
			continue
		}
		p, err := t.Partition(i)
		if err != nil || !p.Role().IsLeader {
			continue
		}
		var values []string
		for range 1 + x.rng.IntN(5) {
			x.n++
			values = append(values, fmt.Sprintf("%d-%d-%d", id, i, x.n))
		}
		x.ackMu.Lock()
		for _, v := range values {
			x.acked[id][v] = false
		}
		x.ackMu.Unlock()
		answer := n.produce(p, values...)
		x.work.Go(func() {
			if err := <-answer; err != nil {
				return
			}
			x.ackMu.Lock()
			defer x.ackMu.Unlock()
			for _, v := range values {
				x.acked[id][v] = true
			}
		})
	}
}

// elect moves the leadership of a partition among the replicas in sync that live.
func (x *chaosTest) elect() {
	id, i := x.topics[x.rng.IntN(len(x.topics))], int32(x.rng.IntN(chaosPartitions))
	x.mu.Lock()
	defer x.mu.Unlock()
	x.electLocked(kafka.UUID{id}, i, x.rng.IntN(3))
}

func (x *chaosTest) electLocked(id kafka.UUID, i int32, rotate int) {
	s := x.stateLocked(id, i)
	leader := kafka.NoBroker
	for k := range s.ISR {
		if c := s.ISR[(k+rotate)%len(s.ISR)]; !x.img.Brokers[c].Fenced {
			leader = c
			break
		}
	}
	if leader == s.Leader {
		return
	}
	s.Leader, s.LeaderEpoch, s.PartitionEpoch = leader, s.LeaderEpoch+1, s.PartitionEpoch+1
	x.commitLocked(&metadata.PartitionChangeRecord{TopicID: id, Partition: i, State: s})
}

// kill stops a node. The controller fences it: it leads nothing any more, and is in sync with nothing where there is another.
func (x *chaosTest) kill() {
	n := x.nodes[kafka.BrokerID(x.rng.IntN(3)+1)]
	if n.manager() == nil {
		return
	}
	n.stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	b := *x.img.Brokers[n.id]
	b.Fenced = true
	x.commitLocked(&metadata.BrokerRecord{Broker: b})
	for _, id := range x.topics {
		for i := range int32(chaosPartitions) {
			s := x.stateLocked(kafka.UUID{id}, i)
			if at := slices.Index(s.ISR, n.id); at >= 0 && len(s.ISR) > 1 {
				s.ISR = slices.Delete(slices.Clone(s.ISR), at, at+1)
				s.PartitionEpoch++
				x.commitLocked(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{id}, Partition: i, State: s})
			}
			if s.Leader == n.id {
				x.electLocked(kafka.UUID{id}, i, 0)
			}
		}
	}
}

// revive starts the nodes that are down, with a new broker epoch; all: also those that are up, with disks that work.
func (x *chaosTest) revive(all bool) {
	for _, n := range x.nodes {
		if all && n.manager() != nil {
			n.stop()
		}
		if n.manager() != nil {
			continue
		}
		n.engine.mend()
		x.mu.Lock()
		b := *x.img.Brokers[n.id]
		b.Fenced, b.Epoch = false, b.Epoch+10
		x.commitLocked(&metadata.BrokerRecord{Broker: b})
		x.mu.Unlock()
		n.start()
		if x.rng.IntN(2) == 0 || all {
			n.catchUp()
		}
		x.mu.Lock()
		for _, id := range x.topics {
			for i := range int32(chaosPartitions) {
				if x.stateLocked(kafka.UUID{id}, i).Leader == kafka.NoBroker {
					x.electLocked(kafka.UUID{id}, i, 0)
				}
			}
		}
		x.mu.Unlock()
	}
}

// disturb makes the network and the controller worse for a while, or well again.
func (x *chaosTest) disturb() {
	rng := rand.New(rand.NewPCG(x.rng.Uint64(), 3))
	cut := kafka.BrokerID(x.rng.IntN(12))
	rate := []int{0, 2, 10}[x.rng.IntN(3)]
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fault = func(from, to kafka.BrokerID, q *kmsg.FetchRequest) fault {
		if from == cut || to == cut {
			return fault{lost: true}
		}
		bad := func() bool { return rate > 0 && rng.IntN(100) < rate }
		f := fault{lost: bad(), unanswered: bad(), twice: bad(), forget: bad()}
		if bad() {
			f.delay = time.Duration(rng.IntN(200)) * time.Millisecond
		}
		return f
	}
	x.alterFault = func() (error, bool) {
		if rate > 0 && rng.IntN(3) == 0 {
			return kafka.RequestTimedOut, rng.IntN(2) == 0
		}
		return nil, true
	}
}

// breakDisk fails the disk of one log that is followed.
func (x *chaosTest) breakDisk() {
	n := x.nodes[kafka.BrokerID(x.rng.IntN(3)+1)]
	m := n.manager()
	if m == nil {
		return
	}
	t, err := m.ByID(kafka.UUID{x.topics[x.rng.IntN(len(x.topics))]})
	if err != nil {
		return
	}
	if p, err := t.Partition(int32(x.rng.IntN(chaosPartitions))); err == nil && !p.Role().IsLeader {
		n.engine.breakLog(p.ID())
	}
}

func (x *chaosTest) heal() {
	x.mu.Lock()
	x.fault, x.alterFault = nil, nil
	x.mu.Unlock()
	x.revive(true)
	x.catchUp()
}

func (x *chaosTest) check() {
	x.catchUp()
	time.Sleep(10 * time.Second)
	acked := 0
	for _, id := range x.topics {
		got := map[string]int{}
		for i := range int32(chaosPartitions) {
			for _, v := range valuesOf(x, x.same(id, i)) {
				got[v]++
			}
			s := x.state(id, i)
			if len(s.ISR) != 3 || s.Leader == kafka.NoBroker {
				x.Errorf("topic %d partition %d: %+v", id, i, s)
			}
		}
		x.ackMu.Lock()
		for v, n := range got {
			if _, sent := x.acked[id][v]; n != 1 || !sent {
				x.Errorf("%s is there %d times, sent: %v", v, n, sent)
			}
		}
		for v, was := range x.acked[id] {
			if !was {
				continue
			}
			acked++
			if got[v] == 0 {
				x.Errorf("%s was acknowledged and is lost", v)
			}
		}
		x.ackMu.Unlock()
	}
	x.Logf("%d records acknowledged of %d", acked, x.n)
	for id, n := range x.nodes {
		if f := n.manager().Counts().Following; f.Failed != 0 || f.Silent != 0 || f.MaxLag != 0 || f.Behind != 0 {
			x.Errorf("node %d: %+v", id, f)
		}
	}
}
