package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// mixed is a conversation of clients of both protocols with one group.
type mixed struct {
	*beats
	joined map[string]*kmsg.JoinGroupResponse
	waits  map[string]laterJoin
	syncs  map[string]laterSync
}

func newMixed(t *testing.T) *mixed {
	k := &mixed{beats: newBeats(t), joined: map[string]*kmsg.JoinGroupResponse{}, waits: map[string]laterJoin{}, syncs: map[string]laterSync{}}
	k.more = k.answers
	return k
}

// JoinClassic sends JoinGroup as a cooperative consumer does, with what it has.
func (k *mixed) JoinClassic(who string, changes ...func(*kmsg.JoinGroupRequest)) {
	id := ""
	if j := k.joined[who]; j != nil {
		id = j.MemberID
	}
	req := joinRequest("g", id, "cooperative-sticky", "range")
	req.Version = 3 // a new member need not come back with the id that it is given
	for i := range req.Protocols {
		req.Protocols[i].Metadata = classicMetadata(ordersOnly, k.named(k.has[who]))
	}
	for _, c := range changes {
		c(req)
	}
	k.say("%s joins by the classic protocol as %q with %s", who, req.MemberID, k.sets(k.has[who]))
	k.waits[who] = k.join(req)
	k.look()
}

func (k *mixed) named(set assign.Partitions) (list []classicTopic) {
	for _, t := range set {
		list = append(list, classicTopic{k.Image.Topics.ByID(t.ID).Name, t.Partitions})
	}
	return list
}

// Sync sends SyncGroup; give says what the leader gives to whom.
func (k *mixed) Sync(who string, give map[string][]int32) {
	j := k.joined[who]
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 5, "g", j.MemberID, j.Generation
	req.ProtocolType, req.Protocol = j.ProtocolType, j.Protocol
	for _, other := range []string{"c1", "c2"} {
		if parts, ok := give[other]; ok {
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			a.MemberID = k.joined[other].MemberID
			a.MemberAssignment = appendClassicAssignment(nil, 1, k.Image, assign.Of([]assign.Topic{{ID: k.Image.Topics.ByName("orders").ID, Partitions: parts}}))
			req.GroupAssignment = append(req.GroupAssignment, a)
		}
	}
	k.say("%s syncs at generation %d, gives %v", who, j.Generation, give)
	k.syncs[who] = k.sync(req)
	k.look()
}

func (k *mixed) HeartbeatClassic(who string) {
	j := k.joined[who]
	k.say("%s heartbeats at generation %d", who, j.Generation)
	k.say("  %v", k.heartbeat("g", j.MemberID, j.Generation))
	k.look()
}

// answers writes down the answers that have come.
func (k *mixed) answers() {
	for _, who := range []string{"c1", "c2", "s1"} {
		if l := k.waits[who]; l != nil && settled(l) {
			delete(k.waits, who)
			r, err := l.Result()
			if err != nil || r.ErrorCode != 0 {
				k.say("  %s: join %v %v", who, code(r.ErrorCode), err)
				continue
			}
			k.joined[who] = r
			k.say("  %s: joined generation %d by %s as %s, leader %q, told of %d", who, r.Generation, text(r.Protocol), r.MemberID, r.LeaderID, len(r.Members))
		}
		if l := k.syncs[who]; l != nil && settled(l) {
			delete(k.syncs, who)
			r, err := l.Result()
			if err != nil || r.ErrorCode != 0 {
				k.say("  %s: sync %v %v", who, code(r.ErrorCode), err)
				continue
			}
			topics, _, ok := readClassicAssignment(r.MemberAssignment)
			k.has[who] = partitionsOf(k.Image, topics)
			k.say("  %s: assigned %s %v", who, k.sets(k.has[who]), ok)
		}
	}
}

// classicGroup of c1 with orders 0 1 and c2 with 2.
func (k *mixed) classicPair() {
	k.JoinClassic("c1")
	k.JoinClassic("c2")
	k.Pass(4 * time.Second)
	k.Pass(4 * time.Second)
	k.Sync("c1", map[string][]int32{"c1": {0, 1}, "c2": {2}})
	k.Sync("c2", nil)
}

// A classic group becomes a consumer group while it lives, and goes back when the last member of the consumer protocol leaves.
func TestConsumerGroupUpgradeAndDowngrade(t *testing.T) {
	k := newMixed(t)
	k.classicPair()
	k.say("--- upgrade")
	k.Join("n", ordersOnly)
	k.HeartbeatClassic("c1")
	k.JoinClassic("c1")
	k.Sync("c1", nil)
	k.say("c1 gives up what it is no longer assigned, and joins again")
	k.HeartbeatClassic("c1")
	k.JoinClassic("c1")
	k.Sync("c1", nil)
	k.HeartbeatClassic("c2")
	k.JoinClassic("c2")
	k.Sync("c2", nil)
	k.Beat("n")
	k.HeartbeatClassic("c1")
	k.HeartbeatClassic("c2")
	k.say("restart")
	k.Restart()
	k.HeartbeatClassic("c1")
	k.Pass(2 * time.Second)
	k.say("--- downgrade")
	k.Beat("n", at(epochLeave))
	k.HeartbeatClassic("c1")
	k.JoinClassic("c1")
	k.JoinClassic("c2")
	k.Sync("c1", map[string][]int32{"c1": {0, 1}, "c2": {2}})
	k.Sync("c2", nil)
	k.golden("testdata/consumer_upgrade.txt")
}

// Members of the classic protocol are taken out when they do not join, sync or send heartbeats in time, and leave by LeaveGroup.
func TestClassicMembersOfAConsumerGroupGo(t *testing.T) {
	k := newMixed(t)
	k.cfg.MayDowngrade = false
	k.Join("n", ordersOnly)
	k.JoinClassic("c1")
	k.Sync("c1", nil)
	k.Pass(9 * time.Second)
	k.HeartbeatClassic("c1")
	k.say("c1 is silent")
	k.Pass(9 * time.Second)
	k.Pass(time.Second)
	k.HeartbeatClassic("c1")
	delete(k.joined, "c1")
	k.has["c1"] = nil
	k.JoinClassic("c1")
	k.say("c1 does not sync")
	for range 7 {
		k.Beat("n")
		k.Pass(9 * time.Second)
		k.HeartbeatClassic("c1")
	}
	delete(k.joined, "c1")
	k.JoinClassic("c1", func(r *kmsg.JoinGroupRequest) { r.Version = 9 })
	k.JoinClassic("c1", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	k.JoinClassic("c1", func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Metadata = []byte{1} })
	k.JoinClassic("c1")
	k.Sync("c1", nil)
	k.JoinClassic("c2", func(r *kmsg.JoinGroupRequest) { r.Protocols = r.Protocols[:1]; r.Protocols[0].Name = "other" })
	k.say("a leave of n, which is of the consumer protocol, and of c1")
	for _, m := range k.leave("g", leaver("n"), leaver(k.joined["c1"].MemberID)).Members {
		k.say("  %s %v", m.MemberID, code(m.ErrorCode))
	}
	k.look()
	k.golden("testdata/consumer_classic_members.txt")
}

// An admin takes out members of the consumer protocol too, static ones by their instance id (GRP-1); with the last of them the group becomes
// a classic one.
func TestAnAdminTakesOutMembersOfTheConsumerProtocol(t *testing.T) {
	k := newMixed(t)
	k.Join("n1", ordersOnly, asInstance("one"))
	k.Join("n2", ordersOnly)
	k.JoinClassic("c1")
	k.Beat("n1", asInstance("one"), at(epochStaticLeave))
	k.say("an admin names the instances one and two, n2 twice")
	one, two := leaver(""), leaver("")
	a, b := "one", "two"
	one.InstanceID, two.InstanceID = &a, &b
	for _, m := range k.leave("g", one, two, leaver("n2"), leaver("n2")).Members {
		k.say("  %s %v", m.MemberID, code(m.ErrorCode))
	}
	k.look()
	k.golden("testdata/consumer_admin_leave.txt")
}

// A static member changes its protocol, there and back.
func TestStaticMembersChangeTheirProtocol(t *testing.T) {
	k := newMixed(t)
	static := func(r *kmsg.JoinGroupRequest) { id := "one"; r.InstanceID = &id }
	k.JoinClassic("s1", static)
	k.Pass(4 * time.Second)
	k.say("--- it comes back with the consumer protocol")
	k.Join("n1", ordersOnly, asInstance("one"))
	k.Beat("n1", asInstance("one"))
	k.Join("n2", ordersOnly)
	k.Pass(time.Second)
	k.say("--- and with the classic protocol, beside n2")
	delete(k.joined, "s1")
	k.JoinClassic("s1", static)
	k.Beat("n1", asInstance("one"))
	k.Beat("n2", at(epochLeave))
	k.say("--- the last of the consumer protocol is replaced")
	k.Join("n3", ordersOnly, asInstance("two"))
	k.JoinClassic("s1", static, func(r *kmsg.JoinGroupRequest) { id := "two"; r.InstanceID = &id; r.MemberID = "" })
	k.golden("testdata/consumer_static_protocols.txt")
}

func TestAClassicGroupThatCannotGoOnIsNotUpgraded(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(k *mixed)
		want    kafka.ErrorCode
		message string
	}{
		"switched off":   {func(k *mixed) { k.cfg.MayUpgrade = false }, kafka.GroupIDNotFound, "online upgrade is disabled"},
		"too many":       {func(k *mixed) { k.cfg.Consumer.MaxSize = 1 }, kafka.GroupIDNotFound, "exceeds"},
		"no room":        {func(k *mixed) { k.cfg.Consumer.MaxSize = 2 }, kafka.GroupMaxSizeReached, "capacity of 2"},
		"other protocol": {nil, kafka.GroupIDNotFound, "consumer embedded protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newMixed(t)
			if c.prepare != nil {
				k.classicPair()
				c.prepare(k)
			} else {
				k.JoinClassic("c1", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
				k.Pass(4 * time.Second)
			}
			records := len(k.Log)
			resp, err := k.consumerBeat(joinBeat("g", "n", "orders"))
			if err != nil || code(resp.ErrorCode) != c.want || !strings.Contains(deref(resp.ErrorMessage), c.message) {
				t.Errorf("%v %q %v", code(resp.ErrorCode), deref(resp.ErrorMessage), err)
			}
			if _, ok := named[*classicGroup](k.Shard, "g"); !ok || len(k.Log) != records {
				t.Error("the group is not as before")
			}
		})
	}
	k := newMixed(t)
	k.classicPair()
	broken := fmt.Errorf("no append")
	k.FailNext(broken)
	if _, err := k.consumerBeat(joinBeat("g", "n", "orders")); err == nil {
		t.Fatal("the operation that cannot be written succeeded")
	}
	if _, ok := named[*classicGroup](k.Shard, "g"); !ok {
		t.Error("an upgrade whose records were not appended happened")
	}
}

// GRP-3
func TestCommitsAndFetchesOfConsumerGroupsAreOfMembersAtTheirEpoch(t *testing.T) {
	k := newMixed(t)
	admin := func() *kmsg.OffsetCommitRequest { return commitRequest("g", "", -1, "orders", 0, 5) }
	k.Join("a", ordersOnly)
	k.Pass(2 * time.Second)
	k.Join("b", ordersOnly)
	k.Has("a") // is told to give up orders-2
	for _, c := range []struct {
		name      string
		member    string
		epoch     int32
		version   int16
		partition int32
		want      kafka.ErrorCode
	}{
		{"at its epoch", "a", 1, 9, 0, kafka.None},
		{"at its epoch, of what it has to give up", "a", 1, 9, 2, kafka.None},
		{"ahead", "a", 2, 9, 0, kafka.StaleMemberEpoch},
		{"behind, of what it has since", "a", 0, 9, 0, kafka.StaleMemberEpoch},
		{"a stranger", "x", 1, 9, 0, kafka.UnknownMemberID},
		{"an old version", "a", 1, 8, 0, kafka.UnsupportedVersion},
		{"an admin", "", -1, 9, 0, kafka.UnknownMemberID},
	} {
		req := commitRequest("g", c.member, c.epoch, "orders", c.partition, 5)
		req.Version = c.version
		if got := k.commit(req); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	k.Has("a")
	k.Beat("b")
	for _, c := range []struct {
		name      string
		epoch     int32
		partition int32
		want      kafka.ErrorCode
	}{
		{"an epoch behind, of what it had then and has", 1, 0, kafka.None},
		{"an epoch behind, of what it gave up", 1, 2, kafka.StaleMemberEpoch},
		{"at its epoch", 2, 0, kafka.None},
	} {
		if got := k.commit(commitRequest("g", "a", c.epoch, "orders", c.partition, 5)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := k.commit(commitRequest("g", "b", 1, "orders", 2, 5)); got != kafka.StaleMemberEpoch {
		t.Errorf("b commits at an epoch before it had the partition: %v", got)
	}
	g, _ := named[*consumerGroup](k.Shard, "g")
	a, x := "a", "x"
	for _, c := range []struct {
		member *string
		epoch  int32
		want   kafka.ErrorCode
	}{{nil, -1, kafka.None}, {&a, 2, kafka.None}, {&a, 1, kafka.StaleMemberEpoch}, {&x, 1, kafka.UnknownMemberID}} {
		if got := kafka.CodeOf(g.checkFetch(k.view(), c.member, c.epoch)); got != c.want {
			t.Errorf("%s fetches at %d: %v, want %v", deref(c.member), c.epoch, got, c.want)
		}
	}
	if err := g.checkDelete(); kafka.CodeOf(err) != kafka.NonEmptyGroup {
		t.Errorf("a group with members may be deleted: %v", err)
	}
	k.Beat("a", at(epochLeave))
	k.Beat("b", at(epochLeave))
	if got := k.commit(admin()); got != kafka.None {
		t.Errorf("an admin commits for an empty group: %v", got)
	}
	if r := must(k.world, func(op *coordinator.Op) kmsg.DeleteGroupsResponseGroup { return k.Shard.DeleteGroup(op, "g") }); r.ErrorCode != 0 || strings.Contains(k.modernState(), "consumer group") {
		t.Errorf("deleting: %v\n%s", code(r.ErrorCode), k.modernState())
	}
	k.Restart()
	if strings.Contains(k.modernState(), "consumer group") {
		t.Error("a deleted group is back after a restart")
	}
}
