package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
)

// others are the other brokers: they take dead letters and know log ends.
type others struct {
	mu      sync.Mutex
	refuse  []error // of the next requests
	asked   []string
	letters []record.Record
	ends    map[kafka.TopicPartition]int64
}

func (o *others) Kafka(_ context.Context, to kafka.BrokerID, q kmsg.Request) (kmsg.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, fmt.Sprintf("%d %s v%d", to, kmsg.NameForKey(q.Key()), q.GetVersion()))
	var code kafka.ErrorCode
	if len(o.refuse) > 0 {
		err := o.refuse[0]
		o.refuse = o.refuse[1:]
		c, ok := err.(kafka.ErrorCode)
		if !ok {
			return nil, err
		}
		code = c
	}
	switch q := q.(type) {
	case *kmsg.ProduceRequest:
		a := kmsg.NewPtrProduceResponse()
		for _, t := range q.Topics {
			topic := kmsg.ProduceResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, int16(code)
				if code == kafka.None && q.Acks == -1 {
					for r, err := range record.Records(slices.Clone(p.Records), 0) {
						if err != nil {
							return nil, err
						}
						o.letters = append(o.letters, r)
					}
				}
				topic.Partitions = append(topic.Partitions, part)
			}
			a.Topics = append(a.Topics, topic)
		}
		return a, nil
	case *kmsg.ListOffsetsRequest:
		a := kmsg.NewPtrListOffsetsResponse()
		for _, t := range q.Topics {
			topic := kmsg.ListOffsetsResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				part := kmsg.NewListOffsetsResponseTopicPartition()
				end, known := o.ends[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}]
				if part.Partition, part.Offset = p.Partition, end; !known || p.Timestamp != -1 {
					part.ErrorCode = int16(kafka.NotLeaderOrFollower)
				}
				topic.Partitions = append(topic.Partitions, part)
			}
			a.Topics = append(a.Topics, topic)
		}
		return a, nil
	}
	return nil, kafka.UnsupportedVersion
}

// ledBy makes a topic whose partitions are led by these brokers.
func (w *world) ledBy(name string, id byte, leaders ...kafka.BrokerID) {
	w.Helper()
	var runs []metadata.PartitionRun
	for _, l := range leaders {
		runs = append(runs, metadata.PartitionRun{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{l}, ISR: []kafka.BrokerID{l}, Leader: l}})
	}
	w.fold(&metadata.TopicRecord{Name: name, ID: kafka.UUID{id}, Partitions: runs})
}

func newClusteredWorld(t *testing.T) (*world, *others) {
	w := newWorld(t)
	o := &others{ends: map[kafka.TopicPartition]int64{}}
	w.Manager.Close()
	w.peers = o
	w.start()
	return w, o
}

// QUE-4: a dead letter goes to the broker that leads its partition, and is tried until that has it: also while the leader moves, cannot be reached,
// or has a circuit that is open.
func TestDeadLettersGoToTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newClusteredWorld(t)
		w.topic("jobs", 1, 1)
		w.ledBy("dlq.jobs", 2, 3)
		w.set(func() {
			w.share.DeadLetterTopic, w.share.DeadLetterCopyRecord = "dlq.jobs", true
			w.values[keyDeadLetterPrefix], w.values[keyDeadLetterTopic], w.values[keyMaxBatch] = "dlq.", "true", "1000000"
		})
		w.produce("jobs", 0, values("x", "y")...)
		o.refuse = []error{kafka.NotLeaderOrFollower, kafka.Errorf(kafka.BrokerNotAvailable, "lately"), context.DeadlineExceeded, kafka.NotEnoughReplicas}
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 1, share.AckReject}), kafka.None)
		synctest.Wait()
		if s := w.states.of(p(1, 0)); s.start != 0 || w.Stats().DeadLetterLost.Load() != 0 {
			t.Errorf("start offset %d, %d lost, before the dead letters are written", s.start, w.Stats().DeadLetterLost.Load())
		}
		time.Sleep(5 * letterBackoffMax)
		synctest.Wait()
		if s := w.states.of(p(1, 0)); s.start != 2 {
			t.Errorf("start offset %d", s.start)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.letters) != 2 || string(o.letters[1].Value) != "y" || header(o.letters[1], headerOffset) != "1" || len(o.asked) != 5 || o.asked[4] != "3 Produce v12" {
			t.Errorf("%v, asked %q", o.letters, o.asked)
		}
	})
}

// A partition without a leader gets its dead letters when it has one.
func TestDeadLettersWaitForALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newClusteredWorld(t)
		w.topic("jobs", 1, 1)
		w.ledBy("dlq.jobs", 2, kafka.NoBroker)
		w.set(func() {
			w.share.DeadLetterTopic = "dlq.jobs"
			w.values[keyDeadLetterPrefix], w.values[keyDeadLetterTopic] = "dlq.", "true"
		})
		w.produce("jobs", 0, values("x")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckReject}), kafka.None)
		time.Sleep(time.Minute)
		if s := w.states.of(p(1, 0)); s.start != 0 {
			t.Errorf("start offset %d", s.start)
		}
		led := w.image().Topics.ByName("dlq.jobs").Partitions[0]
		led.Leader, led.LeaderEpoch = 2, 1
		w.fold(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{2}, State: led})
		time.Sleep(2 * letterBackoffMax)
		synctest.Wait()
		if s := w.states.of(p(1, 0)); s.start != 1 || len(o.letters) != 1 {
			t.Errorf("start offset %d, %d letters", s.start, len(o.letters))
		}
	})
}

// The coordinator of a group describes its lag also where other brokers lead.
func TestLagOfPartitionsLedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newClusteredWorld(t)
		w.ledBy("jobs", 1, 1, 2, 2, 3, kafka.NoBroker)
		w.groups.initialized = []group.TopicIDPartitions{{TopicID: kafka.UUID{1}, Topic: "jobs", Partitions: []int32{0, 1, 2, 3, 4}}}
		w.produce("jobs", 0, values("a", "b")...)
		for i := range int32(5) {
			w.states.all[partitionKey{"g", p(1, i)}] = &stored{start: 1, offsets: map[int64]offsetState{}}
		}
		o.ends[kafka.TopicPartition{Topic: "jobs", Partition: 1}] = 11
		o.ends[kafka.TopicPartition{Topic: "jobs", Partition: 3}] = 31
		got := ""
		for _, p := range w.describeOffsets("g").Topics[0].Partitions {
			got += fmt.Sprintf("%d: start %d lag %d %v\n", p.Partition, p.StartOffset, p.Lag, kafka.ErrorCode(p.ErrorCode))
		}
		want := `0: start 1 lag 1 NONE
1: start 1 lag 10 NONE
2: start -1 lag -1 NOT_LEADER_OR_FOLLOWER
3: start 1 lag 30 NONE
4: start -1 lag -1 LEADER_NOT_AVAILABLE
`
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		if len(o.asked) != 2 {
			t.Errorf("asked %q", o.asked)
		}
		o.refuse = []error{kafka.Errorf(kafka.BrokerNotAvailable, "gone"), kafka.Errorf(kafka.BrokerNotAvailable, "gone")}
		if p := w.describeOffsets("g").Topics[0].Partitions[1]; kafka.ErrorCode(p.ErrorCode) != kafka.NetworkException {
			t.Errorf("%+v", p)
		}
	})
}
