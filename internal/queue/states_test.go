package queue

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/timeline"
)

// stateLog is the topic of the share coordinator in a world.
type stateLog struct {
	w *world
}

const stateTopic = "__share_group_state"

func (l stateLog) Append(i int32, epoch kafka.LeaderEpoch, batch []byte, now time.Time) (kafka.Offset, error) {
	return l.w.partition(stateTopic, i).AppendInternal(batch, epoch, now)
}

func (l stateLog) Leads(i int32, epoch kafka.LeaderEpoch) error {
	return l.w.partition(stateTopic, i).Leads(epoch)
}

func (l stateLog) OnHighWatermark(i int32, fn func(kafka.Offset)) (func(), error) {
	return l.w.partition(stateTopic, i).OnHighWatermark(fn), nil
}

func (l stateLog) Load(i int32, epoch kafka.LeaderEpoch, fn func([]byte) error) (kafka.Offset, error) {
	return l.w.partition(stateTopic, i).ReadAll(context.Background(), epoch, func(b record.Batches) error { return fn(b) })
}

// coordinate puts a real share coordinator in place of the one in memory.
func (w *world) coordinate() *coordinator.Runtime[*share.Shard] {
	w.Manager.Close()
	var creating sync.Mutex
	runtime := coordinator.New(coordinator.Options[*share.Shard]{
		Topic: stateTopic, NodeID: 1, Log: stateLog{w}, Image: w.image, Logger: slog.New(slog.DiscardHandler),
		NewShard: func(reg *timeline.Registry, _ int32) *share.Shard {
			return share.NewShard(share.Env{UpdatesPerSnapshot: func(*metadata.Image) int { return 3 }, TrimInterval: time.Hour}, reg)
		},
	})
	w.Manager = New(Options{
		NodeID: 1, Replicas: w.replicas, Image: w.image, Settings: w, Groups: w.groups, Logger: slog.New(slog.DiscardHandler),
		States: NewStates(runtime, func(context.Context) error {
			creating.Lock() // several share partitions may be the first
			defer creating.Unlock()
			before := w.image()
			if before.Topics.ByName(stateTopic) != nil {
				return nil
			}
			w.topic(stateTopic, 200, 3)
			img, delta, err := metadata.Fold(before, []metadata.Record{&metadata.TopicRecord{Name: stateTopic, ID: kafka.UUID{200}, Partitions: []metadata.PartitionRun{{Count: 3, Partition: metadata.Partition{
				Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1,
			}}}}})
			runtime.Apply(img, delta)
			return err
		}),
	})
	w.Manager.Start()
	return runtime
}

// QUE-3: over the share coordinator itself: its topic is made at first use, states begin when the group says so, and what was acknowledged is known to who
// reads the state after a restart.
func TestStatesLiveInTheShareCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 2)
		runtime := w.coordinate()
		defer runtime.Close()
		defer w.Manager.Close()
		w.produce("jobs", 0, values("a", "b", "c")...)
		m := w.member("one", p(1, 0), p(1, 1))
		wantTexts(t, m.fetch(100*time.Millisecond)) // not begun yet
		w.OnGroupEffect(group.InitShareState{Group: "g", Epoch: 1, Partitions: []group.TopicIDPartitions{
			{TopicID: kafka.UUID{1}, Topic: "jobs", Partitions: []int32{0, 1}, StartOffset: kafka.NoOffset},
		}})
		synctest.Wait()
		wantTexts(t, m.fetch(time.Second), "a", "b", "c")
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 1, 1, share.AckAccept}), kafka.None)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRelease}), kafka.None)
		g := w.describeOffsets("g", kmsg.DescribeShareGroupOffsetsRequestGroupTopic{Topic: "jobs", Partitions: []int32{0, 1}})
		if got := g.Topics[0].Partitions; got[0].StartOffset != 0 || got[0].Lag != 2 || got[1].StartOffset != 0 || got[1].Lag != 0 {
			t.Errorf("%+v", got)
		}
		read := kmsg.NewPtrReadShareGroupStateRequest()
		read.GroupID = "g"
		read.Topics = []kmsg.ReadShareGroupStateRequestTopic{{TopicID: kafka.UUID{1}, Partitions: []kmsg.ReadShareGroupStateRequestTopicPartition{{Partition: 0}}}}
		batches := w.Persister().ReadShareGroupState(t.Context(), read).Topics[0].Partitions[0].StateBatches
		want := []kmsg.ReadShareGroupStateResponseTopicPartitionStateBatch{
			{FirstOffset: 0, LastOffset: 0, DeliveryState: 0, DeliveryCount: 1}, {FirstOffset: 1, LastOffset: 1, DeliveryState: 2, DeliveryCount: 1},
		}
		if !slices.EqualFunc(batches, want, func(a, b kmsg.ReadShareGroupStateResponseTopicPartitionStateBatch) bool {
			return a.FirstOffset == b.FirstOffset && a.LastOffset == b.LastOffset && a.DeliveryState == b.DeliveryState && a.DeliveryCount == b.DeliveryCount
		}) {
			t.Errorf("state batches %+v", batches)
		}
		w.OnGroupEffect(group.DeleteShareState{Group: "g", Partitions: []group.TopicIDPartitions{{TopicID: kafka.UUID{1}, Topic: "jobs", Partitions: []int32{0, 1}}}})
		synctest.Wait()
		if code := kafka.ErrorCode(w.Persister().ReadShareGroupState(t.Context(), read).Topics[0].Partitions[0].ErrorCode); code != kafka.InvalidRequest {
			t.Errorf("the state was read after it was deleted: %v", code)
		}
	})
}

// A request of many partitions is answered for each, in its order, also for those that do not exist and while there is no coordinator.
func TestStatesAnswerEachPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 2)
		runtime := w.coordinate()
		defer runtime.Close()
		defer w.Manager.Close()
		req := kmsg.NewPtrInitializeShareGroupStateRequest()
		req.GroupID = "g"
		for id := range byte(3) {
			topic := kmsg.InitializeShareGroupStateRequestTopic{TopicID: kafka.UUID{id}}
			for i := range int32(150) {
				topic.Partitions = append(topic.Partitions, kmsg.InitializeShareGroupStateRequestTopicPartition{Partition: i, StartOffset: -1})
			}
			req.Topics = append(req.Topics, topic)
		}
		resp := w.Persister().InitializeShareGroupState(t.Context(), req)
		begun := 0
		for i, topic := range resp.Topics {
			if topic.TopicID != req.Topics[i].TopicID || len(topic.Partitions) != 150 {
				t.Fatalf("answer %d is about topic %v with %d partitions", i, topic.TopicID, len(topic.Partitions))
			}
			for j, part := range topic.Partitions {
				if part.Partition != int32(j) {
					t.Fatalf("answer %d is about partition %d", j, part.Partition)
				}
				if part.ErrorCode == 0 {
					begun++
				}
			}
		}
		if begun != 2 {
			t.Errorf("%d states have begun, want those of the two partitions there are", begun)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		runtime.Close()
		code := kafka.ErrorCode(w.Persister().InitializeShareGroupState(ended, req).Topics[1].Partitions[0].ErrorCode)
		if code != kafka.RequestTimedOut {
			t.Errorf("code %v when nobody waits any more", code)
		}
	})
}
