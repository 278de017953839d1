package replica

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// testConn is a connection between two nodes.
type testConn struct {
	from, to *node
	gone     chan struct{}
	once     sync.Once
}

var errCut = kafka.Errorf(kafka.NetworkException, "the connection is cut")

func (c *testConn) cut() { c.once.Do(func() { close(c.gone) }) }

// Close implements FetchConn.
func (c *testConn) Close() error {
	c.cut()
	c.to.mu.Lock()
	delete(c.to.conns, c)
	c.to.mu.Unlock()
	return nil
}

// Dial implements Peers.
func (n *node) Dial(ctx context.Context, id kafka.BrokerID) (FetchConn, error) {
	to := n.c.nodes[id]
	if n.c.faultOf(n.id, id, nil).lost {
		return nil, errCut
	}
	n.mu.Lock()
	n.dials++
	n.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.m == nil {
		return nil, kafka.BrokerNotAvailable
	}
	conn := &testConn{from: n, to: to, gone: make(chan struct{})}
	to.conns[conn] = struct{}{}
	return conn, nil
}

func (c *cluster) faultOf(from, to kafka.BrokerID, q *kmsg.FetchRequest) fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil {
		return fault{}
	}
	return c.fault(from, to, q)
}

// Fetch implements FetchConn. Request and answer go through their bytes, as over a network.
func (c *testConn) Fetch(ctx context.Context, q *kmsg.FetchRequest) (FetchFrame, error) {
	sent := kmsg.NewPtrFetchRequest()
	sent.Version = q.Version
	if err := sent.ReadFrom(q.AppendTo(nil)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan *kmsg.FetchResponse, 1)
	f := c.from.c.faultOf(c.from.id, c.to.id, sent)
	if f.lost {
		cancel()
		c.cut()
		return nil, errCut
	}
	var served sync.WaitGroup
	defer func() { cancel(); served.Wait() }()
	served.Go(func() {
		if f.delay > 0 {
			select {
			case <-time.After(f.delay):
			case <-ctx.Done():
				return
			}
		}
		if f.forget {
			c.to.forgetSessions()
		}
		a := c.to.serve(ctx, sent)
		if f.twice {
			c.to.serve(ctx, sent)
		}
		if a != nil && ctx.Err() == nil {
			answers <- a
		}
	})
	select {
	case a := <-answers:
		if f.unanswered {
			c.cut()
			return nil, errCut
		}
		frame := &testFrame{bytes: a.AppendTo(nil), answer: kmsg.NewPtrFetchResponse()}
		frame.answer.Version = a.Version
		if err := frame.answer.ReadFrom(frame.bytes); err != nil {
			return nil, err
		}
		return frame, nil
	case <-c.gone:
		return nil, errCut
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// testFrame spoils its bytes when it is given back.
type testFrame struct {
	bytes  []byte
	answer *kmsg.FetchResponse
}

func (f *testFrame) Answer() *kmsg.FetchResponse { return f.answer }
func (f *testFrame) Release() {
	for i := range f.bytes {
		f.bytes[i] = 0xee
	}
}

// serverSession is a fetch session as the leader has it.
type serverSession struct {
	epoch int32
	order []followKey
	asked map[followKey]kmsg.FetchRequestTopicPartition
	told  map[followKey][2]int64 // high watermark and log start
}

func (n *node) forgetSessions() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sessions = map[int32]*serverSession{}
}

// resolve finds the session of a request and brings it up to date.
func (n *node) resolve(q *kmsg.FetchRequest) (*serverSession, int32, kafka.ErrorCode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fetches++
	id, s := q.SessionID, n.sessions[q.SessionID]
	if q.SessionEpoch == 0 {
		n.fulls++
		delete(n.sessions, id)
		s = &serverSession{asked: map[followKey]kmsg.FetchRequestTopicPartition{}, told: map[followKey][2]int64{}}
		id = rand.Int32()
		n.sessions[id] = s
	}
	switch {
	case s == nil:
		return nil, 0, kafka.FetchSessionIDNotFound
	case s.epoch != q.SessionEpoch:
		return nil, 0, kafka.InvalidFetchSessionEpoch
	}
	s.epoch++
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			key := followKey{t.TopicID, p.Partition}
			if _, ok := s.asked[key]; !ok {
				s.order = append(s.order, key)
			}
			s.asked[key] = p
		}
	}
	for _, t := range q.ForgottenTopics {
		for _, p := range t.Partitions {
			key := followKey{t.TopicID, p}
			if _, ok := s.asked[key]; !ok {
				n.c.Errorf("%v was forgotten and is not in the session", key)
			}
			delete(s.asked, key)
			delete(s.told, key)
			s.order = slices.DeleteFunc(s.order, func(k followKey) bool { return k == key })
		}
	}
	return s, id, kafka.None
}

// serve answers a fetch as a leader does; nil if the node is down.
func (n *node) serve(ctx context.Context, q *kmsg.FetchRequest) *kmsg.FetchResponse {
	m := n.manager()
	if m == nil {
		return nil
	}
	if q.ReplicaState.ID < 0 || q.ReplicaState.Epoch < 0 || q.MinBytes != 1 || q.MaxWaitMillis > 500 {
		n.c.Errorf("request %+v", q)
	}
	a := kmsg.NewPtrFetchResponse()
	a.Version = q.Version
	s, id, code := n.resolve(q)
	if a.ErrorCode, a.SessionID = int16(code), id; code != kafka.None {
		return a
	}
	w := partition.NewFetchWaiter()
	timer := time.NewTimer(time.Duration(q.MaxWaitMillis) * time.Millisecond)
	defer timer.Stop()
	for late := false; ; {
		reads, news := n.read(m, q, s)
		if news || late {
			s.answer(a, reads)
			return a
		}
		w.Start(1, len(reads))
		waits := true
		for i := range reads {
			if r := &reads[i]; waits && r.p != nil {
				waits = w.Await(r.p, r.from, &r.read)
			}
		}
		if waits {
			select {
			case <-w.Done():
			case <-timer.C:
				late = true
			case <-ctx.Done():
				late = true
			}
		}
		w.Stop()
	}
}

type servedRead struct {
	p      *partition.Partition
	from   kafka.Offset
	read   partition.Read
	key    followKey
	answer kmsg.FetchResponseTopicPartition
}

// answer tells what is new.
func (s *serverSession) answer(a *kmsg.FetchResponse, reads []servedRead) {
	for _, r := range reads {
		p := r.answer
		told := [2]int64{p.HighWatermark, p.LogStartOffset}
		if was, ok := s.told[r.key]; ok && was == told && p.ErrorCode == 0 && r.read.Diverging == nil && len(p.RecordBatches) == 0 {
			continue
		}
		if s.told[r.key] = told; p.ErrorCode != 0 {
			s.told[r.key] = [2]int64{-2, -2}
		}
		t := kmsg.NewFetchResponseTopic()
		t.TopicID, t.Partitions = r.key.topic, []kmsg.FetchResponseTopicPartition{p}
		a.Topics = append(a.Topics, t)
	}
}

// read reads all partitions of a session, and reports whether there is enough to answer.
func (n *node) read(m *Manager, q *kmsg.FetchRequest, s *serverSession) (reads []servedRead, news bool) {
	left := int(q.MaxBytes)
	for _, key := range s.order {
		ask := s.asked[key]
		r := servedRead{from: kafka.Offset(ask.FetchOffset), read: partition.Read{HighWatermark: kafka.NoOffset, LogStart: kafka.NoOffset}}
		t, err := m.ByID(key.topic)
		if err == nil {
			r.p, err = t.Partition(key.partition)
		}
		if err == nil {
			r.read, err = r.p.Read(partition.ReadRequest{
				From: r.from, MaxBytes: min(int(ask.PartitionMaxBytes), left), AtLeastOne: left == int(q.MaxBytes),
				CurrentEpoch: kafka.LeaderEpoch(ask.CurrentLeaderEpoch), FetchedEpoch: kafka.LeaderEpoch(ask.LastFetchedEpoch),
				Replica: kafka.BrokerID(q.ReplicaState.ID), ReplicaEpoch: q.ReplicaState.Epoch, LogStart: kafka.Offset(ask.LogStartOffset),
			})
		}
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.ErrorCode = key.partition, int16(kafka.CodeOf(err))
		p.HighWatermark, p.LogStartOffset = int64(r.read.HighWatermark), int64(r.read.LogStart)
		if d := r.read.Diverging; d != nil {
			p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = int32(d.Epoch), int64(d.End)
		}
		if x := r.read.Records; x != nil {
			b, readErr := x.Bytes()
			if readErr != nil {
				n.c.Error(readErr)
			}
			p.RecordBatches = bytes.Clone(b)
			left = max(left-len(b), 0)
			x.Release()
		}
		r.key, r.answer = key, p
		reads = append(reads, r)
		news = news || err != nil || r.read.Diverging != nil || len(p.RecordBatches) > 0
	}
	return reads, news || len(s.order) == 0
}
