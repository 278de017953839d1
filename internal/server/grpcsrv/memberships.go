package grpcsrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
)

// membership is a member of a group that has joined on a connection. What the group knows is the group's; this is what later calls on the
// connection need of it.
type membership struct {
	group, id, client string
	generation        int32
	led               []*rafkapb.GroupMember // all members, if this one leads
	synced            bool
	assigned          map[string][]int32 // partitions by topic, once synced
	over              context.Context    // ends with the generation
	end               context.CancelFunc
}

// join remembers a member in place of what it was before; false: there are too many.
func (c *connection) join(m *membership) bool {
	m.over, m.end = context.WithCancel(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveLocked(m.group, m.id)
	if len(c.members) >= maxRegistered {
		return false
	}
	c.members = append(c.members, m)
	return true
}

// leave forgets a member, by its id.
func (c *connection) leave(group, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveLocked(group, id)
}

func (c *connection) leaveLocked(group, id string) {
	for i, m := range c.members {
		if m.group == group && m.id == id {
			m.end()
			last := len(c.members) - 1
			c.members[i] = c.members[last]
			c.members[last] = nil
			c.members = c.members[:last]
			return
		}
	}
}

// member finds a member by its id, or by the client id that it has joined with; nil if there is none.
func (c *connection) member(group, name string) *membership {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found *membership
	for _, m := range c.members {
		if m.group == group && m.id == name {
			return m
		}
		if m.group == group && m.client == name {
			found = m
		}
	}
	return found
}

// assign keeps what a member is to read.
func (c *connection) assign(m *membership, topics []kmsg.ConsumerMemberAssignmentTopic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.synced, m.assigned = true, map[string][]int32{}
	for _, t := range topics {
		m.assigned[t.Topic] = append(m.assigned[t.Topic], t.Partitions...)
	}
}

// assignment is what a consumer may read of a topic as a member of a group, until over ends; ok is false if it is not one, or does
// not know yet.
func (c *connection) assignment(group, consumer, topic string) (partitions []int32, over context.Context, ok bool) {
	m := c.member(group, consumer)
	c.mu.Lock()
	defer c.mu.Unlock()
	if m == nil || !m.synced {
		return nil, nil, false
	}
	return m.assigned[topic], m.over, true
}

// memberOf says as whom a consumer commits.
func memberOf(ctx context.Context, group, consumer string) broker.GroupMember {
	if m := connectionOf(ctx).member(group, consumer); m != nil {
		return broker.GroupMember{ID: m.id, Generation: m.generation}
	}
	return broker.GroupMember{}
}
