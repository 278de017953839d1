package route

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// shares is the share partitions of all brokers: records are numbered, and free or held by a connection.
type shares struct {
	w        *world
	mu       sync.Mutex
	sessions map[any]*shareSession // by connection
	free     map[partitionAt][]int64
	acked    []int64
}

type shareSession struct {
	broker kafka.BrokerID
	epoch  int32
	has    map[partitionAt]bool
	held   map[int64]partitionAt
}

// fill puts records into a partition.
func (s *shares) fill(tp partitionAt, offsets ...int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == nil {
		s.free, s.sessions = map[partitionAt][]int64{}, map[any]*shareSession{}
	}
	s.free[tp] = append(s.free[tp], offsets...)
}

// fetch is ShareFetch on one broker over one connection. It does not wait: what is asked for by others comes with the next.
func (s *shares) fetch(id kafka.BrokerID, conn any, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	img := s.w.Image()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.sessions[conn]
	switch {
	case q.ShareSessionEpoch == 0:
		now = &shareSession{broker: id, has: map[partitionAt]bool{}, held: map[int64]partitionAt{}}
		s.sessions[conn] = now
	case now == nil:
		return &kmsg.ShareFetchResponse{ErrorCode: int16(kafka.ShareSessionNotFound)}
	case q.ShareSessionEpoch != now.epoch:
		return &kmsg.ShareFetchResponse{ErrorCode: int16(kafka.InvalidShareSessionEpoch)}
	}
	now.epoch = follows(q.ShareSessionEpoch)
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			now.has[partitionAt{t.TopicID, p.Partition}] = true
		}
	}
	for _, t := range q.ForgottenTopicsData {
		for _, p := range t.Partitions {
			delete(now.has, partitionAt{t.TopicID, p})
		}
	}
	a := &kmsg.ShareFetchResponse{AcquisitionLockTimeoutMillis: 30_000}
	left := q.MaxRecords
	for at := range now.has {
		p := kmsg.NewShareFetchResponseTopicPartition()
		p.Partition = at.partition
		if where, err := find(img, "", at.topic, at.partition); err != nil || where.leader != id {
			p.ErrorCode = int16(kafka.NotLeaderOrFollower)
		}
		for p.ErrorCode == 0 && left > 0 && len(s.free[at]) > 0 {
			o := s.free[at][0]
			s.free[at] = s.free[at][1:]
			now.held[o] = at
			p.AcquiredRecords = append(p.AcquiredRecords, kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{FirstOffset: o, LastOffset: o, DeliveryCount: 1})
			p.Records = append(p.Records, 1)
			left--
		}
		if p.ErrorCode != 0 || len(p.Records) > 0 {
			a.Topics = append(a.Topics, kmsg.ShareFetchResponseTopic{TopicID: at.topic, Partitions: []kmsg.ShareFetchResponseTopicPartition{p}})
		}
	}
	return a
}

func (s *shares) acknowledge(conn any, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.sessions[conn]
	if now == nil || q.ShareSessionEpoch != now.epoch {
		return &kmsg.ShareAcknowledgeResponse{ErrorCode: int16(kafka.InvalidShareSessionEpoch)}
	}
	now.epoch = follows(now.epoch)
	a := &kmsg.ShareAcknowledgeResponse{AcquisitionLockTimeoutMillis: 30_000}
	for _, t := range q.Topics {
		topic := kmsg.ShareAcknowledgeResponseTopic{TopicID: t.TopicID}
		for _, p := range t.Partitions {
			one := kmsg.NewShareAcknowledgeResponseTopicPartition()
			one.Partition = p.Partition
			for _, b := range p.AcknowledgementBatches {
				if now.held[b.FirstOffset] != (partitionAt{t.TopicID, p.Partition}) {
					one.ErrorCode = int16(kafka.InvalidRecordState)
					continue
				}
				delete(now.held, b.FirstOffset)
				s.acked = append(s.acked, b.FirstOffset)
			}
			topic.Partitions = append(topic.Partitions, one)
		}
		a.Topics = append(a.Topics, topic)
	}
	return a
}

// ended gives back what a connection holds.
func (s *shares) ended(conn any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.sessions[conn]; now != nil {
		for o, at := range now.held {
			s.free[at] = append(s.free[at], o)
		}
		delete(s.sessions, conn)
	}
}

// shareConn is a connection to another broker.
type shareConn struct {
	w  *world
	id kafka.BrokerID
}

func (w *world) dial(_ context.Context, to kafka.BrokerID) (Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down[to] {
		return nil, kafka.BrokerNotAvailable
	}
	return &shareConn{w, to}, nil
}

func (c *shareConn) Do(_ context.Context, q kmsg.Request) (kmsg.Response, error) {
	c.w.mu.Lock()
	down := c.w.down[c.id]
	c.w.mu.Unlock()
	if down {
		return nil, kafka.NetworkException
	}
	switch q := q.(type) {
	case *kmsg.ShareFetchRequest:
		return c.w.shares.fetch(c.id, c, q), nil
	case *kmsg.ShareAcknowledgeRequest:
		return c.w.shares.acknowledge(c, q), nil
	}
	return nil, kafka.UnsupportedVersion
}

func (c *shareConn) Close() error {
	c.w.shares.ended(c)
	return nil
}

func (l *local) ShareFetch(_ context.Context, s *broker.Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	return l.w.shares.fetch(1, s, q)
}
func (l *local) ShareFetchWritten(*broker.Session) {}
func (l *local) ShareAcknowledge(_ context.Context, s *broker.Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	return l.w.shares.acknowledge(s, q)
}
func (l *local) SessionClosed(s *broker.Session) { l.w.shares.ended(s) }
