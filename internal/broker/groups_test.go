package broker_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/broker/brokertest"
	"github.com/rafka-io/rafka/internal/kafka"
)

var somebody = &broker.Session{Door: "test", ClientID: "somebody", Host: "10.0.0.7"}

// grouped is a broker that coordinates groups, in three shards; its topic t has two partitions.
func grouped(t *testing.T) *brokertest.Broker {
	b := brokertest.New()
	t.Cleanup(b.StartGroups())
	b.CreateTopics(t.Context(), somebody, []broker.NewTopic{{Name: "t", Partitions: 2, Replication: 1}}, false)
	return b
}

func commit(t *testing.T, b *brokertest.Broker, group string, partition int32, next kafka.Offset) {
	t.Helper()
	tp := kafka.TopicPartition{Topic: "t", Partition: partition}
	if err := broker.CommitOffset(t.Context(), b, somebody, group, broker.GroupMember{}, tp, next); err != nil {
		t.Fatal(err)
	}
}

// The first commit makes the topic that groups are kept in, and offsets are read as they were committed.
func TestCommittedOffsetsAreReadBack(t *testing.T) {
	b := grouped(t)
	commit(t, b, "g", 1, 7)
	got, err := broker.CommittedOffsets(t.Context(), b, somebody, "g", "t")
	if err != nil || fmt.Sprint(got) != "map[1:7]" {
		t.Errorf("%v %v", got, err)
	}
	for _, q := range []struct{ group, topic string }{{"g", "gone"}, {"other", "t"}} {
		if got, err := broker.CommittedOffsets(t.Context(), b, somebody, q.group, q.topic); err != nil || len(got) != 0 {
			t.Errorf("%v: %v %v", q, got, err)
		}
	}
	err = broker.CommitOffset(t.Context(), b, somebody, "g", broker.GroupMember{}, kafka.TopicPartition{Topic: "t", Partition: 9}, 1)
	if kafka.CodeOf(err) != kafka.UnknownTopicOrPartition {
		t.Error(err)
	}
	err = broker.CommitOffset(t.Context(), b, somebody, "g", broker.GroupMember{ID: "stranger", Generation: 3}, kafka.TopicPartition{Topic: "t"}, 1)
	if kafka.CodeOf(err) != kafka.UnknownMemberID && kafka.CodeOf(err) != kafka.IllegalGeneration {
		t.Error(err)
	}
}

// Whoever looks for a coordinator that does not come is told so, and is not kept longer than its context.
func TestAskCoordinatorGivesUp(t *testing.T) {
	b := brokertest.New() // coordinates nothing
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	err := broker.AskCoordinator(ctx, b, somebody, "g", func() error {
		if tries++; tries == 2 {
			cancel()
		}
		return kafka.CoordinatorNotAvailable
	})
	if kafka.CodeOf(err) != kafka.CoordinatorNotAvailable || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// Groups of all shards in one request, in its order; each has its own error. (BRK-1)
func TestManyGroupsAreAnsweredEachOnItsOwn(t *testing.T) {
	b := grouped(t)
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprint("group ", i))
		commit(t, b, names[i], 0, kafka.Offset(i))
	}
	v := b.GroupVerbs()
	list := v.ListGroups(t.Context(), somebody, kmsg.NewPtrListGroupsRequest())
	if list.ErrorCode != 0 || len(list.Groups) != 30 {
		t.Fatalf("%d groups, error %d", len(list.Groups), list.ErrorCode)
	}
	asked := append([]string{"none"}, names...)

	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = asked
	for i, g := range v.DescribeGroups(t.Context(), somebody, describe).Groups {
		want := kafka.None
		if i == 0 {
			want = kafka.GroupIDNotFound
		}
		if g.Group != asked[i] || g.ErrorCode != int16(want) || i > 0 && g.State != "Empty" {
			t.Errorf("%+v", g)
		}
	}

	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Version = 10
	for _, name := range asked {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = name, nil
		fetch.Groups = append(fetch.Groups, g)
	}
	for i, g := range v.OffsetFetch(t.Context(), somebody, fetch).Groups {
		if g.Group != asked[i] || g.ErrorCode != 0 || (len(g.Topics) > 0) != (i > 0) {
			t.Errorf("%+v", g)
		} else if i > 0 && (g.Topics[0].TopicID != b.Image().Topics.ByName("t").ID || g.Topics[0].Partitions[0].Offset != int64(i-1)) {
			t.Errorf("%+v", g)
		}
	}

	remove := kmsg.NewPtrDeleteGroupsRequest()
	remove.Groups = append(asked[:20:20], asked[3]) // one twice
	removed := v.DeleteGroups(t.Context(), somebody, remove).Groups
	if len(removed) != 20 {
		t.Fatalf("%d groups removed", len(removed))
	}
	for i, g := range removed {
		want := kafka.None
		if i == 0 {
			want = kafka.GroupIDNotFound
		}
		if g.Group != asked[i] || g.ErrorCode != int16(want) {
			t.Errorf("%+v", g)
		}
	}
	if list := v.ListGroups(t.Context(), somebody, kmsg.NewPtrListGroupsRequest()); len(list.Groups) != 11 {
		t.Errorf("%d groups are left", len(list.Groups))
	}
}

// Topics that do not exist fail alone, and topics that are gone are not told to who knows only ids. (BRK-1)
func TestOffsetsOfTopicsThatAreNotThere(t *testing.T) {
	b := grouped(t)
	v := b.GroupVerbs()
	commit(t, b, "g", 0, 5)
	q := kmsg.NewPtrOffsetDeleteRequest()
	q.Group = "g"
	for _, name := range []string{"gone", "t"} {
		topic := kmsg.NewOffsetDeleteRequestTopic()
		topic.Topic, topic.Partitions = name, []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 8}}
		q.Topics = append(q.Topics, topic)
	}
	codes := map[string]int16{}
	told := v.OffsetDelete(t.Context(), somebody, q).Topics
	for _, topic := range told {
		for _, p := range topic.Partitions {
			codes[fmt.Sprint(topic.Topic, p.Partition)] = p.ErrorCode
		}
	}
	if got := fmt.Sprint(len(told), codes); got != "2 map[gone0:3 gone8:3 t0:0 t8:3]" {
		t.Error(got)
	}
	q.Group = "none"
	a := v.OffsetDelete(t.Context(), somebody, q)
	for a.ErrorCode == int16(kafka.CoordinatorLoadInProgress) { // its shard is another one, and nobody has waited for that
		runtime.Gosched()
		a = v.OffsetDelete(t.Context(), somebody, q)
	}
	if a.ErrorCode != int16(kafka.GroupIDNotFound) || len(a.Topics) != 0 {
		t.Errorf("%+v", a)
	}
	put := kmsg.NewPtrOffsetCommitRequest()
	put.Version, put.Group = 10, "g"
	put.Topics = []kmsg.OffsetCommitRequestTopic{{Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0}}}}
	if a := v.OffsetCommit(t.Context(), somebody, put); a.Topics[0].Partitions[0].ErrorCode != int16(kafka.UnknownTopicID) {
		t.Errorf("%+v", a)
	}
	byID := kmsg.NewPtrOffsetFetchRequest()
	byID.Version = 10
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = "g", []kmsg.OffsetFetchRequestGroupTopic{{TopicID: kafka.UUID{9}, Partitions: []int32{0}}}
	byID.Groups = append(byID.Groups, g)
	if p := v.OffsetFetch(t.Context(), somebody, byID).Groups[0].Topics[0].Partitions[0]; p.ErrorCode != int16(kafka.UnknownTopicID) || p.Offset != -1 {
		t.Errorf("%+v", p)
	}
}

// A member needs a group with a name.
func TestMembersNeedANamedGroup(t *testing.T) {
	v := grouped(t).GroupVerbs()
	ctx := t.Context()
	for name, code := range map[string]int16{
		"join":               v.JoinGroup(ctx, somebody, kmsg.NewPtrJoinGroupRequest()).ErrorCode,
		"sync":               v.SyncGroup(ctx, somebody, kmsg.NewPtrSyncGroupRequest()).ErrorCode,
		"heartbeat":          v.Heartbeat(ctx, somebody, kmsg.NewPtrHeartbeatRequest()).ErrorCode,
		"leave":              v.LeaveGroup(ctx, somebody, kmsg.NewPtrLeaveGroupRequest()).ErrorCode,
		"describe consumers": v.ConsumerGroupDescribe(ctx, somebody, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{""}}).Groups[0].ErrorCode,
		"describe share":     v.ShareGroupDescribe(ctx, somebody, &kmsg.ShareGroupDescribeRequest{GroupIDs: []string{""}}).Groups[0].ErrorCode,
		"describe streams":   v.StreamsGroupDescribe(ctx, somebody, &kmsg.StreamsGroupDescribeRequest{Groups: []string{""}}).Groups[0].ErrorCode,
	} {
		if code != int16(kafka.InvalidGroupID) {
			t.Errorf("%s: %v", name, kafka.ErrorCode(code))
		}
	}
}

// A broker without groups says so in every answer's own place for it, and so does one whose topic for groups does not exist yet.
func TestWithoutCoordinatorEveryVerbSaysSo(t *testing.T) {
	for _, b := range []*brokertest.Broker{brokertest.New(), grouped(t)} {
		v, ctx, s := b.GroupVerbs(), t.Context(), somebody
		join, sync, beat, leave := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrLeaveGroupRequest()
		join.Group, sync.Group, beat.Group, leave.Group = "g", "g", "g", "g"
		describe, consumers, share, streams := kmsg.NewPtrDescribeGroupsRequest(), kmsg.NewPtrConsumerGroupDescribeRequest(), kmsg.NewPtrShareGroupDescribeRequest(), kmsg.NewPtrStreamsGroupDescribeRequest()
		describe.Groups, consumers.Groups, share.GroupIDs, streams.Groups = []string{"g"}, []string{"g"}, []string{"g"}, []string{"g"}
		remove, fetch, drop := kmsg.NewPtrDeleteGroupsRequest(), kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrOffsetDeleteRequest()
		remove.Groups, fetch.Groups, drop.Group = []string{"g"}, []kmsg.OffsetFetchRequestGroup{{Group: "g"}}, "g"
		put := kmsg.NewPtrOffsetCommitRequest()
		put.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 1}}}}
		for name, code := range map[string]int16{
			"join": v.JoinGroup(ctx, s, join).ErrorCode, "sync": v.SyncGroup(ctx, s, sync).ErrorCode,
			"heartbeat": v.Heartbeat(ctx, s, beat).ErrorCode, "leave": v.LeaveGroup(ctx, s, leave).ErrorCode,
			"consumer heartbeat": v.ConsumerGroupHeartbeat(ctx, s, kmsg.NewPtrConsumerGroupHeartbeatRequest()).ErrorCode,
			"share heartbeat":    v.ShareGroupHeartbeat(ctx, s, kmsg.NewPtrShareGroupHeartbeatRequest()).ErrorCode,
			"streams heartbeat":  v.StreamsGroupHeartbeat(ctx, s, kmsg.NewPtrStreamsGroupHeartbeatRequest()).ErrorCode,
			"topology":           v.StreamsGroupTopologyDescriptionUpdate(ctx, s, kmsg.NewPtrStreamsGroupTopologyDescriptionUpdateRequest()).ErrorCode,
			"describe":           v.DescribeGroups(ctx, s, describe).Groups[0].ErrorCode,
			"describe consumers": v.ConsumerGroupDescribe(ctx, s, consumers).Groups[0].ErrorCode,
			"describe share":     v.ShareGroupDescribe(ctx, s, share).Groups[0].ErrorCode,
			"describe streams":   v.StreamsGroupDescribe(ctx, s, streams).Groups[0].ErrorCode,
			"delete":             v.DeleteGroups(ctx, s, remove).Groups[0].ErrorCode,
			"commit":             v.OffsetCommit(ctx, s, put).Topics[0].Partitions[0].ErrorCode,
			"fetch":              v.OffsetFetch(ctx, s, fetch).Groups[0].ErrorCode,
			"drop":               v.OffsetDelete(ctx, s, drop).ErrorCode,
		} {
			if code != int16(kafka.CoordinatorNotAvailable) {
				t.Errorf("%s: %v", name, kafka.ErrorCode(code))
			}
		}
	}
}

// A wait for a group ends with who waits, and the answer tells whoever may still read it to look for the coordinator again.
func TestAbandonedJoinsEnd(t *testing.T) {
	b := grouped(t)
	commit(t, b, "g", 0, 0) // so that there is a coordinator
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 3, "g", "consumer", 30_000, 3_600_000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	first := b.JoinGroup(t.Context(), somebody, join)
	if first.ErrorCode != 0 || first.LeaderID != first.MemberID {
		t.Fatalf("%+v", first)
	}
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan *kmsg.JoinGroupResponse)
	go func() { answer <- b.JoinGroup(ctx, somebody, join) }() // waits for the first member to join again
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"g"}
	for len(b.GroupVerbs().DescribeGroups(t.Context(), somebody, describe).Groups[0].Members) < 2 {
		continue
	}
	cancel()
	if a := <-answer; a.ErrorCode != int16(kafka.CoordinatorNotAvailable) || a.Generation != -1 {
		t.Errorf("%+v", a)
	}
}
