package replica

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// inCluster runs a test in virtual time with so many nodes.
func inCluster(t *testing.T, nodes int, test func(c *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nodes, 10*time.Second)
		defer c.close()
		test(c)
	})
}

// everywhere is a partition with three replicas in sync, led by the first.
func everywhere() metadata.Partition {
	all := []kafka.BrokerID{1, 2, 3}
	return metadata.Partition{Replicas: all, ISR: all, Leader: 1}
}

func partitions(n int32, p metadata.Partition) metadata.PartitionRun {
	return metadata.PartitionRun{Count: n, Partition: p}
}

// acked waits for a produce to be acknowledged.
func (c *cluster) acked(err <-chan error) {
	c.Helper()
	select {
	case e := <-err:
		if e != nil {
			c.Fatal(e)
		}
	case <-time.After(time.Minute):
		c.Fatal("not acknowledged in a minute")
	}
}

// calm is more than it takes for everything to settle.
func calm() { time.Sleep(30 * time.Second) }

// REP-2: what the leader appends is on all replicas when it is acknowledged, and a session is opened once.
func TestFollowersHaveWhatTheLeaderHas(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(2, everywhere())))
		one := c.nodes[1]
		for i := range 20 {
			c.acked(one.produce(one.find(1, int32(i%2)), fmt.Sprint("v", i), "w"))
			for id := kafka.BrokerID(2); id <= 3; id++ {
				if got, want := c.nodes[id].contents(c.nodes[id].find(1, int32(i%2))), one.contents(one.find(1, int32(i%2))); !bytes.Equal(got, want) {
					t.Fatalf("acknowledged, and node %d has %s instead of %s", id, describe(got), describe(want))
				}
			}
		}
		calm()
		c.same(1, 0)
		c.same(1, 1)
		if fetches, fulls := one.served(); fulls != 2 || fetches > 2*20+200 {
			t.Errorf("%d of %d fetches named everything; want one from each follower", fulls, fetches)
		}
		n := c.nodes[2].manager().Counts()
		if f := n.Following; f.Partitions != 2 || f.Fetchers != 1 || f.MaxLag != 0 || f.Behind != 0 || f.Failed != 0 || f.BytesIn == 0 || n.UnderReplicated != 0 || n.Leaders != 0 {
			t.Errorf("counts %+v", n)
		}
	})
}

// A partition that is new, or has a new leader, is fetched at once, though the fetcher waits for an answer that would come half a second later.
func TestFetcherThatWaitsTakesUpWhatIsNew(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		calm()
		time.Sleep(100 * time.Millisecond)
		begin := time.Now()
		c.do(topic("b", 2, partitions(1, everywhere())))
		c.acked(c.nodes[1].produce(c.nodes[1].find(2, 0), "v"))
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("the first record of a new topic took %v", took)
		}
		c.do(topic("c", 3, partitions(1, metadata.Partition{Replicas: []kafka.BrokerID{2, 1, 3}, ISR: []kafka.BrokerID{2, 1, 3}, Leader: 2})))
		calm()
		time.Sleep(100 * time.Millisecond)
		begin = time.Now()
		c.lead(1, 0, 2)
		c.catchUp()
		c.acked(c.nodes[2].produce(c.nodes[2].find(1, 0), "v"))
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("the first record after a change of leaders took %v", took)
		}
	})
}

// A leader that has not heard yet that it leads refuses; it is asked again soon, however long others have nothing new, then less often, and at once when
// the metadata of the partition change. What went well is forgotten at the next failure.
func TestRefusedPartitionIsTriedAgain(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		calm()
		c.commit(topic("b", 2, partitions(1, everywhere())))
		c.nodes[2].catchUp()
		c.nodes[3].catchUp()
		time.Sleep(25 * time.Millisecond)
		c.nodes[1].catchUp()
		begin := time.Now()
		c.acked(c.nodes[1].produce(c.nodes[1].find(2, 0), "v"))
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("asked again after %v", took)
		}

		c.commit(topic("c", 3, partitions(1, everywhere())))
		c.nodes[2].catchUp()
		c.nodes[3].catchUp()
		fetches, _ := c.nodes[1].served()
		calm()
		if now, _ := c.nodes[1].served(); now-fetches > 260 || now-fetches < 60 {
			t.Errorf("%d fetches in %v", now-fetches, 30*time.Second)
		}
		s := c.state(3, 0)
		s.PartitionEpoch++
		c.do(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{3}, State: s})
		begin = time.Now()
		c.acked(c.nodes[1].produce(c.nodes[1].find(3, 0), "v"))
		if took := time.Since(begin); took > 50*time.Millisecond {
			t.Errorf("asked again %v after the change", took)
		}
		calm()
		m, p := c.nodes[2].manager(), c.nodes[2].find(3, 0)
		c.nodes[2].stop()
		if last := m.fetchers.following[p].pause.last; last != 0 {
			t.Errorf("the next failure is the first one, and would count for %v", last)
		}
	})
}

// REP-2, PAR-2: a leader that was cut off comes back with records that nobody acknowledged. It drops them, and all are equal.
func TestDeposedLeaderDropsWhatWasNotAcknowledged(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		c.acked(c.nodes[1].produce(c.nodes[1].find(1, 0), "first"))
		c.setFault(func(from, to kafka.BrokerID, q *kmsg.FetchRequest) fault { return fault{lost: to == 1 || from == 1} })
		lost := c.nodes[1].produce(c.nodes[1].find(1, 0), "lost 1", "lost 2")
		c.nodes[1].produce(c.nodes[1].find(1, 0), "lost 3")
		time.Sleep(time.Second)
		c.lead(1, 0, 2)
		c.nodes[2].catchUp()
		c.nodes[3].catchUp()
		acked := c.nodes[2].produce(c.nodes[2].find(1, 0), "second")
		time.Sleep(time.Second)
		if len(acked) > 0 {
			t.Error("acknowledged without the third replica")
		}
		c.setFault(nil)
		c.nodes[1].catchUp()
		c.acked(acked)
		if err := <-lost; kafka.CodeOf(err) != kafka.NotLeaderOrFollower {
			t.Errorf("the producer of lost records was told %v", err)
		}
		calm()
		if got := valuesOf(t, c.same(1, 0)); strings.Join(got, " ") != "first second" {
			t.Errorf("the logs have %q", got)
		}
	})
}

// setFault changes what happens to requests, and breaks all connections.
func (c *cluster) setFault(fn func(from, to kafka.BrokerID, q *kmsg.FetchRequest) fault) {
	c.mu.Lock()
	c.fault = fn
	c.mu.Unlock()
	for _, n := range c.nodes {
		n.mu.Lock()
		for conn := range n.conns {
			conn.cut()
		}
		n.mu.Unlock()
	}
	time.Sleep(10 * time.Millisecond)
}

// A topic that is deleted and created anew under its name has other logs: nothing of the old one comes into them.
func TestTopicMadeAnewHasNothingOfTheOld(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		for i := byte(1); i <= 5; i++ {
			c.do(topic("a", i, partitions(1, everywhere())))
			c.acked(c.nodes[1].produce(c.nodes[1].find(i, 0), fmt.Sprint("of ", i)))
			c.nodes[1].produce(c.nodes[1].find(i, 0), "more")
			if i == 5 {
				break
			}
			c.commit(&metadata.RemoveTopicRecord{ID: kafka.UUID{i}})
			c.nodes[kafka.BrokerID(i%3+1)].catchUp()
			time.Sleep(time.Millisecond)
		}
		calm()
		if got := valuesOf(t, c.same(5, 0)); strings.Join(got, " ") != "of 5 more" {
			t.Errorf("the log has %q", got)
		}
	})
}

// REP-3: a follower's log whose disk fails is set aside, said once, and does not hold up the others.
func TestFailedLogDoesNotHoldUpOthers(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(2, everywhere())))
		calm()
		two := c.nodes[2]
		two.engine.breakLog(two.find(1, 0).ID())
		pending := c.nodes[1].produce(c.nodes[1].find(1, 0), "v")
		c.acked(c.nodes[1].produce(c.nodes[1].find(1, 1), "v"))
		if len(pending) > 0 {
			t.Error("acknowledged without the replica whose disk failed")
		}
		calm()
		if c.acked(pending); len(c.state(1, 0).ISR) != 2 || len(c.state(1, 1).ISR) != 3 {
			t.Errorf("in sync are %v and %v", c.state(1, 0).ISR, c.state(1, 1).ISR)
		}
		if n := two.manager().Counts(); n.Offline != 1 || n.Following.Failed != 1 || n.Following.Behind < 20*time.Second {
			t.Errorf("counts %+v", n)
		}
		if n := c.nodes[1].manager().Counts(); n.UnderReplicated != 1 {
			t.Errorf("counts of the leader %+v", n)
		}
		if said := strings.Count(two.logged.String(), "is set aside because its log failed"); said != 1 {
			t.Errorf("said %d times: %s", said, two.logged.String())
		}
		two.engine.mend()
		two.stop()
		two.start()
		calm()
		c.same(1, 0)
		if len(c.state(1, 0).ISR) != 3 {
			t.Errorf("in sync are %v after the repair", c.state(1, 0).ISR)
		}
	})
}

// REP-2: the leader counts on what a follower asks for, so it is told of nothing that is not durable there. A disk that takes too long is waited for apart,
// and the partitions of others go on (REP-3).
func TestLeaderIsToldOnlyWhatIsDurable(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(2, everywhere())))
		calm()
		one, two := c.nodes[1], c.nodes[2]
		release := two.engine.hold(two.find(1, 0).ID())
		pending := one.produce(one.find(1, 0), "v")
		time.Sleep(syncPatience + 100*time.Millisecond)
		if got := two.contents(two.find(1, 0)); len(got) == 0 {
			t.Error("nothing was appended")
		}
		for i := range 100 {
			begin := time.Now()
			c.acked(one.produce(one.find(1, 1), fmt.Sprint(i)))
			if took := time.Since(begin); took > 10*time.Millisecond {
				t.Errorf("the other partition waited %v", took)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if len(pending) > 0 {
			t.Error("acknowledged before it was durable")
		}
		if n := two.manager().Counts(); n.Following.Failed != 1 || n.Offline != 0 {
			t.Errorf("counts %+v", n)
		}
		release()
		c.acked(pending)
		calm()
		c.same(1, 0)
		if n := two.manager().Counts(); n.Following.Failed != 0 || n.Following.Behind != 0 {
			t.Errorf("counts %+v", n)
		}
	})
}

// A follower whose records were all deleted at the leader starts over where that begins; one that lags less is trimmed.
func TestFollowerGoesOnWhereTheLeaderBegins(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(2, everywhere())))
		one := c.nodes[1]
		c.acked(one.produce(one.find(1, 0), "a", "b"))
		c.acked(one.produce(one.find(1, 1), "a", "b"))
		c.nodes[2].stop()
		for range 3 {
			one.produce(one.find(1, 0), "c", "d")
		}
		calm() // it is no longer in sync, and the rest is committed without it
		if _, err := one.find(1, 0).TrimTo(context.Background(), 6); err != nil {
			t.Fatal(err)
		}
		// That one counts as in sync of this partition, of which it lacks nothing, so its leader would wait for it.
		if _, err := one.find(1, 1).Trim(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		c.nodes[2].start()
		calm()
		c.same(1, 0)
		c.same(1, 1)
		if p := c.nodes[2].find(1, 0); p.LogStart() != 6 {
			t.Errorf("log start %d", p.LogStart())
		}
		if isr := c.state(1, 0).ISR; len(isr) != 3 {
			t.Errorf("in sync %v", isr)
		}
		if !strings.Contains(c.nodes[2].logged.String(), "starting over") {
			t.Error("nothing was said")
		}
	})
}

// The same where the leader's log begins within a batch, of which the follower gets all.
func TestFollowerGoesOnWithinABatch(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		one := c.nodes[1]
		c.acked(one.produce(one.find(1, 0), "a", "b"))
		c.nodes[2].stop()
		one.produce(one.find(1, 0), "c", "d", "e", "f")
		calm()
		if _, err := one.find(1, 0).TrimTo(context.Background(), 4); err != nil {
			t.Fatal(err)
		}
		c.nodes[2].start()
		calm()
		for range 2 {
			for _, n := range c.nodes {
				p := n.find(1, 0)
				read, err := p.Read(partition.ReadRequest{From: 4, MaxBytes: 1000, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, FromFollower: true})
				if err != nil || read.Records == nil || p.LogStart() != 4 || p.HighWatermark() < 6 {
					t.Fatalf("node %d: log start %d, high watermark %d, read %+v, %v", n.id, p.LogStart(), p.HighWatermark(), read, err)
				}
				read.Records.Release()
			}
			c.acked(one.produce(one.find(1, 0), "g"))
			c.nodes[2].stop()
			c.nodes[2].start()
			calm()
		}
		if isr := c.state(1, 0).ISR; len(isr) != 3 {
			t.Errorf("in sync %v", isr)
		}
	})
}

// Sessions that the leader forgets, connections that break and answers that are lost cost time and nothing else; whoever is down for long falls out of
// the replicas in sync and comes back into them.
func TestBrokenConnectionsAreMadeAnew(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(3, everywhere())))
		n := 0
		c.setFault(func(from, to kafka.BrokerID, q *kmsg.FetchRequest) fault {
			n++
			return fault{lost: n%7 == 0, unanswered: n%5 == 0, forget: n%3 == 0, twice: n%11 == 0}
		})
		for i := range 50 {
			c.acked(c.nodes[1].produce(c.nodes[1].find(1, int32(i%3)), fmt.Sprint(i)))
		}
		c.setFault(nil)
		calm()
		for i := range int32(3) {
			c.same(1, i)
		}
		if f := c.nodes[3].manager().Counts().Following; f.Failures == 0 || f.Silent != 0 {
			t.Errorf("counts %+v", f)
		}
		c.nodes[1].stop()
		time.Sleep(time.Second)
		if f := c.nodes[3].manager().Counts().Following; f.Silent != 1 || f.Behind < 900*time.Millisecond {
			t.Errorf("counts while the leader is down %+v", f)
		}
		c.nodes[1].start()
		c.acked(c.nodes[1].produce(c.nodes[1].find(1, 0), "again"))
	})
}

// A leader that is fenced is not dialled; when it is not fenced any more it is, at once.
func TestFencedLeaderIsNotDialled(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.commit(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 100, Fenced: true}})
		c.do(topic("a", 1, partitions(1, everywhere())))
		calm()
		if n := c.nodes[2].dialled(); n != 0 {
			t.Errorf("dialled %d times", n)
		}
		c.do(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 104}})
		begin := time.Now()
		c.acked(c.nodes[1].produce(c.nodes[1].find(1, 0), "v"))
		if took := time.Since(begin); took > 50*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// REP-4: fetches carry the epoch of this broker's registration, also after it has changed.
func TestFetchesCarryTheBrokerEpoch(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		seen := map[int64]int{}
		c.setFault(func(from, to kafka.BrokerID, q *kmsg.FetchRequest) fault {
			if q != nil && from == 2 {
				seen[q.ReplicaState.Epoch]++
			}
			return fault{}
		})
		c.do(topic("a", 1, partitions(1, metadata.Partition{Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{1, 2}, Leader: 1})))
		time.Sleep(time.Second)
		c.do(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Epoch: 777}})
		time.Sleep(time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(seen) != 2 || seen[101] == 0 || seen[777] == 0 {
			t.Errorf("epochs %v", seen)
		}
	})
}

// A partition that moves to other brokers is deleted here, and its fetcher ends with it; the last one closes its connection.
func TestReplicaThatMovesAwayIsDeleted(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		c.acked(c.nodes[1].produce(c.nodes[1].find(1, 0), "v"))
		s := c.state(1, 0)
		id := c.nodes[3].find(1, 0).ID()
		s.Replicas, s.ISR, s.PartitionEpoch = []kafka.BrokerID{1, 2}, []kafka.BrokerID{1, 2}, 1
		c.do(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, State: s})
		time.Sleep(time.Second)
		logs, err := c.nodes[3].engine.List()
		if err != nil || len(logs) != 0 {
			t.Errorf("%v is still there: %v, %v", id, logs, err)
		}
		if f := c.nodes[3].manager().Counts().Following; f.Fetchers != 0 || f.Partitions != 0 {
			t.Errorf("counts %+v", f)
		}
		if conns := c.nodes[1].connected(); conns != 1 {
			t.Errorf("%d connections to the leader", conns)
		}
		s.Replicas, s.PartitionEpoch = []kafka.BrokerID{1, 2, 3}, 2
		c.do(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, State: s})
		calm()
		c.same(1, 0)
		if len(c.state(1, 0).ISR) != 3 {
			t.Errorf("state %+v", c.state(1, 0))
		}
	})
}

// While a partition has no leader nothing is fetched, and what it had is there when it has one again.
func TestNobodyFetchesWithoutLeader(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		c.acked(c.nodes[1].produce(c.nodes[1].find(1, 0), "v"))
		c.lead(1, 0, kafka.NoBroker)
		c.catchUp()
		time.Sleep(time.Second)
		for id, n := range c.nodes {
			if f := n.manager().Counts().Following; f.Fetchers != 0 {
				t.Errorf("node %d: %+v", id, f)
			}
			if _, err := n.find(1, 0).Read(partition.ReadRequest{CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker}); kafka.CodeOf(err) != kafka.NotLeaderOrFollower {
				t.Errorf("node %d: %v", id, err)
			}
		}
		c.lead(1, 0, 3)
		c.catchUp()
		c.acked(c.nodes[3].produce(c.nodes[3].find(1, 0), "w"))
		calm()
		if got := valuesOf(t, c.same(1, 0)); strings.Join(got, " ") != "v w" {
			t.Errorf("the logs have %q", got)
		}
	})
}
