package route

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// coordinate has groups "g1" to "g3" coordinated by brokers 1 to 3, and "g0" by nobody.
func (w *world) coordinate() (names []string) {
	leaders := []kafka.BrokerID{1, 2, 3, kafka.NoBroker}
	w.topic("__consumer_offsets", 200, 3, leaders...)
	names = make([]string, 4)
	for i := 0; names[0] == "" || names[1] == "" || names[2] == "" || names[3] == ""; i++ {
		g := fmt.Sprint("group", i)
		at := coordinator.PartitionOf(g, 4)
		names[(at+1)%4] = g
	}
	w.set(func() {
		for i := range 3 {
			w.groups[names[i+1]] = leaders[i]
		}
	})
	return names
}

// RTE-5: what concerns a group goes to its coordinator and is answered as that says; who cannot be reached is not available.
func TestGroupsAreAskedWhereTheyAreCoordinated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 1)
		tp := kafka.TopicPartition{Topic: "t"}
		if got := kafka.CodeOf(broker.CommitOffset(t.Context(), w.Verbs, somebody, "any", broker.GroupMember{}, tp, 3)); got != kafka.NotCoordinator {
			t.Errorf("without the topic this broker says what there is to do: %v", got)
		}
		names := w.coordinate()
		for i, name := range names {
			want := kafka.None
			if i == 0 {
				want = kafka.CoordinatorNotAvailable
			}
			if err := broker.CommitOffset(t.Context(), w.Verbs, somebody, name, broker.GroupMember{}, tp, 3); kafka.CodeOf(err) != want {
				t.Errorf("group of broker %d: %v", i, err)
			}
			if i == 0 {
				continue
			}
			if got, err := broker.CommittedOffsets(t.Context(), w.Verbs, somebody, name, "t"); err != nil || got[0] != kafka.Offset(i) {
				t.Errorf("group of broker %d: %v %v", i, got, err)
			}
			join := kmsg.NewPtrJoinGroupRequest()
			join.Version, join.Group = 3, name
			sync := kmsg.NewPtrSyncGroupRequest()
			sync.Version, sync.Group = 3, name
			beat := kmsg.NewPtrHeartbeatRequest()
			beat.Version, beat.Group = 3, name
			share := kmsg.NewPtrShareGroupHeartbeatRequest()
			share.Version, share.GroupID = 1, name
			describe := kmsg.NewPtrShareGroupDescribeRequest()
			describe.Version, describe.GroupIDs = 1, []string{name}
			offsets := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
			offsets.Version, offsets.Groups = 1, []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: name}}
			j, s, h := w.JoinGroup(t.Context(), somebody, join), w.SyncGroup(t.Context(), somebody, sync), w.Heartbeat(t.Context(), somebody, beat)
			sh, d := w.ShareGroupHeartbeat(t.Context(), somebody, share), w.ShareGroupDescribe(t.Context(), somebody, describe)
			o := w.DescribeShareGroupOffsets(t.Context(), somebody, offsets)
			if j.ErrorCode+s.ErrorCode+h.ErrorCode+sh.ErrorCode+d.Groups[0].ErrorCode+o.Groups[0].ErrorCode != 0 ||
				j.Generation != int32(i) || s.MemberAssignment[0] != byte(i) || sh.MemberEpoch != int32(i) || d.Groups[0].GroupEpoch != int32(i) {
				t.Errorf("group of broker %d: %+v %+v %+v %+v %+v %+v", i, j, s, h, sh, d, o)
			}
			if i != 2 {
				continue
			}
			w.set(func() { w.down[2] = true })
			j, s, h = w.JoinGroup(t.Context(), somebody, join), w.SyncGroup(t.Context(), somebody, sync), w.Heartbeat(t.Context(), somebody, beat)
			sh, d = w.ShareGroupHeartbeat(t.Context(), somebody, share), w.ShareGroupDescribe(t.Context(), somebody, describe)
			o = w.DescribeShareGroupOffsets(t.Context(), somebody, offsets)
			for n, code := range []int16{j.ErrorCode, s.ErrorCode, sh.ErrorCode, d.Groups[0].ErrorCode, o.Groups[0].ErrorCode} {
				if kafka.ErrorCode(code) != kafka.CoordinatorNotAvailable {
					t.Errorf("verb %d of a coordinator that is gone: %v", n, kafka.ErrorCode(code))
				}
			}
			if h.ErrorCode != 0 {
				t.Errorf("a heartbeat that reaches nobody is held against the member: %v", kafka.ErrorCode(h.ErrorCode))
			}
			w.set(func() { w.down[2] = false })
		}
		if a := w.Verbs.ReadShareGroupState(t.Context(), somebody, nil); a.Topics[0].TopicID != (kafka.UUID{77}) {
			t.Error("the state of share groups is not asked of who has it")
		}
		if w.Here() != broker.TotalsVerbs(w.opts.Local) {
			t.Error("totals are not those of this broker")
		}
	})
}

// The groups of all brokers are listed, or none.
func TestGroupsOfEveryBrokerAreListed(t *testing.T) {
	w := newWorld(t)
	names := w.coordinate()
	list := kmsg.NewPtrListGroupsRequest()
	list.Version = 5
	if a := w.ListGroups(t.Context(), somebody, list); a.ErrorCode != 0 || len(a.Groups) != 3 {
		t.Errorf("%+v", a)
	}
	w.set(func() { w.down[3] = true })
	if a := w.ListGroups(t.Context(), somebody, list); kafka.ErrorCode(a.ErrorCode) != kafka.CoordinatorNotAvailable || len(a.Groups) > 0 {
		t.Errorf("%+v", a)
	}
	_ = names
}
