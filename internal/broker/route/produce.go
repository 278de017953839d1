package route

import (
	"context"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Bounds of the messages that wait to be stored, in bytes. At either Produce waits, as it does for a disk that is too slow; a single larger one is
// let in when nothing else waits.
const (
	maxStreamBytes  = 4 << 20
	maxWaitingBytes = 64 << 20
)

// maxStreams is how many partitions are remembered with their producer ids. Beyond it those that nobody publishes to at the moment are forgotten.
const maxStreams = 4096

// publishing is what is published to partitions with other replicas, or that other brokers lead.
type publishing struct {
	mu      sync.Mutex // guards what follows and the queues of streams, for memory work only; a leaf
	streams map[kafka.TopicPartition]*stream
	bytes   int           // of all queues
	room    chan struct{} // closed and replaced when there is more room
	closed  bool
}

func (p *publishing) init() {
	p.streams, p.room = map[kafka.TopicPartition]*stream{}, make(chan struct{})
}

func (p *publishing) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.room)
	p.room = make(chan struct{})
}

// Produce implements broker.PublishVerbs. What has to travel is copied, so that req.Partitions[i].Records are borrowed until Produce returns.
//
// Per partition: the errors of broker.Produce, here or there, those that pass having been tried again for publishPatience; RequestTimedOut and
// NetworkException say that the records may be stored or not.
func (v *Verbs) Produce(s *broker.Session, req *broker.ProduceRequest) broker.Await[[]broker.ProduceResult] {
	if v.isPlain(req) {
		return v.Local.Produce(s, req)
	}
	deadline := time.Now().Add(req.Timeout)
	a := &published{messages: make([]*message, len(req.Partitions))}
	for i := range req.Partitions {
		at := &req.Partitions[i]
		m := &message{session: s, records: append([]byte(nil), at.Records...), deadline: deadline, done: make(chan struct{})}
		a.messages[i] = m
		v.enqueue(kafka.TopicPartition{Topic: at.Topic, Partition: at.Partition}, m)
	}
	return a
}

// isPlain reports whether a request goes straight to this broker (RTE-2): also one that is no door's, and one about what does not exist, of which
// this broker says what is wrong.
func (v *Verbs) isPlain(req *broker.ProduceRequest) bool {
	if req.Acks != -1 || req.TransactionalID != "" {
		return true
	}
	img := v.Image()
	for i := range req.Partitions {
		at := &req.Partitions[i]
		if at.Topic == "" {
			return true
		}
		p, err := find(img, at.Topic, at.TopicID, at.Partition)
		if err == nil && (p.leader != v.opts.NodeID || p.replicas > 1) {
			return false
		}
	}
	return true
}

// published is what was published and may not be stored yet.
type published struct{ messages []*message }

// Wait implements broker.Await.
func (p *published) Wait(ctx context.Context) []broker.ProduceResult {
	results := make([]broker.ProduceResult, len(p.messages))
	for i, m := range p.messages {
		select {
		case <-m.done:
			results[i] = m.result
		case <-ctx.Done():
			results[i] = failed(kafka.Errorf(kafka.RequestTimedOut, "the records may be stored or not: %w", context.Cause(ctx)))
		}
	}
	return results
}

// failed is the result of records that are not stored, or not known to be.
func failed(err error) broker.ProduceResult {
	return broker.ProduceResult{Err: err, BaseOffset: kafka.NoOffset, LogAppendTime: kafka.NoTimestamp, LogStart: kafka.NoOffset, Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch}
}

// message is the batch of one Produce.
type message struct {
	session  *broker.Session
	records  []byte
	deadline time.Time
	done     chan struct{} // closed when result is set
	result   broker.ProduceResult
}

func (m *message) end(r broker.ProduceResult) {
	m.result = r
	close(m.done)
}

var errClosing = kafka.Errorf(kafka.BrokerNotAvailable, "the broker is shutting down: the records are not stored")

// enqueue puts a message in the line of its partition, when there is room.
func (v *Verbs) enqueue(tp kafka.TopicPartition, m *message) {
	p := &v.publishing
	late := time.NewTimer(time.Until(m.deadline))
	defer late.Stop()
	p.mu.Lock()
	for {
		if p.closed {
			p.mu.Unlock()
			m.end(failed(errClosing))
			return
		}
		st := p.streamLocked(v, tp)
		if n := len(m.records); st.bytes == 0 && p.bytes == 0 || st.bytes+n <= maxStreamBytes && p.bytes+n <= maxWaitingBytes {
			st.queue = append(st.queue, m)
			st.bytes, p.bytes = st.bytes+n, p.bytes+n
			if !st.busy {
				st.busy = true
				v.running.Go(st.run)
			}
			p.mu.Unlock()
			return
		}
		room := p.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-late.C:
			m.end(failed(kafka.Errorf(kafka.RequestTimedOut, "too much waits to be stored; these records are not")))
			return
		}
		p.mu.Lock()
	}
}

// streamLocked is the stream of a partition.
func (p *publishing) streamLocked(v *Verbs, tp kafka.TopicPartition) *stream {
	st := p.streams[tp]
	if st == nil {
		if len(p.streams) >= maxStreams {
			for at, other := range p.streams {
				if !other.busy {
					delete(p.streams, at)
				}
			}
		}
		st = &stream{v: v, at: tp, producer: kafka.NoProducer}
		p.streams[tp] = st
	}
	return st
}
