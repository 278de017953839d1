package textsrv

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	heartbeatVersion = 1
	rejoinPause      = time.Second     // after a heartbeat that failed
	leavePatience    = 5 * time.Second // for saying that the members of a connection leave
)

// Epochs of members that mean something of their own (KIP-932).
const (
	joinEpoch  int32 = 0
	leaveEpoch int32 = -1
)

// queuePartition is a partition of the topic that a queue reads; by id, because a topic made anew under its name is another one.
type queuePartition struct {
	topic     kafka.UUID
	partition int32
}

// member is a connection's membership in the share group that reads a queue. A goroutine of its own sends the heartbeats, so that a person may
// think between two commands.
type member struct {
	conn         *connection
	group, topic string
	id           string
	epoch        int32         // of the next heartbeat; used by who joins, then by keep, then by who leaves
	pace         time.Duration // until the next heartbeat; likewise
	stop         context.CancelFunc
	kept         chan struct{} // closed when keep has ended

	mu        sync.Mutex // guards what follows, for memory work only
	assigned  []queuePartition
	changed   chan struct{}      // closed and replaced when assigned or err changes
	interrupt context.CancelFunc // of the fetch under way, which shall look at assigned again
	err       error              // of the last heartbeat

	// What follows is of the goroutine that answers.
	session  int32            // epoch of the next request of the share session; 0: there is none
	fetching []queuePartition // what the session fetches
	held     map[messageID]holding
}

// holding is a message that the connection holds.
type holding struct {
	queuePartition
	until time.Time // its lock runs out
}

func (c *connection) newMember(group, topic string) *member {
	return &member{conn: c, group: group, topic: topic, id: kafka.NewUUID().String(), changed: make(chan struct{}), held: map[messageID]holding{}}
}

// join makes the connection a member and has its membership kept until leave.
func (m *member) join(ctx context.Context) error {
	c := m.conn
	if err := broker.AskCoordinator(ctx, c.server.verbs, c.session, m.group, func() error { return m.beat(ctx) }); err != nil {
		return err
	}
	ctx, m.stop = context.WithCancel(c.ctx)
	m.kept = make(chan struct{})
	go m.keep(ctx)
	return nil
}

// keep sends heartbeats until ctx ends. A member that the group does not know any more joins again under its name.
func (m *member) keep(ctx context.Context) {
	defer close(m.kept)
	timer := time.NewTimer(m.pace)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := m.beat(ctx)
		switch kafka.CodeOf(err) {
		case kafka.UnknownMemberID, kafka.FencedMemberEpoch, kafka.GroupIDNotFound:
			m.epoch = joinEpoch
		case kafka.CoordinatorNotAvailable, kafka.CoordinatorLoadInProgress, kafka.NotCoordinator:
			err = nil // they pass
		}
		m.set(func() { m.err = err })
		timer.Reset(m.pace)
	}
}

// beat sends one heartbeat and takes what the group says.
func (m *member) beat(ctx context.Context) error {
	q := kmsg.NewPtrShareGroupHeartbeatRequest()
	q.Version, q.GroupID, q.MemberID, q.MemberEpoch = heartbeatVersion, m.group, m.id, m.epoch
	if m.epoch == joinEpoch {
		q.SubscribedTopicNames = []string{m.topic}
	}
	a := m.conn.server.verbs.ShareGroupHeartbeat(ctx, m.conn.session, q)
	if a.ErrorCode != 0 {
		m.pace = rejoinPause
		return queueError(a.ErrorCode, a.ErrorMessage, m.group)
	}
	m.epoch, m.pace = a.MemberEpoch, max(time.Duration(a.HeartbeatIntervalMillis)*time.Millisecond, 10*time.Millisecond)
	if a.Assignment == nil {
		return nil
	}
	var assigned []queuePartition
	for _, t := range a.Assignment.TopicPartitions {
		for _, p := range t.Partitions {
			assigned = append(assigned, queuePartition{t.TopicID, p})
		}
	}
	m.set(func() { m.assigned = assigned })
	return nil
}

// set changes what the heartbeats have brought, and wakes who waits for it.
func (m *member) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, err := m.assigned, m.err
	change()
	if slices.Equal(before, m.assigned) && err == m.err {
		return
	}
	close(m.changed)
	m.changed = make(chan struct{})
	if m.interrupt != nil {
		m.interrupt()
	}
}

// assignment is what the member is to fetch now, and what is closed when that changes.
func (m *member) assignment() (assigned []queuePartition, changed <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.assigned, m.changed, m.err
}

// whileAssigned runs fetch with a context that ends when the member is to fetch something else than assigned, and reports whether that happened.
func (m *member) whileAssigned(ctx context.Context, assigned []queuePartition, fetch func(context.Context)) (changed bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	m.interrupt = cancel
	changed = !slices.Equal(assigned, m.assigned)
	m.mu.Unlock()
	if !changed {
		fetch(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.interrupt = nil
	return !slices.Equal(assigned, m.assigned)
}

// leave ends the membership: the group gives the partitions to others at once.
func (m *member) leave(ctx context.Context) {
	if m.stop != nil {
		m.stop()
		<-m.kept
	}
	q := kmsg.NewPtrShareGroupHeartbeatRequest()
	q.Version, q.GroupID, q.MemberID, q.MemberEpoch = heartbeatVersion, m.group, m.id, leaveEpoch
	m.conn.server.verbs.ShareGroupHeartbeat(ctx, m.conn.session, q) // if it fails the group finds out by itself
}

// queueError gives a code about a share group the words that a person needs; nil for none.
func queueError(code int16, text *string, group string) error {
	switch c := kafka.ErrorCode(code); c {
	case kafka.None:
		return nil
	case kafka.GroupIDNotFound:
		return kafka.Errorf(c, "group %s is no queue; GROUPS lists what there is, choose another name", word(group))
	case kafka.GroupMaxSizeReached:
		return kafka.Errorf(c, "queue %s has as many members as group.share.max.size allows; close another connection first", word(group))
	case kafka.ShareSessionLimitReached:
		return kafka.Errorf(c, "the broker has as many takers as group.share.max.share.sessions allows; close another connection first")
	case kafka.UnsupportedVersion:
		return kafka.Errorf(c, "this broker has no queues")
	case kafka.InvalidRecordState:
		return kafka.Errorf(c, "not held any more: its lock ran out, or what was asked is not allowed by the queue's settings; TAKE it again")
	case kafka.UnknownTopicID, kafka.UnknownTopicOrPartition:
		return kafka.Errorf(c, "the topic was deleted")
	default:
		if err := broker.GroupError(code, group); text == nil || *text == "" || c.Retriable() {
			return err
		}
		return kafka.Errorf(c, "queue %s: %s", word(group), *text)
	}
}
