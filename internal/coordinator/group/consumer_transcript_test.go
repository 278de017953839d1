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

// beats is a conversation of clients with one consumer group, written down. A client remembers its epoch and what it was told to have.
type beats struct {
	*world
	epoch map[string]int32
	has   map[string]assign.Partitions
	more  func() // writes down what else came
}

func newBeats(t *testing.T) *beats {
	return &beats{world: newModernWorld(t), epoch: map[string]int32{}, has: map[string]assign.Partitions{}}
}

type change = func(*kmsg.ConsumerGroupHeartbeatRequest)

func asInstance(id string) change {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = &id }
}

func at(epoch int32) change {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = epoch }
}

// Join sends the first heartbeat of a member.
func (k *beats) Join(who string, topics []string, changes ...change) {
	k.has[who] = nil
	k.send(who, "joins "+strings.Join(topics, ","), joinBeat("g", who, topics...), changes)
}

// Beat sends a heartbeat that says nothing.
func (k *beats) Beat(who string, changes ...change) {
	k.send(who, "beats", beat("g", who, k.epoch[who]), changes)
}

// Has sends a heartbeat that says what the member has: all that it was told to have.
func (k *beats) Has(who string, changes ...change) {
	k.send(who, "has "+k.sets(k.has[who]), having(beat("g", who, k.epoch[who]), k.has[who]), changes)
}

func (k *beats) send(who, what string, req *kmsg.ConsumerGroupHeartbeatRequest, changes []change) {
	for _, c := range changes {
		c(req)
	}
	if req.InstanceID != nil {
		what += " instance " + *req.InstanceID
	}
	k.say("%s %s at epoch %d", who, what, req.MemberEpoch)
	resp, err := k.consumerBeat(req)
	switch {
	case err != nil:
		k.say("  failed: %v", err)
	case resp.ErrorCode != 0:
		k.say("  %v %s", code(resp.ErrorCode), deref(resp.ErrorMessage))
	default:
		if k.epoch[who] = resp.MemberEpoch; resp.MemberEpoch < 0 {
			k.epoch[who] = 0
		}
		assignment := "as before"
		if resp.Assignment != nil {
			k.has[who] = assignmentOf(resp)
			assignment = k.sets(k.has[who])
		}
		k.say("  epoch %d, next in %d ms, assigned %s", resp.MemberEpoch, resp.HeartbeatIntervalMillis, assignment)
	}
	k.look()
}

// Pass lets time pass.
func (k *beats) Pass(d time.Duration) {
	k.say("%v pass", d)
	k.Advance(d)
	k.look()
}

func (k *beats) look() {
	if k.more != nil {
		k.more()
	}
	for line := range strings.Lines(k.Notes()) {
		k.say("    note: %s", strings.TrimPrefix(strings.TrimSpace(line), "g: "))
	}
	g, ok := named[*consumerGroup](k.Shard, "g")
	if !ok {
		d := k.Shard.DescribeGroup(k.view(), "g")
		k.say("    group: %s %s", d.State, d.ProtocolType)
		return
	}
	h := g.head.Get()
	var members []string
	for _, m := range g.sorted() {
		state := map[memberState]string{memberStable: "", memberUnrevoked: " gives up " + k.sets(m.at.revoking.Partitions), memberUnreleased: " waits"}[m.at.state]
		members = append(members, fmt.Sprintf("%s@%d%s", m.id, m.at.epoch, state))
	}
	k.say("    group: %s epoch %d target %d [%s]", g.state(k.view()), h.epoch, h.targetEpoch, strings.Join(members, ", "))
}

var ordersOnly = []string{"orders"}

// Joining, giving up, taking over, leaving (GRP-1, GRP-2).
func TestConsumerGroupLife(t *testing.T) {
	k := newBeats(t)
	k.Join("a", ordersOnly)
	k.Beat("a")
	k.Pass(2 * time.Second)
	k.Join("b", ordersOnly)
	k.Beat("a")
	k.Beat("b")
	k.Beat("a") // it says nothing, so it has not given up anything
	k.Has("a")
	k.Beat("b")
	k.Has("b")
	k.Pass(20 * time.Second)
	k.Beat("a")
	k.Beat("b")
	k.Has("b", at(epochLeave))
	k.Beat("a")
	k.Pass(time.Second)
	k.Beat("a")
	k.Pass(44 * time.Second)
	k.Pass(2 * time.Second)
	k.Beat("a")
	k.golden("testdata/consumer_life.txt")
}

// Three changes within an interval are one computation when it ends.
func TestConsumerGroupComputesAtMostOnceAnInterval(t *testing.T) {
	k := newBeats(t)
	for _, who := range []string{"a", "b", "c"} {
		k.Join(who, ordersOnly)
	}
	k.Pass(999 * time.Millisecond)
	k.Pass(time.Millisecond)
	for _, who := range []string{"b", "c", "a", "b", "c"} {
		k.Beat(who)
	}
	k.Has("a")
	k.Beat("b")
	k.Beat("c")
	k.golden("testdata/consumer_interval.txt")
}

func TestConsumerGroupStaticMembers(t *testing.T) {
	k := newBeats(t)
	k.Join("a1", ordersOnly, asInstance("one"))
	k.Join("a2", ordersOnly, asInstance("one"))
	k.Beat("a2", asInstance("one"), at(1))
	k.Beat("a1", asInstance("two"))
	k.Beat("a1", asInstance("one"), at(epochStaticLeave))
	k.Beat("a1", asInstance("one"), at(1))
	k.Join("a3", ordersOnly, asInstance("one"))
	k.Beat("a1", at(1))
	k.Beat("a3", asInstance("one"), at(epochStaticLeave))
	k.Pass(44 * time.Second)
	k.Pass(time.Second)
	k.golden("testdata/consumer_static.txt")
}

// Whoever keeps partitions from others for longer than it said it would is fenced.
func TestConsumerGroupFencesWhoDoesNotGiveUp(t *testing.T) {
	k := newBeats(t)
	k.Join("a", ordersOnly)
	k.Pass(2 * time.Second)
	k.Join("b", ordersOnly)
	k.Beat("a")
	for range 3 {
		k.Pass(19 * time.Second)
		k.Beat("a")
		k.Beat("b")
	}
	k.Pass(4 * time.Second)
	k.Beat("a")
	k.Beat("b")
	k.golden("testdata/consumer_revocation_timeout.txt")
}

func TestConsumerGroupEpochs(t *testing.T) {
	k := newBeats(t)
	k.Join("a", ordersOnly)
	k.Beat("a", at(2))
	k.Pass(2 * time.Second)
	k.Join("b", ordersOnly)
	k.Has("a")
	k.Has("a")
	k.say("a has not got the last answer")
	k.Beat("a", at(1)) // it does not say what it has
	k.Has("a", at(1))
	everything := []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: k.Image.Topics.ByName("orders").ID, Partitions: []int32{0, 1, 2}}}
	k.Beat("a", at(1), func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = everything })
	k.Join("a", ordersOnly)
	k.golden("testdata/consumer_epochs.txt")
}

func TestConsumerGroupTopicsChange(t *testing.T) {
	k := newBeats(t)
	k.Join("a", []string{"orders", "new"})
	k.Pass(2 * time.Second)
	k.say("orders grows")
	k.grow("orders", 2)
	k.look()
	k.Beat("a")
	k.say("new is created")
	k.topic("new", 1)
	k.look()
	k.Pass(time.Second)
	k.Beat("a")
	k.say("unrelated is created")
	k.topic("unrelated", 1)
	k.look()
	k.say("orders is deleted")
	k.removeTopic("orders")
	k.Pass(time.Second)
	k.Beat("a")
	k.Has("a")
	k.golden("testdata/consumer_topics.txt")
}

func TestConsumerGroupRegularExpressions(t *testing.T) {
	k := newBeats(t)
	matching := func(expr string) change {
		return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = &expr }
	}
	k.Join("a", nil, matching("ord(er|e)s|other.*"))
	k.Join("b", nil, matching("ord(er|e)s|other.*"))
	k.Pass(2 * time.Second)
	k.say("other.x and another.x are created")
	k.topic("another.x", 1)
	k.topic("other.x", 1)
	k.look()
	k.Beat("a")
	k.Beat("b")
	k.Has("a")
	k.Has("b")
	k.Has("b")
	k.Pass(2 * time.Second)
	k.say("other.x is deleted")
	k.removeTopic("other.x")
	k.look()
	k.Beat("b", matching(""))
	k.Beat("a", matching("("))
	k.Join("c", nil, matching("(((a{100}){100}){100}){100}"))
	k.Join("c", nil, matching(strings.Repeat("a", maxRegexBytes+1)))
	k.Beat("a", at(epochLeave))
	k.golden("testdata/consumer_regex.txt")
}

func TestConsumerGroupAssignors(t *testing.T) {
	k := newBeats(t)
	prefers := func(name string) change {
		return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = &name }
	}
	k.Join("a", ordersOnly, prefers("mine"))
	k.Join("a", ordersOnly, prefers("range"))
	k.Pass(2 * time.Second)
	k.Join("b", ordersOnly, prefers("uniform")) // of two with as many votes the first listed
	k.Pass(2 * time.Second)
	k.Beat("b", prefers("range"))
	k.say("the settings name classes")
	k.cfg.ConsumerAssignors = []string{"org.apache.kafka.coordinator.group.assignor.RangeAssignor"}
	k.Restart()
	k.Beat("b", prefers("uniform"))
	k.golden("testdata/consumer_assignors.txt")
}

// An operation whose records are not appended has not happened, and what a restart leaves is what was appended (GRP-6).
func TestConsumerGroupAfterFailuresAndRestarts(t *testing.T) {
	k := newBeats(t)
	k.broken = true
	k.Join("a", ordersOnly)
	k.broken = false
	k.Join("a", ordersOnly)
	k.Pass(2 * time.Second)
	k.Join("b", ordersOnly)
	k.Beat("a")
	k.say("restart")
	k.Restart()
	k.look()
	k.Has("a")
	k.broken = true
	k.Beat("b")
	k.broken = false
	k.Beat("b")
	k.say("restart; a is heard of once more, b not")
	k.Restart()
	k.Pass(30 * time.Second)
	k.Beat("a")
	k.Pass(15 * time.Second)
	k.Beat("b")
	k.golden("testdata/consumer_restart.txt")
}

func TestConsumerGroupIsFull(t *testing.T) {
	k := newBeats(t)
	k.cfg.Consumer.MaxSize = 2
	k.Join("a", ordersOnly, asInstance("one"))
	k.Join("b", ordersOnly)
	k.Join("c", ordersOnly)
	k.Join("b", ordersOnly)
	k.Beat("a", asInstance("one"), at(epochStaticLeave))
	k.Join("a2", ordersOnly, asInstance("one"))
	k.golden("testdata/consumer_size.txt")
}

// Requests that no client may send leave nothing behind.
func TestConsumerGroupHeartbeatsThatAreRefused(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		change change
		want   kafka.ErrorCode
	}{
		"no member id":            {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "" }, kafka.InvalidRequest},
		"no member id, v0, later": {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Version, r.MemberID, r.MemberEpoch = 0, "", 1 }, kafka.InvalidRequest},
		"no group":                {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = " " }, kafka.InvalidRequest},
		"empty instance":          {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = text("") }, kafka.InvalidRequest},
		"empty rack":              {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = text("") }, kafka.InvalidRequest},
		"no rebalance timeout":    {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 }, kafka.InvalidRequest},
		"null partitions":         {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil }, kafka.InvalidRequest},
		"partitions": {func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.Topics = make([]kmsg.ConsumerGroupHeartbeatRequestTopic, 1)
		}, kafka.InvalidRequest},
		"no subscription":        {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil }, kafka.InvalidRequest},
		"static leave, dynamic":  {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -2 }, kafka.InvalidRequest},
		"epoch -3":               {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -3 }, kafka.InvalidRequest},
		"long member id":         {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = strings.Repeat("m", maxName+1) }, kafka.InvalidRequest},
		"unknown assignor":       {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = text("x") }, kafka.UnsupportedAssignor},
		"bad expression":         {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = text("[") }, kafka.InvalidRegularExpression},
		"no such group":          {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = 3 }, kafka.GroupIDNotFound},
		"no such group to leave": {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -1 }, kafka.GroupIDNotFound},
		"a share group":          {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "shared" }, kafka.GroupIDNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w := newModernWorld(t)
			must(w, func(op *coordinator.Op) *kmsg.ShareGroupHeartbeatResponse {
				return w.Shard.ShareGroupHeartbeat(op, Client{}, shareJoin("shared", "s", "orders"))
			})
			before, records := w.modernState(), len(w.Log)
			r := joinBeat("g", "m", "orders")
			c.change(r)
			resp, err := w.consumerBeat(r)
			if err != nil || code(resp.ErrorCode) != c.want || resp.ErrorMessage == nil {
				t.Errorf("%v %q, %v; want %v", code(resp.ErrorCode), deref(resp.ErrorMessage), err, c.want)
			}
			if after := w.modernState(); after != before || len(w.Log) != records {
				t.Errorf("it left\n%s", after)
			}
		})
	}
	w := newModernWorld(t)
	v0 := joinBeat("g", "", "orders")
	v0.Version = 0
	if resp, _ := w.consumerBeat(v0); resp.ErrorCode != 0 || deref(resp.MemberID) == "" {
		t.Errorf("v0 without a member id: %v, id %q", code(resp.ErrorCode), deref(resp.MemberID))
	}
	if resp, _ := w.consumerBeat(beat("g", "nobody", 1)); code(resp.ErrorCode) != kafka.UnknownMemberID {
		t.Errorf("an unknown member is told %v", code(resp.ErrorCode))
	}
}
