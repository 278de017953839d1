package route

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// How long one broker is waited for while others may get records too, and how long the only one, after which it is seen whether the door still waits.
// A fetch is never cut off: with its connection the member would lose what it holds.
const (
	shareSlice      = 150 * time.Millisecond
	longShareSlice  = 500 * time.Millisecond
	leastShareRound = 20 * time.Millisecond // of asking all, when none has anything
)

// member is a member of a share group with a session at each broker that leads one of its partitions. To its door it has one.
type member struct {
	v       *Verbs
	session *broker.Session
	key     memberKey

	mu         sync.Mutex // one request at a time; held while it waits
	epoch      int32      // of the door's next request
	partitions []partitionAt
	gave       map[partitionAt]*sharePeer // who gave the last records of each
	turn       int                        // who is asked first

	peersMu sync.Mutex // guards brokers and closed, for memory work only; a leaf
	brokers map[kafka.BrokerID]*sharePeer
	closed  bool
}

var (
	errShareEpoch = kafka.Errorf(kafka.InvalidShareSessionEpoch, "the share session epoch is not the one that follows: open a new share session with epoch 0")
	errShareAcks  = kafka.Errorf(kafka.InvalidRequest, "acknowledge by ShareAcknowledge")
	errShareGone  = kafka.Errorf(kafka.ShareSessionNotFound, "the connection has ended")
	errNotHeld    = kafka.Errorf(kafka.InvalidRecordState, "the broker that gave the records does not lead the partition any more, or was lost: they are delivered again")
)

// follows is the epoch after e: from 2^31-1 it goes on with 1.
func follows(e int32) int32 {
	if e == 1<<31-1 {
		return 1
	}
	return e + 1
}

// close ends the sessions: connections that end give back what is held.
func (m *member) close() {
	m.peersMu.Lock()
	m.closed = true
	peers := m.brokers
	m.brokers = map[kafka.BrokerID]*sharePeer{}
	m.peersMu.Unlock()
	for _, p := range peers {
		p.close()
	}
}

func refusedFetch(q *kmsg.ShareFetchRequest, err error) *kmsg.ShareFetchResponse {
	text := kafka.MessageOf(err)
	return &kmsg.ShareFetchResponse{Version: q.Version, ErrorCode: int16(kafka.CodeOf(err)), ErrorMessage: &text}
}

// fetch asks one broker after the other until one has records, or the time is up; then the errors of partitions are the answer.
func (m *member) fetch(ctx context.Context, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.update(q); err != nil {
		return refusedFetch(q, err)
	}
	until := time.Now().Add(time.Duration(q.MaxWaitMillis) * time.Millisecond)
	m.turn++
	for round := 0; ; round++ {
		begun := time.Now()
		byLeader, failed := m.byLeader()
		m.leaveOthers(byLeader)
		leaders := make([]kafka.BrokerID, 0, len(byLeader))
		for leader := range byLeader {
			leaders = append(leaders, leader)
		}
		slices.Sort(leaders)
		answer := &kmsg.ShareFetchResponse{Version: q.Version, Topics: failed}
		for i := range leaders {
			to := leaders[(m.turn+i)%len(leaders)]
			wait := max(time.Until(until), 0)
			switch {
			case len(leaders) > 1 && round == 0:
				wait = 0
			case len(leaders) > 1:
				wait = min(wait, shareSlice)
			default:
				wait = min(wait, longShareSlice)
			}
			got, err := m.fetchFrom(ctx, to, byLeader[to], q, wait)
			switch {
			case err != nil:
				answer.Topics = append(answer.Topics, failedParts(byLeader[to], err)...)
				continue
			case got.ErrorCode != 0:
				return got
			case m.note(to, got):
				return got
			}
			answer.AcquisitionLockTimeoutMillis = got.AcquisitionLockTimeoutMillis
			answer.Topics = append(answer.Topics, got.Topics...)
		}
		if len(answer.Topics) > 0 || ctx.Err() != nil || !time.Now().Before(until) {
			return answer
		}
		if took := time.Since(begun); round > 0 && took < leastShareRound { // they did not wait, or there is nobody to ask
			pause(ctx, leastShareRound-took)
		}
	}
}

// update takes in what a request says of the session.
func (m *member) update(q *kmsg.ShareFetchRequest) error {
	var add []partitionAt
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			if len(p.AcknowledgementBatches) > 0 {
				return errShareAcks
			}
			add = append(add, partitionAt{t.TopicID, p.Partition})
		}
	}
	if q.ShareSessionEpoch == 0 {
		m.end()
		m.partitions, m.epoch, m.gave = add, 1, map[partitionAt]*sharePeer{}
		return nil
	}
	if q.ShareSessionEpoch != m.epoch {
		return errShareEpoch
	}
	m.epoch = follows(m.epoch)
	for _, p := range add {
		if !slices.Contains(m.partitions, p) {
			m.partitions = append(m.partitions, p)
		}
	}
	for _, t := range q.ForgottenTopicsData {
		for _, i := range t.Partitions {
			gone := partitionAt{t.TopicID, i}
			m.partitions = slices.DeleteFunc(m.partitions, func(p partitionAt) bool { return p == gone })
		}
	}
	return nil
}

// end ends the sessions with all brokers.
func (m *member) end() {
	m.peersMu.Lock()
	peers := m.brokers
	m.brokers = map[kafka.BrokerID]*sharePeer{}
	m.peersMu.Unlock()
	for _, p := range peers {
		p.close()
	}
}

// byLeader splits the partitions. failed are those that have no leader, or are no more.
func (m *member) byLeader() (byLeader map[kafka.BrokerID][]partitionAt, failed []kmsg.ShareFetchResponseTopic) {
	img := m.v.Image()
	byLeader = map[kafka.BrokerID][]partitionAt{}
	for _, p := range m.partitions {
		where, err := find(img, "", p.topic, p.partition)
		if err == nil && where.leader == kafka.NoBroker {
			err = errNoLeader
		}
		if err != nil {
			failed = append(failed, failedParts([]partitionAt{p}, err)...)
			continue
		}
		byLeader[where.leader] = append(byLeader[where.leader], p)
	}
	return byLeader, failed
}

// failedParts are answers about partitions that were not asked about, or not answered.
func failedParts(parts []partitionAt, err error) (topics []kmsg.ShareFetchResponseTopic) {
	for _, p := range parts {
		one := kmsg.NewShareFetchResponseTopicPartition()
		text := kafka.MessageOf(err)
		one.Partition, one.ErrorCode, one.ErrorMessage = p.partition, int16(kafka.CodeOf(err)), &text
		topics = append(topics, kmsg.ShareFetchResponseTopic{TopicID: p.topic, Partitions: []kmsg.ShareFetchResponseTopicPartition{one}})
	}
	return topics
}

// note reports whether an answer has records, and remembers who gave them.
func (m *member) note(from kafka.BrokerID, a *kmsg.ShareFetchResponse) (some bool) {
	m.peersMu.Lock()
	defer m.peersMu.Unlock()
	for i := range a.Topics {
		for j := range a.Topics[i].Partitions {
			if p := &a.Topics[i].Partitions[j]; len(p.Records) > 0 {
				some = true
				m.gave[partitionAt{a.Topics[i].TopicID, p.Partition}] = m.brokers[from]
			}
		}
	}
	return some
}

// leaveOthers ends the sessions with brokers that lead nothing of the member's any more: what they gave it holds no more.
func (m *member) leaveOthers(byLeader map[kafka.BrokerID][]partitionAt) {
	var old []*sharePeer
	m.peersMu.Lock()
	for id, p := range m.brokers {
		if len(byLeader[id]) == 0 {
			old = append(old, p)
		}
	}
	m.peersMu.Unlock()
	for _, p := range old {
		m.lose(p)
	}
}

// acknowledge splits the request by who gave the records.
func (m *member) acknowledge(ctx context.Context, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	m.mu.Lock()
	defer m.mu.Unlock()
	answer := &kmsg.ShareAcknowledgeResponse{Version: q.Version}
	if q.ShareSessionEpoch != m.epoch || q.ShareSessionEpoch <= 0 {
		text := errShareEpoch.Message
		answer.ErrorCode, answer.ErrorMessage = int16(errShareEpoch.Code), &text
		return answer
	}
	m.epoch = follows(m.epoch)
	byPeer := map[*sharePeer][]kmsg.ShareAcknowledgeRequestTopic{}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			one := kmsg.ShareAcknowledgeRequestTopic{TopicID: t.TopicID, Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{p}}
			if from := m.giver(partitionAt{t.TopicID, p.Partition}); from != nil {
				byPeer[from] = append(byPeer[from], one)
			} else {
				answer.Topics = append(answer.Topics, notAcknowledged([]kmsg.ShareAcknowledgeRequestTopic{one}, errNotHeld)...)
			}
		}
	}
	for from, topics := range byPeer {
		own := *q
		own.Topics = topics
		got, err := from.acknowledge(ctx, &own)
		if err == nil && got.ErrorCode != 0 {
			err = errNotHeld
		}
		if err != nil {
			m.lose(from)
			answer.Topics = append(answer.Topics, notAcknowledged(topics, err)...)
			continue
		}
		answer.AcquisitionLockTimeoutMillis = got.AcquisitionLockTimeoutMillis
		answer.Topics = append(answer.Topics, got.Topics...)
	}
	return answer
}

// giver is who gave the last records of a partition; nil: nobody, or who is lost. A leader before that one has nothing to say any more.
func (m *member) giver(p partitionAt) *sharePeer {
	m.peersMu.Lock()
	defer m.peersMu.Unlock()
	if one := m.gave[p]; one != nil && m.brokers[one.id] == one {
		return one
	}
	return nil
}

func notAcknowledged(topics []kmsg.ShareAcknowledgeRequestTopic, err error) (refused []kmsg.ShareAcknowledgeResponseTopic) {
	text := kafka.MessageOf(err)
	for _, t := range topics {
		one := kmsg.ShareAcknowledgeResponseTopic{TopicID: t.TopicID}
		for _, p := range t.Partitions {
			a := kmsg.NewShareAcknowledgeResponseTopicPartition()
			a.Partition, a.ErrorCode, a.ErrorMessage = p.Partition, int16(kafka.CodeOf(err)), &text
			one.Partitions = append(one.Partitions, a)
		}
		refused = append(refused, one)
	}
	return refused
}

// lose forgets the session with a broker.
func (m *member) lose(p *sharePeer) {
	m.peersMu.Lock()
	if m.brokers[p.id] == p {
		delete(m.brokers, p.id)
	}
	m.peersMu.Unlock()
	p.close()
}
