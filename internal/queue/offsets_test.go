package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

func (w *world) describeOffsets(name string, topics ...kmsg.DescribeShareGroupOffsetsRequestGroupTopic) kmsg.DescribeShareGroupOffsetsResponseGroup {
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	req.Version = 1
	req.Groups = []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: name, Topics: topics}}
	return w.DescribeShareGroupOffsets(context.Background(), req).Groups[0]
}

// The lag is what lies between the start offset and the log end and is not dealt with.
func TestOffsetsAreDescribedWithLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 2)
		w.groups.initialized = []group.TopicIDPartitions{{TopicID: kafka.UUID{1}, Topic: "jobs", Partitions: []int32{0, 1}}}
		w.produce("jobs", 0, values("a", "b", "c", "d")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.None)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 2, 2, share.AckAccept}), kafka.None)
		g := w.describeOffsets("g")
		if len(g.Topics) != 1 || len(g.Topics[0].Partitions) != 2 {
			t.Fatalf("%+v", g)
		}
		if p0 := g.Topics[0].Partitions[0]; p0.StartOffset != 1 || p0.Lag != 2 {
			t.Errorf("start offset %d, lag %d; want 1 and 2", p0.StartOffset, p0.Lag)
		}
		if p1 := g.Topics[0].Partitions[1]; p1.StartOffset != -1 || p1.Lag != -1 {
			t.Errorf("start offset %d, lag %d of a partition that nobody has read", p1.StartOffset, p1.Lag)
		}
		wantCode(t, kafka.ErrorCode(w.describeOffsets("other").ErrorCode), kafka.GroupIDNotFound)
		none := w.describeOffsets("g", kmsg.DescribeShareGroupOffsetsRequestGroupTopic{Topic: "none", Partitions: []int32{3}})
		if p3 := none.Topics[0].Partitions[0]; none.ErrorCode != 0 || p3.ErrorCode != 0 || p3.StartOffset != -1 {
			t.Errorf("%+v", none)
		}
	})
}

// A group without members begins where an admin says; who read the old state on this node does so no more.
func TestOffsetsAreAltered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a", "b", "c")...)
		m := w.member("one", p(1, 0))
		wantTexts(t, m.fetch(0), "a", "b", "c")
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 2, share.AckAccept}), kafka.None)
		m.close()
		req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		req.GroupID = "g"
		req.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{
			{Topic: "jobs", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{Partition: 0, StartOffset: 1}, {Partition: 5, StartOffset: 1}}},
			{Topic: "none", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{Partition: 0, StartOffset: 1}}},
		}
		resp := w.AlterShareGroupOffsets(context.Background(), req)
		wantCode(t, kafka.ErrorCode(resp.ErrorCode), kafka.None)
		wantCode(t, kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode), kafka.None)
		wantCode(t, kafka.ErrorCode(resp.Topics[0].Partitions[1].ErrorCode), kafka.UnknownTopicOrPartition)
		wantCode(t, kafka.ErrorCode(resp.Topics[1].Partitions[0].ErrorCode), kafka.UnknownTopicOrPartition)
		if n := len(w.groups.initialized); n != 1 {
			t.Errorf("the group was told of %d topics", n)
		}
		wantTexts(t, m.fetch(0), "b", "c")
		w.groups.refuse = kafka.NonEmptyGroup
		wantCode(t, kafka.ErrorCode(w.AlterShareGroupOffsets(context.Background(), req).ErrorCode), kafka.NonEmptyGroup)
	})
}

// A group that forgets a topic begins it anew; a topic that it does not know is told.
func TestOffsetsAreDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.groups.initialized = []group.TopicIDPartitions{{TopicID: kafka.UUID{1}, Topic: "jobs", Partitions: []int32{0}}}
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.None)
		m.close()
		req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
		req.GroupID = "g"
		req.Topics = []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: "jobs"}, {Topic: "none"}}
		resp := w.DeleteShareGroupOffsets(context.Background(), req)
		wantCode(t, kafka.ErrorCode(resp.ErrorCode), kafka.None)
		wantCode(t, kafka.ErrorCode(resp.Topics[0].ErrorCode), kafka.None)
		wantCode(t, kafka.ErrorCode(resp.Topics[1].ErrorCode), kafka.UnknownTopicOrPartition)
		if len(w.groups.deleted) != 1 {
			t.Errorf("the group was told of %v", w.groups.deleted)
		}
		wantTexts(t, m.fetch(0), "a")
		w.groups.refuse = kafka.GroupIDNotFound
		wantCode(t, kafka.ErrorCode(w.DeleteShareGroupOffsets(context.Background(), req).ErrorCode), kafka.GroupIDNotFound)
	})
}

// QUE-8: what the groups' coordinator asks for is done, and it is told; what cannot be done now is tried again for a while.
func TestStatesBeginAndEndAsTheGroupSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		parts := []group.TopicIDPartitions{{TopicID: kafka.UUID{1}, Topic: "jobs", Partitions: []int32{0}, StartOffset: 7}}
		if w.OnGroupEffect("something else") {
			t.Error("takes what is not about share groups")
		}
		if !w.OnGroupEffect(group.InitShareState{Group: "g", Epoch: 3, Partitions: parts}) {
			t.Error("does not take the effect")
		}
		synctest.Wait()
		if s := w.states.of(p(1, 0)); len(w.groups.initialized) != 1 || s.epoch != 3 || s.start != 7 {
			t.Errorf("the group was told %v, the state is %+v", w.groups.initialized, s)
		}
		w.states.mu.Lock()
		w.states.fail = kafka.CoordinatorLoadInProgress
		w.states.mu.Unlock()
		w.OnGroupEffect(group.DeleteShareState{Group: "g", Partitions: parts})
		synctest.Wait()
		w.groups.mu.Lock()
		if len(w.groups.deleted) != 0 {
			t.Errorf("the group was told %v", w.groups.deleted)
		}
		w.groups.mu.Unlock()
		w.states.mu.Lock()
		w.states.fail = kafka.None
		w.states.mu.Unlock()
		time.Sleep(10 * time.Second)
		w.groups.mu.Lock()
		defer w.groups.mu.Unlock()
		if len(w.groups.deleted) != 1 {
			t.Errorf("the group was told %v", w.groups.deleted)
		}
	})
}
