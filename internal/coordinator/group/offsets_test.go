package group

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

func (w *world) wantOffset(group, topic string, partition int32, stable bool, want int64, code kafka.ErrorCode) {
	w.t.Helper()
	if got, c := w.fetch(group, topic, partition, stable); got != want || c != code {
		w.t.Errorf("%s %s-%d (stable %v) is %d %s, want %d %s", group, topic, partition, stable, got, c, want, code)
	}
}

func TestSimpleConsumersCommitAndFetch(t *testing.T) {
	w := newWorld(t)
	w.wantOffset("g", "orders", 0, false, -1, 0)
	if c := w.commit(commitRequest("g", "", -1, "orders", 0, 42)); c != 0 {
		t.Fatal(c)
	}
	w.wantOffset("g", "orders", 0, true, 42, 0)
	w.Restart()
	w.wantOffset("g", "orders", 0, true, 42, 0)
	w.wantOffset("g", "orders", 1, true, -1, 0)
	if d := w.Shard.DescribeGroup(w.view(), "g"); d.State != stateEmpty {
		t.Errorf("a simple group is %s", d.State)
	}
}

// GRP-3
func TestCommitsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	a, _ := w.stable("g", "")
	set := func(r *kmsg.OffsetCommitRequest, f func(*kmsg.OffsetCommitRequest)) *kmsg.OffsetCommitRequest {
		f(r)
		return r
	}
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		name string
		req  *kmsg.OffsetCommitRequest
		want kafka.ErrorCode
	}{
		{"a member", commitRequest("g", a.MemberID, 1, "orders", 0, 1), 0},
		{"a stranger", commitRequest("g", "x", 1, "orders", 0, 1), kafka.UnknownMemberID},
		{"an older generation", commitRequest("g", a.MemberID, 0, "orders", 0, 1), kafka.IllegalGeneration},
		{"an admin while members live", commitRequest("g", "", -1, "orders", 0, 1), kafka.UnknownMemberID},
		{"an instance that is not there", set(commitRequest("g", a.MemberID, 1, "orders", 0, 1), func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") }), kafka.UnknownMemberID},
		{"a group that is not there, v9", commitRequest("h", "x", 1, "orders", 0, 1), kafka.GroupIDNotFound},
		{"a group that is not there, v8", set(commitRequest("h", "x", 1, "orders", 0, 1), func(r *kmsg.OffsetCommitRequest) { r.Version = 8 }), kafka.IllegalGeneration},
		{"a topic that is not there", commitRequest("g", a.MemberID, 1, "other", 0, 1), kafka.UnknownTopicOrPartition},
		{"a partition that is not there", commitRequest("g", a.MemberID, 1, "orders", 3, 1), kafka.UnknownTopicOrPartition},
		{"a topic id that is not there", set(commitRequest("g", a.MemberID, 1, "", 0, 1), func(r *kmsg.OffsetCommitRequest) { r.Version, r.Topics[0].TopicID = 10, [16]byte{9} }), kafka.UnknownTopicID},
		{"long metadata", set(commitRequest("g", a.MemberID, 1, "orders", 0, 1), func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = &long }), kafka.OffsetMetadataTooLarge},
	} {
		if got := w.commit(c.req); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	w.join(joinRequest("g", a.MemberID)) // it is the only member, so the next generation begins at once
	if got := w.commit(commitRequest("g", a.MemberID, 2, "orders", 0, 7)); got != kafka.RebalanceInProgress {
		t.Errorf("while the leader assigns: %s", got)
	}
}

// stable makes a group of one member, and returns what it knows.
func (w *world) stable(group, instance string) (*kmsg.JoinGroupResponse, *kmsg.SyncGroupResponse) {
	w.t.Helper()
	req := joinRequest(group, "")
	req.Version = 3
	if instance != "" {
		req.InstanceID = &instance
	}
	later := w.join(req)
	w.Advance(w.cfg.InitialRebalanceDelay)
	if !settled(later) {
		w.t.Fatal("nobody answered")
	}
	j, err := later.Result()
	if err != nil || j.ErrorCode != 0 {
		w.t.Fatal(err, j)
	}
	sync := w.sync(syncRequest(j, group))
	r, err := sync.Result()
	if err != nil || r.ErrorCode != 0 {
		w.t.Fatal(err, r)
	}
	return j, r
}

func TestTopicIDsAndNames(t *testing.T) {
	w := newWorld(t)
	id := w.Image.Topics.ByName("orders").ID
	r := commitRequest("g", "", -1, "", 2, 5)
	r.Version, r.Topics[0].TopicID = 10, id
	if c := w.commit(r); c != 0 {
		t.Fatal(c)
	}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{
		{TopicID: id, Partitions: []int32{2}}, {Topic: "orders", Partitions: []int32{2}}, {TopicID: [16]byte{9}, Partitions: []int32{2}},
	}
	got := w.Shard.OffsetFetch(w.view(), &g, false)
	for i := range 2 {
		if x := got.Topics[i]; x.Topic != "orders" || x.TopicID != id || x.Partitions[0].Offset != 5 {
			t.Errorf("%+v", x)
		}
	}
	if x := got.Topics[2]; kafka.ErrorCode(x.Partitions[0].ErrorCode) != kafka.UnknownTopicID {
		t.Errorf("%+v", x)
	}
	g.Topics = nil
	all := w.Shard.OffsetFetch(w.view(), &g, false)
	if len(all.Topics) != 1 || all.Topics[0].TopicID != id || all.Topics[0].Topic != "orders" {
		t.Errorf("all: %+v", all)
	}
}

// GRP-4
func TestStagedOffsetsAreInvisibleUntilTheMarker(t *testing.T) {
	w := newWorld(t)
	p := coordinator.Producer{ID: 7, Epoch: 2}
	w.commit(commitRequest("g", "", -1, "orders", 0, 10))
	if c := w.stage(p, "g", "orders", 0, 20); c != 0 {
		t.Fatal(c)
	}
	for range 2 { // and after a restart
		if epoch, open := w.Shard.Staged(7); epoch != 2 || !open {
			t.Errorf("producer 7 has staged in epoch %d, %v", epoch, open)
		}
		w.wantOffset("g", "orders", 0, false, 10, 0)
		w.wantOffset("g", "orders", 0, true, -1, kafka.UnstableOffsetCommit)
		w.wantOffset("g", "orders", 1, true, -1, 0)
		w.Restart()
	}
	w.EndTxn(coordinator.Producer{ID: 7, Epoch: 1}, true) // of a transaction that has ended before
	w.wantOffset("g", "orders", 0, true, -1, kafka.UnstableOffsetCommit)
	w.EndTxn(p, true)
	w.wantOffset("g", "orders", 0, true, 20, 0)
	w.stage(coordinator.Producer{ID: 7, Epoch: 3}, "g", "orders", 0, 30)
	w.EndTxn(coordinator.Producer{ID: 7, Epoch: 4}, false) // the coordinator has bumped the epoch to abort it
	w.wantOffset("g", "orders", 0, true, 20, 0)
	w.Restart()
	w.wantOffset("g", "orders", 0, true, 20, 0)
}

// What stands later in the log counts, whether it was committed in a transaction or not.
func TestLaterCommitWinsOverTransaction(t *testing.T) {
	w := newWorld(t)
	p, q := coordinator.Producer{ID: 7}, coordinator.Producer{ID: 8}
	w.stage(p, "g", "orders", 0, 20)
	w.commit(commitRequest("g", "", -1, "orders", 0, 15))
	w.stage(q, "g", "orders", 0, 30)
	w.EndTxn(q, true)
	w.wantOffset("g", "orders", 0, false, 30, 0)
	w.EndTxn(p, true)
	w.wantOffset("g", "orders", 0, true, 30, 0)
	w.Restart()
	w.wantOffset("g", "orders", 0, true, 30, 0)
}

// GRP-4: between the marker's append and its commit a staged offset is neither old nor new.
func TestStableFetchWaitsForWhatIsOnItsWay(t *testing.T) {
	w := newWorld(t)
	p := coordinator.Producer{ID: 7}
	w.commit(commitRequest("g", "", -1, "orders", 0, 10))
	w.Hold()
	w.stage(p, "g", "orders", 0, 20)
	w.wantOffset("g", "orders", 0, true, -1, kafka.UnstableOffsetCommit)
	w.wantOffset("g", "orders", 0, false, 10, 0)
	w.Commit()
	w.Hold()
	w.EndTxn(p, true)
	w.wantOffset("g", "orders", 0, true, -1, kafka.UnstableOffsetCommit)
	w.wantOffset("g", "orders", 0, false, 10, 0)
	w.Commit()
	w.wantOffset("g", "orders", 0, true, 20, 0)
}

func TestOffsetDelete(t *testing.T) {
	w := newWorld(t)
	j, _ := w.stable("g", "")
	for _, topic := range []string{"orders", "bills"} {
		w.commit(commitRequest("g", j.MemberID, 1, topic, 0, 5))
	}
	w.stage(coordinator.Producer{ID: 3}, "g", "bills", 1, 9)
	del := func(group string) *kmsg.OffsetDeleteResponse {
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = group
		for _, topic := range []string{"orders", "bills", "none"} {
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = topic
			for p := range int32(2) {
				q := kmsg.NewOffsetDeleteRequestTopicPartition()
				q.Partition = p
				t.Partitions = append(t.Partitions, q)
			}
			r.Topics = append(r.Topics, t)
		}
		return must(w, func(op *coordinator.Op) *kmsg.OffsetDeleteResponse { return w.Shard.OffsetDelete(op, r) })
	}
	if c := del("").ErrorCode; kafka.ErrorCode(c) != kafka.InvalidGroupID {
		t.Errorf("no group: %d", c)
	}
	if c := del("none").ErrorCode; kafka.ErrorCode(c) != kafka.GroupIDNotFound {
		t.Errorf("no such group: %d", c)
	}
	r := del("g")
	for i, want := range []kafka.ErrorCode{kafka.GroupSubscribedToTopic, 0, 0} {
		if got := kafka.ErrorCode(r.Topics[i].Partitions[0].ErrorCode); got != want {
			t.Errorf("%s: %s, want %s", r.Topics[i].Topic, got, want)
		}
	}
	w.Restart()
	w.wantOffset("g", "orders", 0, true, 5, 0)
	w.wantOffset("g", "bills", 0, true, -1, 0)
	w.wantOffset("g", "bills", 1, true, -1, 0) // what the transaction had staged went too
	w.EndTxn(coordinator.Producer{ID: 3}, true)
	w.wantOffset("g", "bills", 1, true, -1, 0)
}

func TestDeleteGroup(t *testing.T) {
	w := newWorld(t)
	j, _ := w.stable("g", "")
	w.commit(commitRequest("g", j.MemberID, 1, "orders", 0, 5))
	del := func() kafka.ErrorCode {
		r := must(w, func(op *coordinator.Op) kmsg.DeleteGroupsResponseGroup { return w.Shard.DeleteGroup(op, "g") })
		return kafka.ErrorCode(r.ErrorCode)
	}
	if c := del(); c != kafka.NonEmptyGroup {
		t.Error(c)
	}
	w.leave("g", leaver(j.MemberID))
	if c := del(); c != 0 {
		t.Error(c)
	}
	if c := del(); c != kafka.GroupIDNotFound {
		t.Error(c)
	}
	if len(w.Timers()) != 1 { // of expiry
		t.Errorf("timers left: %v", w.Timers())
	}
	w.Restart()
	w.wantOffset("g", "orders", 0, true, -1, 0)
	if got := hard(w.Shard); got != "" {
		t.Errorf("left: %s", got)
	}
}

// G5 of the promises: offsets of live groups never expire.
func TestOffsetsExpireAsInKafka(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name    string
		prepare func(w *world)
		after   time.Duration
		orders  bool // the offset of what the group subscribes to is there
		bills   bool
	}{
		{"a simple group's count from the commit: not yet", func(w *world) { w.both("", -1) }, 7*day - 11*time.Minute, true, true},
		{"a simple group's count from the commit", func(w *world) { w.both("", -1) }, 7*day + 11*time.Minute, false, false},
		{"a live group's stay for what it subscribes to", func(w *world) {
			j, _ := w.stable("g", "")
			w.both(j.MemberID, 1)
			w.alive = j.MemberID
		}, 8 * day, true, false},
		{"a group's count from when it became empty: not yet", func(w *world) {
			j, _ := w.stable("g", "")
			w.both(j.MemberID, 1)
			w.alive = j.MemberID
			w.pass(6 * day)
			w.leave("g", leaver(j.MemberID))
			w.alive = ""
		}, 6 * day, true, true},
		{"a group's count from when it became empty", func(w *world) {
			j, _ := w.stable("g", "")
			w.both(j.MemberID, 1)
			w.leave("g", leaver(j.MemberID))
		}, 8 * day, false, false},
		{"what a transaction has staged stays", func(w *world) {
			w.both("", -1)
			w.stage(coordinator.Producer{ID: 1}, "g", "orders", 0, 6)
		}, 30 * day, true, false},
		{"and so does the first offset of a group", func(w *world) {
			w.stage(coordinator.Producer{ID: 1}, "g", "orders", 0, 5)
			w.Advance(30 * day)
			w.EndTxn(coordinator.Producer{ID: 1}, true)
		}, 0, true, false},
		{"a commit may have a time of its own", func(w *world) {
			r := commitRequest("g", "", -1, "orders", 0, 5)
			r.Version, r.RetentionTimeMillis = 4, 60_000
			w.commit(r)
		}, 11 * time.Minute, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			w.pass(c.after)
			for restarted := range 2 {
				for topic, there := range map[string]bool{"orders": c.orders, "bills": c.bills} {
					if got, _ := w.fetch("g", topic, 0, false); (got == 5) != there {
						t.Errorf("%s is %d, restarts %d", topic, got, restarted)
					}
				}
				if _, ok := w.Shard.groups.Get("g"); ok != (c.orders || c.bills) {
					t.Errorf("the group is there: %v", ok)
				}
				w.Restart()
			}
		})
	}
}

// both commits 5 for two topics.
func (w *world) both(member string, generation int32) {
	for _, topic := range []string{"orders", "bills"} {
		if c := w.commit(commitRequest("g", member, generation, topic, 0, 5)); c != 0 {
			w.t.Fatal(c)
		}
	}
}

// pass lets time go by while the member alive sends heartbeats.
func (w *world) pass(d time.Duration) {
	if w.alive == "" {
		w.Advance(d)
		return
	}
	w.cfg.MaxSessionTimeout = 24 * time.Hour
	for end := w.Now.Add(d); w.Now.Before(end); w.Advance(9 * time.Second) {
		if c := w.heartbeat("g", w.alive, 1); c != 0 {
			w.t.Fatal(c)
		}
	}
}

func TestOffsetsOfRemovedTopicsGo(t *testing.T) {
	w := newWorld(t)
	w.both("", -1)
	w.stage(coordinator.Producer{ID: 4}, "g", "orders", 1, 8)
	w.change(&metadata.RemoveTopicRecord{ID: w.Image.Topics.ByName("orders").ID})
	w.topic("orders", 3)
	for range 2 {
		w.wantOffset("g", "orders", 0, true, -1, 0)
		w.wantOffset("g", "orders", 1, true, -1, 0)
		w.wantOffset("g", "bills", 0, true, 5, 0)
		w.Restart()
	}
}

func TestListGroups(t *testing.T) {
	w := newWorld(t)
	w.commit(commitRequest("simple", "", -1, "orders", 0, 5))
	w.stable("live", "")
	list := func(states, types []string) string {
		r := kmsg.NewPtrListGroupsRequest()
		r.StatesFilter, r.TypesFilter = states, types
		var b strings.Builder
		for _, g := range w.Shard.ListGroups(w.view(), r) {
			fmt.Fprintf(&b, "%s/%s/%s/%s ", g.Group, g.ProtocolType, g.GroupState, g.GroupType)
		}
		return strings.TrimSpace(b.String())
	}
	for _, c := range []struct {
		states, types []string
		want          string
	}{
		{nil, nil, "live/consumer/Stable/classic simple//Empty/classic"},
		{[]string{"stable"}, nil, "live/consumer/Stable/classic"},
		{[]string{"STABLE", " empty "}, []string{"Classic"}, "live/consumer/Stable/classic simple//Empty/classic"},
		{nil, []string{"consumer"}, ""},
		{[]string{"none"}, nil, ""},
	} {
		if got := list(c.states, c.types); got != c.want {
			t.Errorf("%v %v: %q, want %q", c.states, c.types, got, c.want)
		}
	}
}

// What is remembered is the shard's own, whatever becomes of the request's bytes (WIR-3).
func TestNothingOfARequestIsKept(t *testing.T) {
	w := newWorld(t)
	req := joinRequest("g", "")
	req.Version = 3
	meta := req.Protocols[0].Metadata
	later := w.join(req)
	w.Advance(3 * time.Second)
	j, _ := later.Result()
	sync := syncRequest(j, "g")
	w.sync(sync)
	before := hard(w.Shard)
	for _, b := range [][]byte{meta, sync.GroupAssignment[0].MemberAssignment} {
		copy(b, bytes.Repeat([]byte{0xee}, len(b)))
	}
	if after := hard(w.Shard); after != before {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
}

func TestLagsTellEveryCommittedOffset(t *testing.T) {
	w := newWorld(t)
	w.both("", -1)
	w.stage(coordinator.Producer{ID: 1}, "g", "orders", 1, 6)
	var lines []string
	for c := range w.Shard.Lags(w.view()) {
		lines = append(lines, fmt.Sprintf("%s %s-%d %d %d %d", c.Group, c.Topic, c.Partition, c.Offset, c.LeaderEpoch, w.Now.UnixMilli()-int64(c.Time)))
	}
	slices.Sort(lines)
	if want := "g bills-0 5 4 0\ng orders-0 5 4 0"; strings.Join(lines, "\n") != want {
		t.Errorf("%q", lines)
	}
}

// Members whose subscriptions the broker cannot read may use any topic.
func TestOffsetsOfUnreadableMembers(t *testing.T) {
	for _, c := range []struct {
		typ      string
		metadata []byte
		want     kafka.ErrorCode // of OffsetDelete
	}{
		{"connect", []byte("x"), kafka.NonEmptyGroup},
		{"consumer", []byte{0, 0, 0, 0, 0, 9}, kafka.GroupSubscribedToTopic},
		{"consumer", nil, kafka.GroupSubscribedToTopic},
	} {
		w := newWorld(t)
		req := joinRequest("g", "")
		req.Version, req.ProtocolType, req.Protocols[0].Metadata = 0, c.typ, c.metadata
		later := w.join(req)
		w.Advance(3 * time.Second)
		j, err := later.Result()
		if err != nil {
			t.Fatal(err)
		}
		w.sync(syncRequest(j, "g"))
		w.commit(commitRequest("g", j.MemberID, 1, "orders", 0, 5))
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = "g"
		r.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
		resp := must(w, func(op *coordinator.Op) *kmsg.OffsetDeleteResponse { return w.Shard.OffsetDelete(op, r) })
		got := kafka.ErrorCode(resp.ErrorCode)
		if got == 0 {
			got = kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
		}
		if got != c.want {
			t.Errorf("%s %x: %s, want %s", c.typ, c.metadata, got, c.want)
		}
	}
}

// The oracle has the log as a list and looks for the last commit that counts (GRP-4).
func TestRandomCommitsAndTransactions(t *testing.T) {
	seed := seedOf(t)
	type entry struct {
		partition int32
		offset    int64
		p         coordinator.Producer
		done      int // of a transaction: 0 open, 1 committed, -1 aborted
	}
	for round := range 40 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		w := newWorld(t)
		var log []*entry
		epochs := map[kafka.ProducerID]kafka.ProducerEpoch{}
		for step := range 150 {
			partition, offset := rng.Int32N(3), rng.Int64N(1000)
			w.broken = rng.IntN(10) == 0
			switch n := rng.IntN(10); {
			case n < 3:
				err := w.op(func(op *coordinator.Op) {
					w.Shard.OffsetCommit(op, Client{}, commitRequest("g", "", -1, "orders", partition, offset))
				})
				if err == nil {
					log = append(log, &entry{partition: partition, offset: offset, p: coordinator.Producer{ID: -1}, done: 1})
				}
			case n < 7:
				id := kafka.ProducerID(rng.IntN(3))
				p := coordinator.Producer{ID: id, Epoch: epochs[id]}
				w.broken = false
				w.stage(p, "g", "orders", partition, offset)
				log = append(log, &entry{partition: partition, offset: offset, p: p})
			case n < 9:
				id := kafka.ProducerID(rng.IntN(3))
				p, commit := coordinator.Producer{ID: id, Epoch: epochs[id]}, rng.IntN(2) == 0
				if rng.IntN(2) == 0 { // transactions of version 2 end with a newer epoch
					p.Epoch++
				}
				epochs[id] = p.Epoch
				w.EndTxn(p, commit)
				for _, e := range log {
					if e.p.ID == id && e.done == 0 {
						e.done = map[bool]int{true: 1, false: -1}[commit]
					}
				}
			default:
				w.broken = false
				w.Restart()
			}
			w.broken = false
			for partition := range int32(3) {
				want, open := int64(-1), false
				for _, e := range log {
					if e.partition == partition {
						open = open || e.done == 0
						if e.done == 1 {
							want = e.offset
						}
					}
				}
				w.wantOffset("g", "orders", partition, false, want, 0)
				if open {
					w.wantOffset("g", "orders", partition, true, -1, kafka.UnstableOffsetCommit)
				} else {
					w.wantOffset("g", "orders", partition, true, want, 0)
				}
			}
			if t.Failed() {
				t.Fatalf("round %d, step %d; RAFKA_SEED=%d", round, step, seed)
			}
		}
	}
}

func TestLimitsOfRequests(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", maxName+1)
	set := func(f func(*kmsg.JoinGroupRequest)) *kmsg.JoinGroupRequest { r := joinRequest("g", ""); f(r); return r }
	for _, c := range []struct {
		req  *kmsg.JoinGroupRequest
		want kafka.ErrorCode
	}{
		{set(func(r *kmsg.JoinGroupRequest) { r.Group = long }), kafka.InvalidGroupID},
		{set(func(r *kmsg.JoinGroupRequest) { r.InstanceID = &long }), kafka.InvalidRequest},
		{set(func(r *kmsg.JoinGroupRequest) { r.ProtocolType = long }), kafka.InconsistentGroupProtocol},
		{set(func(r *kmsg.JoinGroupRequest) { r.Protocols = make([]kmsg.JoinGroupRequestProtocol, maxProtocols+1) }), kafka.InconsistentGroupProtocol},
	} {
		if j, _ := w.join(c.req).Result(); kafka.ErrorCode(j.ErrorCode) != c.want {
			t.Errorf("%s, want %s", kafka.ErrorCode(j.ErrorCode), c.want)
		}
	}
	if c := w.commit(commitRequest(long, "", -1, "orders", 0, 1)); c != kafka.InvalidGroupID {
		t.Errorf("commit: %s", c)
	}
	if c := w.stage(coordinator.Producer{}, "", "orders", 0, 1); c != kafka.InvalidGroupID {
		t.Errorf("commit in a transaction: %s", c)
	}
	for group, want := range map[string]kafka.ErrorCode{"": kafka.InvalidGroupID, "none": kafka.UnknownMemberID} {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group = group
		if r, _ := w.sync(req).Result(); kafka.ErrorCode(r.ErrorCode) != want {
			t.Errorf("sync: %s", kafka.ErrorCode(r.ErrorCode))
		}
	}
	if len(w.Log) != 0 {
		t.Errorf("%d records were written", len(w.Log))
	}
}

func TestPendingJoinsAreBounded(t *testing.T) {
	w := newWorld(t)
	first := ""
	for i := range maxPending + 5 {
		j, _ := w.join(joinRequest("g", "")).Result()
		if i == 0 {
			first = j.MemberID
		}
	}
	g, _ := named[*classicGroup](w.Shard, "g")
	if n := g.unnamed.Len(); n != maxPending {
		t.Errorf("%d ids are kept", n)
	}
	j, _ := w.join(joinRequest("g", first)).Result()
	if kafka.ErrorCode(j.ErrorCode) != kafka.UnknownMemberID {
		t.Errorf("the oldest is told %s", kafka.ErrorCode(j.ErrorCode))
	}
	w.Advance(time.Hour)
	if n := g.unnamed.Len(); n != 0 {
		t.Errorf("%d ids are left", n)
	}
}

// Answers that depend on a record leave when it is committed (COR-2, GRP-1).
func TestAssignmentsLeaveWhenCommitted(t *testing.T) {
	w := newWorld(t)
	req := joinRequest("g", "")
	req.Version = 3
	later := w.join(req)
	w.Advance(3 * time.Second)
	j, _ := later.Result()
	w.Hold()
	sync := w.sync(syncRequest(j, "g"))
	if settled(sync) {
		t.Error("the assignment left before it was committed")
	}
	if d := w.Shard.DescribeGroup(w.view(), "g"); d.State != stateCompleting {
		t.Errorf("readers see %s", d.State)
	}
	w.Commit()
	if r, err := sync.Result(); err != nil || string(r.MemberAssignment) != "for "+j.MemberID {
		t.Errorf("%v %v", r, err)
	}
}

// A heartbeat of a stable group sets no timer.
func TestHeartbeatsTouchNoTimer(t *testing.T) {
	w := newWorld(t)
	j, _ := w.stable("g", "")
	before := w.Timers()
	for range 100 {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.Generation = "g", j.MemberID, 1
		done, err := w.Do(func(s *Shard, op *coordinator.Op) { s.Heartbeat(op, Client{}, req) })
		if err != nil || len(done.Timers) > 0 || len(done.Records) > 0 {
			t.Fatalf("a heartbeat did %+v, %v", done, err)
		}
	}
	if after := w.Timers(); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("timers were %v, are %v", before, after)
	}
}
