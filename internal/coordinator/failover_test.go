package coordinator

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// changeISR changes the replicas in sync of a partition, and nothing else of it.
func (w *world) changeISR(partition int32, isr ...kafka.BrokerID) {
	w.t.Helper()
	s := w.img.Load().Topics.ByName("__counters").Partitions[partition]
	s.ISR = isr
	s.PartitionEpoch++
	w.apply(&metadata.PartitionChangeRecord{TopicID: w.topic, Partition: partition, State: s})
}

// behind makes the last n records of a partition ones that are not known to be committed, as a new leader finds them.
func (l *memLog) behind(i int32, n kafka.Offset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.at(i)
	l.held, p.hw = true, p.end-n
}

// COR-2, COR-4: a new leader serves nobody before what it found in its log is committed, whether the last leader knew it to be or not.
func TestUncommittedTailIsSeenByNobody(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		for range 3 {
			if _, err := w.add("a", 1); err != nil {
				t.Fatal(err)
			}
		}
		w.lead(0, 2)
		w.log.behind(0, 2)
		w.lead(0, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := w.read("a"); kafka.CodeOf(err) != kafka.CoordinatorLoadInProgress || w.rt.Phase(0) != PhaseLoading {
			t.Errorf("a read is answered by %v in phase %v", err, w.rt.Phase(0))
		}
		if _, err := w.add("a", 1); kafka.CodeOf(err) != kafka.CoordinatorLoadInProgress {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.rt.Ready(ctx, 0); kafka.CodeOf(err) != kafka.CoordinatorLoadInProgress {
			t.Error(err)
		}
		w.log.hold(false)
		synctest.Wait()
		if n, err := w.read("a"); n != 3 || err != nil || w.log.countLoads() != 2 {
			t.Errorf("%d %v after %d loads", n, err, w.log.countLoads())
		}
	})
}

// Shards whose logs are not replicated yet do not keep others from being loaded.
func TestLoadsDoNotWaitForEachOthersReplication(t *testing.T) {
	bubble(t, 6, func(t *testing.T, w *world) {
		for i := range int32(6) {
			w.lead(i, 2)
		}
		w.log.hold(true)
		for i := range int32(5) {
			w.log.at(i).end = 10 // of records that are compacted away
			w.lead(i, 1)
		}
		w.lead(5, 1)
		synctest.Wait()
		for i := range int32(5) {
			if w.rt.Phase(i) != PhaseLoading {
				t.Errorf("partition %d is %v", i, w.rt.Phase(i))
			}
		}
		if w.rt.Phase(5) != PhaseActive {
			t.Errorf("an empty partition is %v", w.rt.Phase(5))
		}
	})
}

// A partition that is lost while its shard waits for the commit is read anew, and its watchers are gone.
func TestPartitionLostWhileItsTailIsUncommitted(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		_, _ = w.add("a", 1)
		w.lead(0, 2)
		w.log.behind(0, 1)
		w.lead(0, 1)
		synctest.Wait()
		w.log.lose(0)
		synctest.Wait()
		if w.rt.Phase(0) != PhaseFailed {
			t.Error(w.rt.Phase(0))
		}
		w.log.commit(0)
		time.Sleep(2 * firstRetry)
		synctest.Wait()
		if n, err := w.read("a"); n != 1 || err != nil || w.log.countLoads() != 3 || w.log.watchers(0) != 1 {
			t.Errorf("%d %v, %d loads, %d watch", n, err, w.log.countLoads(), w.log.watchers(0))
		}
		w.lead(0, 2)
		w.log.behind(0, 1)
		w.lead(0, 1)
		synctest.Wait()
		w.lead(0, 2)
		synctest.Wait()
		if w.rt.Phase(0) != PhaseNone || w.log.watchers(0) != 0 {
			t.Errorf("phase %v, %d watch", w.rt.Phase(0), w.log.watchers(0))
		}
	})
}

// COR-2, COR-5: once the partition is led elsewhere no high watermark counts: it may be that of other records in the place of those that wait.
func TestWatermarkOfAnotherLeaderCommitsNothing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		w.log.hold(true)
		done := make(chan error, 2)
		go func() { _, err := w.add("a", 1); done <- err }()
		go func() {
			_, err := AskLater(context.Background(), w.rt, "a", func(c *counters, op *Op, r *Reply[int]) {
				op.Effect("of a record that is lost")
				r.Give(op, c.add(op, "a", 1))
			})
			done <- err
		}()
		synctest.Wait()
		h, _ := w.rt.at(0)
		h.mu.Lock() // who tells the shard that it is lost comes late
		h.watch(kafka.NoOffset)
		h.watch(10)
		h.mu.Unlock()
		synctest.Wait()
		for range 2 {
			if err := <-done; kafka.CodeOf(err) != kafka.NotCoordinator {
				t.Errorf("an operation of a deposed leader ended with %v", err)
			}
		}
		if len(w.effects()) > 0 {
			t.Error("its effects happened")
		}
	})
}

// COR-5: a change of the replicas in sync leaves a shard as it is; an election in a later epoch reads the log anew, even if the leader is the same.
func TestOnlyAnotherLeaderOrEpochEndsAShard(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		if _, err := w.add("a", 1); err != nil {
			t.Fatal(err)
		}
		w.log.hold(true)
		done := make(chan string, 2)
		go func() { n, err := w.add("a", 1); done <- fmt.Sprint(n, kafka.CodeOf(err)) }()
		synctest.Wait()
		w.changeISR(0, 1, 2)
		w.changeISR(0, 1)
		w.log.hold(false)
		if got := <-done; got != "2 NONE" || w.log.countLoads() != 1 {
			t.Errorf("%s, %d loads", got, w.log.countLoads())
		}
		w.log.hold(true)
		go func() { n, err := w.add("a", 1); done <- fmt.Sprint(n, kafka.CodeOf(err)) }()
		synctest.Wait()
		w.lead(0, 1)
		if got := <-done; got != "0 NOT_COORDINATOR" {
			t.Error(got)
		}
		w.log.hold(false)
		synctest.Wait()
		if n, err := w.read("a"); n != 3 || err != nil || w.log.countLoads() != 2 {
			t.Errorf("%d %v, %d loads", n, err, w.log.countLoads())
		}
	})
}

// Shards are not bothered with elections and changes of replicas.
func TestShardsHearOfTopicsOnly(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		changes := func() (n int) {
			if err := Each(w.rt, func(c *counters, v View) { n += c.changes.GetAt(v.Committed) }); err != nil {
				t.Error(err)
			}
			return n
		}
		one := metadata.PartitionRun{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}
		w.apply(&metadata.TopicRecord{ID: kafka.UUID{7}, Name: "other", Partitions: []metadata.PartitionRun{one}})
		before := changes()
		s := w.img.Load().Topics.ByName("other").Partitions[0]
		s.Leader, s.LeaderEpoch = 2, s.LeaderEpoch+1
		w.changeISR(0, 1, 3)
		w.apply(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{7}, State: s})
		if now := changes(); now != before {
			t.Errorf("told of %d changes", now-before)
		}
		w.apply(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{7}, State: s}, &metadata.TopicRecord{ID: kafka.UUID{8}, Name: "third"})
		if now := changes(); now != before+1 {
			t.Errorf("told of %d changes, want 1", now-before)
		}
	})
}

// COR-8: who has lost its lease, and does not know who leads, answers no reads and nothing else that needs no commit; when it has it again, it does.
func TestReadsEndWithTheLease(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		if _, err := w.add("a", 1); err != nil {
			t.Fatal(err)
		}
		nothing := func() error {
			_, err := Ask(t.Context(), w.rt, "a", func(*counters, *Op) int { return 0 })
			return err
		}
		depose := func(why error) {
			w.log.mu.Lock()
			w.log.deposed = why
			w.log.mu.Unlock()
		}
		depose(kafka.NotLeaderOrFollower)
		if n, err := w.read("a"); kafka.CodeOf(err) != kafka.NotCoordinator {
			t.Errorf("a read is answered by %d, %v", n, err)
		}
		if err := nothing(); kafka.CodeOf(err) != kafka.NotCoordinator {
			t.Error(err)
		}
		if err := Each(w.rt, func(*counters, View) {}); kafka.CodeOf(err) != kafka.NotCoordinator {
			t.Error(err)
		}
		depose(nil)
		if n, err := w.read("a"); n != 1 || err != nil || nothing() != nil {
			t.Error(n, err)
		}
	})
}
