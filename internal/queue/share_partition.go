package queue

import (
	"context"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/replica"
)

// partitionKey names a share partition.
type partitionKey struct {
	group string
	TopicPartition
}

// sharePartition is a share.Partition with what it needs of the world: the log, the share coordinator, who waits.
type sharePartition struct {
	m     *Manager
	key   partitionKey
	topic string
	log   *partition.Partition
	epoch kafka.LeaderEpoch // in which this node leads the log; another one makes another sharePartition

	ready   chan struct{} // closed when it is loaded, or will not be
	failure error         // why it is not; set before ready is closed

	// reading is held by the fetch that looks for records, one at a time: new records are seen in the order of the log. I/O happens under it.
	// Taken before mu.
	reading sync.Mutex

	// mu guards what is below, for memory work only. timers.mu and pending.mu may be taken after it.
	mu        sync.Mutex
	state     *share.Partition // nil until loaded
	settings  share.Settings
	group     config.ShareGroup
	image     *metadata.Image // of which the settings are
	gone      error           // why this is over: not led any more, fenced, forgotten
	wake      time.Time       // NextWake of state; zero: never
	waiters   waiterList
	outcomes  map[share.Ticket]*outcome
	change    share.Write // under way while writing
	writing   bool        // a write is under way, or waits for its turn
	attempts  attempts    // of writing
	done      int64       // the start offset, and how many records from there on are done, as last written
	letters   []share.DeadLetter
	lettering bool     // dead letters are being written, or wait for their turn
	retries   attempts // of writing dead letters

	at    time.Time // when to look again; guarded by timers.mu, as is place
	place int       // in the heap, from 1; 0: not there
}

// outcome is what becomes of a write that somebody waits for.
type outcome struct {
	done chan struct{} // closed when it is known
	err  error
}

// find returns the share partition of a group and a partition that this node leads, once it is loaded.
//
// Errors: UnknownTopicID, UnknownTopicOrPartition, NotLeaderOrFollower, and those of load.
func (m *Manager) find(ctx context.Context, key partitionKey) (*sharePartition, error) {
	for {
		sp, err := m.entry(key, true)
		if err != nil {
			return nil, err
		}
		select {
		case <-sp.ready:
		case <-m.ctx.Done():
			return nil, errClosing
		case <-ctx.Done():
			return nil, kafka.Errorf(kafka.RequestTimedOut, "the state of share group %s was not read in time: %w", key.group, context.Cause(ctx))
		}
		if sp.failure != nil {
			return nil, sp.failure
		}
		if sp.configure(m.opts.Image()) {
			return sp, nil
		}
	}
}

// known is find for what is loaded already: acknowledging what nobody has acquired is UnknownTopicOrPartition, as in Kafka.
func (m *Manager) known(key partitionKey) (*sharePartition, error) {
	sp, err := m.entry(key, false)
	if err != nil {
		return nil, err
	}
	if sp == nil {
		return nil, kafka.Errorf(kafka.UnknownTopicOrPartition, "share group %s holds no records of the partition here", key.group)
	}
	select {
	case <-sp.ready:
		return sp, sp.failure
	default:
		return nil, kafka.Errorf(kafka.UnknownTopicOrPartition, "share group %s holds no records of the partition here yet", key.group)
	}
}

// entry finds a share partition, or makes one that is being loaded from then on. One of an older leadership is thrown away.
func (m *Manager) entry(key partitionKey, create bool) (*sharePartition, error) {
	t, log, err := m.logOf(key.TopicPartition)
	if err != nil {
		return nil, err
	}
	role := log.Role()
	m.mu.Lock()
	sp := m.partitions[key]
	switch {
	case m.closed:
		m.mu.Unlock()
		return nil, errClosing
	case sp != nil && (sp.log != log || sp.epoch != role.Epoch || !role.IsLeader):
		delete(m.partitions, key)
		m.mu.Unlock()
		sp.fence(errNotLeader)
		return m.entry(key, create)
	case !role.IsLeader:
		m.mu.Unlock()
		return nil, errNotLeader
	case sp != nil || !create:
		m.mu.Unlock()
		return sp, nil
	}
	sp = &sharePartition{m: m, key: key, topic: t.Name, log: log, epoch: role.Epoch, ready: make(chan struct{}), outcomes: map[share.Ticket]*outcome{}}
	m.partitions[key] = sp
	m.mu.Unlock()
	m.writes.push(sp)
	return sp, nil
}

// logOf finds a partition of this node.
func (m *Manager) logOf(tp TopicPartition) (*replica.Topic, *partition.Partition, error) {
	t, err := m.opts.Replicas.ByID(tp.Topic)
	if err != nil {
		return nil, nil, err
	}
	log, err := t.Partition(tp.Partition)
	if err != nil {
		return nil, nil, err
	}
	return t, log, log.Role().Gone
}

// sweep throws away the share partitions whose topic is gone or led elsewhere: nobody may ask for them again.
func (m *Manager) sweep() {
	for _, sp := range m.all() {
		if _, log, err := m.logOf(sp.key.TopicPartition); err != nil || log != sp.log || !log.Role().IsLeader {
			m.forget(sp, errNotLeader)
		}
	}
}

var (
	errNotLeader = kafka.Errorf(kafka.NotLeaderOrFollower, "this broker does not lead the partition: refresh the metadata")
	errForgotten = kafka.Errorf(kafka.ShareSessionNotFound, "the share group has no session here any more")
	errReordered = kafka.Errorf(kafka.NotLeaderOrFollower, "share.ordering of the group has changed: fetch again")
)

// forget throws a share partition away: the next who asks for it reads its state again.
func (m *Manager) forget(sp *sharePartition, why error) {
	m.mu.Lock()
	if m.partitions[sp.key] == sp {
		delete(m.partitions, sp.key)
	}
	m.mu.Unlock()
	sp.fence(why)
}

// forgetUnused throws a share partition away when its group has no session here and nothing is left to be done for it, so that groups which
// come and go leave nothing behind (P6).
func (sp *sharePartition) forgetUnused() {
	if !sp.m.sessions.hasMembers(sp.key.group) && sp.settled() {
		sp.m.forget(sp, errForgotten)
	}
}

// fence ends a share partition: who waits is told why, and nothing of it is written any more.
func (sp *sharePartition) fence(why error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil {
		return
	}
	sp.gone = why
	for t := range sp.outcomes {
		sp.resolveLocked(t, why)
	}
	sp.waiters.wakeAll()
	sp.m.timers.set(sp, time.Time{})
}

// configure puts the settings of the group as of an image in force. false: this share partition is over, there may be another one.
func (sp *sharePartition) configure(img *metadata.Image) bool {
	sp.mu.Lock()
	if sp.gone != nil || sp.image == img {
		defer sp.mu.Unlock()
		return sp.gone == nil
	}
	sp.image = img
	sp.group = sp.m.opts.Settings.Group(img, sp.key.group).Share
	was := sp.settings
	sp.settings = share.SettingsOf(sp.group)
	reordered := was.KeyOrdering != sp.settings.KeyOrdering
	if !reordered && was != sp.settings {
		sp.state.SetSettings(sp.settings)
		sp.changedLocked(sp.m.opts.Now())
		sp.waiters.wakeOne() // a limit may have risen
	}
	sp.mu.Unlock()
	if reordered {
		sp.m.forget(sp, errReordered)
	}
	return !reordered
}

// settled reports whether nothing is left to be written or sent.
func (sp *sharePartition) settled() bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return !sp.writing && !sp.lettering && len(sp.letters) == 0 && len(sp.outcomes) == 0
}

// held is how many records members hold.
func (sp *sharePartition) held() int {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.state == nil {
		return 0
	}
	return sp.state.Stats(sp.m.opts.Now()).Acquired
}
