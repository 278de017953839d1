package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ledBy makes the one partition of topic "a" led by a broker in an epoch.
func (w *world) ledBy(leader kafka.BrokerID, epoch kafka.LeaderEpoch, isr ...kafka.BrokerID) {
	w.Helper()
	led := metadata.Partition{Replicas: []kafka.BrokerID{1, 2}, ISR: isr, Leader: leader, LeaderEpoch: epoch, PartitionEpoch: int32(epoch)}
	if w.img.Topics.ByName("a") != nil {
		w.fold(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, State: led})
		return
	}
	w.fold(&metadata.TopicRecord{Name: "a", ID: kafka.UUID{1}, Partitions: []metadata.PartitionRun{{Count: 1, Partition: led}}})
}

// KIP-951: a client that was told of the new leader before that one was is not sent away again.
func TestRequestsWaitForTheImageThatTheirSenderHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("b", 2, 1)
		w.ledBy(2, 3, 1, 2)
		elected := func(epoch kafka.LeaderEpoch) (done chan struct{}) {
			done = make(chan struct{})
			go func() {
				defer close(done)
				time.Sleep(30 * time.Millisecond)
				w.ledBy(1, epoch, 1, 2)
			}()
			return done
		}
		begin := time.Now()
		done := elected(4)
		r := w.produce(1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)}, ProducePartition{Topic: "b", Records: plainBatch(1, 1)})
		<-done
		wantCode(t, r[0].Err, kafka.None)
		wantCode(t, r[1].Err, kafka.None)
		if took := time.Since(begin); took < 30*time.Millisecond || took > 30*time.Millisecond+rolePause {
			t.Errorf("the write took %v", took)
		}

		begin, done = time.Now(), elected(5)
		at := from("a", 0, 0)
		at.LeaderEpoch = 5
		f := w.fetch(fetchRequest(0, 1<<20, at))
		<-done
		wantCode(t, f[0].Err, kafka.None)
		if took := time.Since(begin); took > 30*time.Millisecond+rolePause {
			t.Errorf("the fetch took %v", took)
		}
	})
}

// Who asks a broker that will not lead the partition is told so: at once where that is likely, and soon where it is not.
func TestRequestsToTheWrongBrokerDoNotWaitLong(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world)
		want time.Duration
	}{
		{"in sync, and never led", func(w *world) { w.ledBy(2, 3, 1, 2) }, rolePatience},
		{"not in sync", func(w *world) { w.ledBy(2, 3, 2) }, 0},
		{"led until just now", func(w *world) { w.ledBy(1, 3, 1, 2); w.ledBy(2, 4, 1, 2) }, 0},
		{"led some time ago", func(w *world) { w.ledBy(1, 3, 1, 2); w.ledBy(2, 4, 1, 2); time.Sleep(2 * time.Second) }, rolePatience},
		{"too many wait", func(w *world) { w.ledBy(2, 3, 1, 2); w.roleWaits.n.Store(mostAwaitRole) }, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c.do(w)
			begin := time.Now()
			r := w.produce(-1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0]
			wantCode(t, r.Err, kafka.NotLeaderOrFollower)
			if took := time.Since(begin); took != c.want || r.Leader != 2 {
				t.Errorf("%s: after %v: %+v", c.name, took, r)
			}
		})
	}
}

// A leader without a lease, as after it or the controller stood still, takes a write as soon as it has one again. Until it knows of another leader it
// names itself, in the same epoch, to who has waited: clients that are named nobody stay away for longer.
func TestWritesWaitForTheLease(t *testing.T) {
	for _, c := range []struct {
		name  string
		back  time.Duration // when the lease comes back; 0: never
		crowd int32         // requests that wait already
		code  kafka.ErrorCode
		after time.Duration
		names kafka.BrokerID
	}{
		{"it comes back", 30 * time.Millisecond, 0, kafka.None, 30 * time.Millisecond, kafka.NoBroker},
		{"it does not", 0, 0, kafka.NotLeaderOrFollower, rolePatience, 1},
		{"too many wait", 0, mostAwaitRole, kafka.NotLeaderOrFollower, 0, kafka.NoBroker},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.ledBy(1, 3, 1)
			w.noLease.Store(true)
			w.roleWaits.n.Store(c.crowd)
			if c.back > 0 {
				go func() { time.Sleep(c.back); w.noLease.Store(false) }()
			}
			begin := time.Now()
			r := w.produce(1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0]
			if took := time.Since(begin); kafka.CodeOf(r.Err) != c.code || took < c.after || took > c.after+rolePause || r.Leader != c.names {
				t.Errorf("%s: after %v: %+v", c.name, took, r)
			}
		})
	}
}
