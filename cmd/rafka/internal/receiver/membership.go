package receiver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pause between tries of what may succeed a moment later.
const pause = 100 * time.Millisecond

// partitionKey names a partition as share requests do.
type partitionKey struct {
	topic     [16]byte
	partition int32
}

// membership tells the group that the member lives, on a goroutine of its own.
type membership struct {
	cl       *kgo.Client
	group    string
	id       string
	topics   []string
	patience time.Duration
	stop     context.CancelFunc
	stopped  chan struct{}
	epoch    int32 // of the heartbeats; their goroutine's until stopped

	mu       sync.Mutex // guards what follows; a leaf
	assigned []partitionKey
	version  int           // of assigned
	changed  chan struct{} // closed when version rises or err is set
	err      error         // why there are no more heartbeats
}

// newMemberID is a random UUID in the form in which Kafka prints them.
func newMemberID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// join sends the first heartbeat, again while the group's coordinator is not there, and leaves the others to a goroutine.
func join(ctx context.Context, cl *kgo.Client, group string, topics []string, patience time.Duration) (*membership, error) {
	m := &membership{cl: cl, group: group, id: newMemberID(), topics: topics, patience: patience, stopped: make(chan struct{}), changed: make(chan struct{})}
	for {
		interval, err := m.beat(ctx)
		switch {
		case err == nil:
			beats, stop := context.WithCancel(context.WithoutCancel(ctx)) // until leave
			m.stop = stop
			go m.run(beats, interval)
			return m, nil
		case !passing(err) || sleep(ctx, pause) != nil:
			return nil, err
		}
	}
}

// run sends heartbeats until it is stopped or the group refuses the member for good.
func (m *membership) run(ctx context.Context, interval time.Duration) {
	defer close(m.stopped)
	for sleep(ctx, interval) == nil {
		next, err := m.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			interval = next
		case passing(err):
			interval = pause
		default:
			m.mu.Lock()
			m.err = err
			close(m.changed)
			m.mu.Unlock()
			return
		}
	}
}

// beat is one heartbeat. A member that the group has forgotten joins again with the next.
func (m *membership) beat(ctx context.Context) (interval time.Duration, err error) {
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch = m.group, m.id, m.epoch
	if m.epoch == 0 {
		req.SubscribedTopicNames = m.topics
	}
	ctx, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	resp, err := req.RequestWith(ctx, m.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	switch {
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.FencedMemberEpoch):
		m.epoch = 0
		return pause, nil
	case err != nil && resp != nil && resp.ErrorMessage != nil:
		return 0, fmt.Errorf("join group %q: %w (%s)", m.group, err, *resp.ErrorMessage)
	case err != nil:
		return 0, fmt.Errorf("join group %q: %w", m.group, err)
	}
	m.epoch = resp.MemberEpoch
	if resp.Assignment != nil {
		m.assign(resp.Assignment)
	}
	return max(pause, time.Duration(resp.HeartbeatIntervalMillis)*time.Millisecond), nil
}

func (m *membership) assign(a *kmsg.ShareGroupHeartbeatResponseAssignment) {
	var assigned []partitionKey
	for _, t := range a.TopicPartitions {
		for _, p := range t.Partitions {
			assigned = append(assigned, partitionKey{t.TopicID, p})
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Equal(assigned, m.assigned) {
		return
	}
	m.assigned = assigned
	m.version++
	close(m.changed)
	m.changed = make(chan struct{})
}

// now is what the member is to read, and a channel that is closed when that changes.
func (m *membership) now() (assigned []partitionKey, version int, changed <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.assigned, m.version, m.changed, m.err
}

// leave ends the heartbeats and tells the group.
func (m *membership) leave(ctx context.Context) error {
	m.stop()
	<-m.stopped
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch = m.group, m.id, -1
	ctx, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	resp, err := req.RequestWith(ctx, m.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("leave group %q: %w", m.group, err)
	}
	return nil
}

// passing tells errors that another try may not meet: a broker that is away, a coordinator that moves.
func passing(err error) bool {
	var kafka *kerr.Error
	return !errors.As(err, &kafka) && !errors.Is(err, context.Canceled) || kerr.IsRetriable(err)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
