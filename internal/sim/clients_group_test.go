package sim

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// crew is a consumer group (KIP-848): its members get partitions of the topic orders from the group's shard, and commit ever higher offsets.
type crew struct {
	w       *world
	name    string
	members []*member
	acked   []int64 // by partition: the highest offset of which somebody was told that it is committed
	auditor *machine
}

// member is one of them.
type member struct {
	*machine
	crew  *crew
	id    string
	epoch int32
	owns  []owned
	heard time.Duration // when the last heartbeat was sent that was answered well
	full  bool          // the next heartbeat says everything, so that the answer does
	busy  bool          // a request about an offset is under way
}

// owned is a partition that a member believes to own.
type owned struct {
	partition int32
	at        int64 // the next offset to commit; -1: it does not know where to begin
}

func (w *world) newCrew(name string, members int, partitions int) *crew {
	c := &crew{w: w, name: name, acked: make([]int64, partitions), auditor: w.newMachine(name + " auditor")}
	for i := range members {
		c.members = append(c.members, &member{machine: w.newMachine(name + " " + string(rune('1'+i))), crew: c, id: name + string(rune('1'+i))})
	}
	return c
}

func (c *crew) start() {
	for _, m := range c.members {
		m.beat()
		m.work()
	}
	c.audit()
}

// audit reads committed offsets forever: they never go back.
func (c *crew) audit() {
	m, partition := c.auditor, int32(c.w.dice.IntN(len(c.acked)))
	at := c.members[0].at()
	m.after(c.w.between(30*time.Millisecond, 200*time.Millisecond), func() {
		m.leader(at, func(to *node) {
			c.position(m, to, partition, func(_ int64, err error) {
				if err != nil {
					m.forget(at)
				}
				c.audit()
			})
		})
	})
}

// position asks where a partition is (SIM-8): at no less than anybody was told before that it is. Only what is read at a coordinator that is alive, was
// replaced by an operator or by a balance of leaders, and has not heard of it yet, may be old, and is not looked at.
func (c *crew) position(m *machine, to *node, partition int32, done func(int64, error)) {
	least := c.acked[partition]
	current := false
	call(m.endpoint, to, request{what: "position", patience: time.Second, once: true}, func(reply func(int64, error)) {
		_, s, _ := c.w.store.image().Partition(c.members[0].at())
		current = s.Leader == to.id || c.w.store.image().Brokers[to.id].Fenced
		reply(to.fetchOffset(c.name, partition))
	}, func(at int64, err error) {
		if at = max(at, 0); err == nil && at < least && current {
			c.w.fail("%s is told by %s that partition %d of group %s is at %d, and %d was committed", m.name, to, partition, c.name, at, least)
		}
		if err == nil && current {
			c.acked[partition] = max(c.acked[partition], at)
		}
		done(at, err)
	})
}

func (m *member) at() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: offsetsTopic, Partition: coordinator.PartitionOf(m.crew.name, internalPartitions)}
}

// beat sends heartbeats forever, one at a time.
func (m *member) beat() {
	pause := m.w.between(100*time.Millisecond, 400*time.Millisecond)
	if !m.w.calm && m.w.chance(15) {
		pause = m.w.between(time.Second, 2*sessionTimeout) // it is slow, and may lose its membership
	}
	m.after(pause, func() { m.leader(m.at(), m.sendBeat) })
}

func (m *member) sendBeat(to *node) {
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.MemberEpoch, q.RebalanceTimeoutMillis = 1, m.crew.name, m.id, m.epoch, -1
	if m.epoch == 0 || m.full {
		// Longer than answers can be lost: a member that does not hear that it is to give something back loses it when this has passed, although
		// its session goes on (KIP-848), and who else gets it then is right.
		q.RebalanceTimeoutMillis, q.SubscribedTopicNames = 60_000, []string{"orders"}
	}
	q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if len(m.owns) > 0 && m.epoch > 0 {
		t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		t.TopicID = m.w.store.image().Topics.ByName("orders").ID
		for _, o := range m.owns {
			t.Partitions = append(t.Partitions, o.partition)
		}
		q.Topics = append(q.Topics, t)
	}
	sent := m.w.now
	call(m.endpoint, to, request{what: "beat", patience: 2 * time.Second, once: true}, func(reply func(*kmsg.ConsumerGroupHeartbeatResponse, error)) {
		ask(to.groupShard(m.crew.name), reply, func(s *group.Shard, op *coordinator.Op) *kmsg.ConsumerGroupHeartbeatResponse {
			return s.ConsumerGroupHeartbeat(op, group.Client{ID: m.id, Host: "h"}, q)
		})
	}, func(a *kmsg.ConsumerGroupHeartbeatResponse, err error) {
		m.beat()
		code := kafka.CodeOf(err)
		if err == nil {
			code = kafka.ErrorCode(a.ErrorCode)
		}
		switch code {
		case kafka.None:
			m.heard, m.full = sent, false
			m.epoch = a.MemberEpoch
			if a.Assignment != nil {
				m.assigned(a)
			}
		case kafka.UnknownMemberID, kafka.FencedMemberEpoch, kafka.GroupIDNotFound:
			m.w.say("%s is out of the group: %s", m.name, code.Name())
			m.epoch, m.owns = 0, nil
		default:
			m.full = true // so that the answer says everything
			m.forget(m.at())
		}
	})
}

// assigned takes in what the member is to have (SIM-8): nobody else who may believe to be a member has it.
func (m *member) assigned(a *kmsg.ConsumerGroupHeartbeatResponse) {
	var list []int32
	for _, t := range a.Assignment.Topics {
		list = append(list, t.Partitions...)
	}
	slices.Sort(list)
	m.w.say("%s has %v in epoch %d", m.name, list, m.epoch)
	var next []owned
	for _, p := range list {
		if at := slices.IndexFunc(m.owns, func(o owned) bool { return o.partition == p }); at >= 0 {
			next = append(next, m.owns[at])
			continue
		}
		for _, o := range m.crew.members {
			if o != m && m.w.now-o.heard < sessionTimeout*9/10 && slices.ContainsFunc(o.owns, func(x owned) bool { return x.partition == p }) {
				m.w.fail("%s gets partition %d, which %s has, in epoch %d, and was heard of %v ago", m.name, p, o.name, o.epoch, m.w.now-o.heard)
			}
		}
		next = append(next, owned{partition: p, at: -1})
	}
	m.owns = next
}

// work commits offsets for what the member owns, forever.
func (m *member) work() {
	m.after(m.w.between(20*time.Millisecond, 150*time.Millisecond), m.work)
	if m.busy || len(m.owns) == 0 || m.epoch == 0 || m.w.calm && m.w.chance(900) {
		return
	}
	o := pick(m.w, m.owns)
	m.busy = true
	m.leader(m.at(), func(to *node) {
		// It may have lost the partition while it looked for the coordinator, and a commit at the epoch that it has now would be taken.
		if mine := m.own(o.partition); mine == nil || mine.at != o.at {
			m.busy = false
			return
		}
		if o.at < 0 {
			m.position(to, o.partition)
		} else {
			m.commit(to, o)
		}
	})
}

func (m *member) own(partition int32) *owned {
	for i := range m.owns {
		if m.owns[i].partition == partition {
			return &m.owns[i]
		}
	}
	return nil
}

// position asks where to begin.
func (m *member) position(to *node, partition int32) {
	e := m.epoch
	m.crew.position(m.machine, to, partition, func(at int64, err error) {
		m.busy = false
		if err != nil {
			m.forget(m.at())
		} else if o := m.own(partition); o != nil && m.epoch == e {
			o.at = at
		}
	})
}

func (m *member) commit(to *node, o owned) {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 9, m.crew.name, m.id, m.epoch
	t, one := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	next := o.at + 1 + int64(m.w.dice.IntN(5))
	one.Partition, one.Offset = o.partition, next
	t.Topic, t.Partitions = "orders", append(t.Partitions, one)
	q.Topics = append(q.Topics, t)
	call(m.endpoint, to, request{what: "commit", patience: 1500 * time.Millisecond, once: true}, func(reply func(kafka.ErrorCode, error)) {
		ask(to.groupShard(m.crew.name), func(a *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				reply(0, err)
				return
			}
			reply(kafka.ErrorCode(a.Topics[0].Partitions[0].ErrorCode), nil)
		}, func(s *group.Shard, op *coordinator.Op) *kmsg.OffsetCommitResponse {
			return s.OffsetCommit(op, group.Client{ID: m.id, Host: "h"}, q)
		})
	}, func(code kafka.ErrorCode, err error) {
		m.busy = false
		if err != nil {
			code = kafka.CodeOf(err)
		}
		mine := m.own(o.partition)
		if code == kafka.None {
			m.w.say("%s has committed %d of partition %d in epoch %d", m.name, next, o.partition, q.Generation)
			m.crew.acked[o.partition] = max(m.crew.acked[o.partition], next)
		} else {
			m.forget(m.at())
		}
		if mine != nil && mine.at >= 0 {
			mine.at = next // whether it was committed or not: the next one is higher
		}
	})
}

func (c *crew) atRest() string {
	n := 0
	for _, m := range c.members {
		n += len(m.owns)
		if m.epoch == 0 {
			return m.name + " is no member"
		}
	}
	if n != len(c.acked) {
		return "group " + c.name + " does not own each partition once"
	}
	return ""
}

func (c *crew) finally() {
	for p, least := range c.acked {
		at, err := c.w.finalOffset(c.name, int32(p))
		if err != nil || max(at, 0) < least {
			c.w.fail("at the end partition %d of group %s is at %d, and %d was committed (%v)", p, c.name, at, least, err)
		}
	}
}
