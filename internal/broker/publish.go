package broker

import (
	"context"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
)

// AutoPartition lets Publish choose: by the key of the first record, or in turn when it has none.
const AutoPartition int32 = -1

// publishTimeout is how long an append may wait to be durable and replicated: the default of Kafka's clients (request.timeout.ms).
const publishTimeout = 30 * time.Second

// maxPooledBatch is the largest encoding buffer kept for the next Publish; one huge message must not pin its size for ever.
const maxPooledBatch = 256 << 10

// PublishVerbs are the verbs that a Publisher calls; a Broker has them.
type PublishVerbs interface {
	Image() *metadata.Image
	EnsureTopics(ctx context.Context, s *Session, names []string) []error
	Produce(s *Session, req *ProduceRequest) Await[[]ProduceResult]
}

// Publisher appends single messages for doors whose clients do not build batches. It may be used from any goroutine; a door has one.
type Publisher struct {
	verbs   PublishVerbs
	now     func() time.Time
	turns   turns
	buffers sync.Pool // of *[]byte
	// Latency is how long messages took from Start until they were as durable as asked, failures included.
	Latency Latency
}

// NewPublisher returns a Publisher; now nil: time.Now.
func NewPublisher(verbs PublishVerbs, now func() time.Time) *Publisher {
	if now == nil {
		now = time.Now
	}
	return &Publisher{verbs: verbs, now: now, buffers: sync.Pool{New: func() any { return new([]byte) }}}
}

// Message is what to publish: its records become one batch of one partition, so they are stored all or not at all.
type Message struct {
	Topic       string
	Partition   int32       // or AutoPartition
	Partitioner Partitioner // nil: ByMurmur2
	// Records, at least one. Their Offset is overwritten, and a Timestamp that is kafka.NoTimestamp becomes now. Borrowed until Start returns.
	Records []record.Record
}

// Published says where a message is: the offset of its first record.
type Published struct {
	Partition int32
	Offset    kafka.Offset
	Timestamp kafka.Timestamp // of the first record as stored
}

// Publishing is a message that was appended and may not be durable yet.
type Publishing struct {
	publisher *Publisher
	message   Published
	topic     string
	started   time.Time
	await     Await[[]ProduceResult]
}

// Publish appends a message and returns once it is as durable and replicated as its topic asks. A topic that does not exist is created
// as first use does. Errors carry Kafka's code (kafka.CodeOf).
func (p *Publisher) Publish(ctx context.Context, s *Session, m *Message) (Published, error) {
	w, err := p.Start(ctx, s, m)
	if err != nil {
		return Published{}, err
	}
	return w.Wait(ctx)
}

// Start appends a message: those started one after another for one partition are stored in that order. Only creating a topic waits.
func (p *Publisher) Start(ctx context.Context, s *Session, m *Message) (Publishing, error) {
	started := p.now()
	topic, err := ensureTopic(ctx, p.verbs, s, m.Topic)
	if err != nil {
		return Publishing{}, err
	}
	partition, err := p.partition(topic, m)
	if err != nil {
		return Publishing{}, err
	}
	for i := range m.Records {
		m.Records[i].Offset = kafka.Offset(i)
		if m.Records[i].Timestamp == kafka.NoTimestamp {
			m.Records[i].Timestamp = kafka.Timestamp(started.UnixMilli())
		}
	}
	buffer := p.buffers.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= maxPooledBatch {
			p.buffers.Put(buffer)
		}
	}()
	if *buffer, err = record.Build((*buffer)[:0], record.PlainOptions(), m.Records); err != nil {
		return Publishing{}, err
	}
	await := p.verbs.Produce(s, &ProduceRequest{
		Acks: -1, Timeout: publishTimeout,
		Partitions: []ProducePartition{{Topic: topic.Name, Partition: partition, Records: record.Batches(*buffer)}},
	})
	return Publishing{
		publisher: p, await: await, started: started, topic: topic.Name,
		message: Published{Partition: partition, Offset: kafka.NoOffset, Timestamp: m.Records[0].Timestamp},
	}, nil
}

// Wait returns once the message is as durable as asked, has failed, or ctx ended: it may then be stored or not.
func (w Publishing) Wait(ctx context.Context) (Published, error) {
	results := w.await.Wait(ctx)
	w.publisher.Latency.Observe(w.publisher.now().Sub(w.started))
	if len(results) != 1 {
		if err := context.Cause(ctx); err != nil {
			return Published{}, err
		}
		return Published{}, kafka.Errorf(kafka.UnknownServerError, "publish to %s-%d: %d answers to one request", w.topic, w.message.Partition, len(results))
	}
	r := &results[0]
	if r.Err != nil {
		return Published{}, explain(r.Err, r.RecordErrors, kafka.TopicPartition{Topic: w.topic, Partition: w.message.Partition})
	}
	w.message.Offset = r.BaseOffset
	if r.LogAppendTime != kafka.NoTimestamp {
		w.message.Timestamp = r.LogAppendTime
	}
	return w.message, nil
}

// explain gives an error that is only a code the words that a person needs.
func explain(err error, records []RecordError, tp kafka.TopicPartition) error {
	if kafka.MessageOf(err) != "" {
		return err
	}
	if len(records) > 0 && records[0].Message != "" {
		return kafka.Errorf(kafka.CodeOf(err), "append to %s: %s: %w", tp, records[0].Message, err)
	}
	return kafka.Errorf(kafka.CodeOf(err), "append to %s: %w", tp, err)
}

func (p *Publisher) partition(topic *metadata.Topic, m *Message) (int32, error) {
	n := int32(len(topic.Partitions))
	switch {
	case len(m.Records) == 0:
		return 0, kafka.Errorf(kafka.InvalidRecord, "a message to %s has no record", topic.Name)
	case n == 0:
		return 0, kafka.Errorf(kafka.LeaderNotAvailable, "topic %s has no partitions yet; try again", topic.Name)
	case m.Partition >= n || m.Partition < AutoPartition:
		return 0, noSuchPartition(topic, m.Partition)
	case m.Partition != AutoPartition:
		return m.Partition, nil
	case m.Records[0].Key == nil:
		return p.turns.next(topic.Name, n), nil
	case m.Partitioner != nil:
		return m.Partitioner(m.Records[0].Key, n), nil
	}
	return ByMurmur2(m.Records[0].Key, n), nil
}

func noSuchPartition(topic *metadata.Topic, partition int32) error {
	return kafka.Errorf(kafka.UnknownTopicOrPartition, "topic %s has no partition %d; it has 0 to %d", topic.Name, partition, len(topic.Partitions)-1)
}
