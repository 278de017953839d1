package route

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

const (
	// publishPatience is how long a batch is tried again that cannot be stored at the moment, at most its messages' own time.
	publishPatience = 10 * time.Second
	// produceVersion is that of requests to other brokers: the last one that names topics.
	produceVersion = 12
	// newProducers is how often a batch is sent by a producer with a new id because the partition knows nothing of the last.
	newProducers = 3
)

// send stores records by the stream's producer, wherever the partition is led by then. Sending again does not store again, for a producer's
// sequence is stored once.
//
// Errors: those of Produce. After RequestTimedOut and NetworkException the records may be stored.
func (st *stream) send(first *message, recs []record.Record) (done broker.ProduceResult, err error) {
	ctx, cancel := context.WithDeadline(st.v.ctx, first.deadline)
	defer cancel()
	giveUp := time.Now().Add(publishPatience)
	unsure := false // an attempt may have stored the records
	for delay, fresh := firstPause, 0; ; delay = min(2*delay, mostPause) {
		where, gone := find(st.v.Image(), st.at.Topic, kafka.UUID{}, st.at.Partition)
		if gone != nil {
			return done, st.lost(unsure, gone)
		}
		if err = st.identify(ctx); err == nil {
			done, err = st.attempt(ctx, where, first.session, recs)
		}
		switch c := kafka.CodeOf(err); {
		case err == nil:
			st.sequence = st.sequence.Add(int32(len(recs)))
			return done, nil
		case (c == kafka.OutOfOrderSequenceNumber || c == kafka.UnknownProducerID || c == kafka.InvalidProducerEpoch) && fresh < newProducers && !unsure:
			st.producer = kafka.NoProducer // the partition's memory of it has expired, or was lost
			fresh++
			continue
		case isUnsure(c):
			unsure = true
		case !c.Retriable() && c != kafka.BrokerNotAvailable:
			return done, st.lost(unsure, err)
		}
		if ctx.Err() != nil || time.Now().Add(delay).After(giveUp) {
			return done, st.lost(unsure, err)
		}
		if pause(ctx, delay); ctx.Err() != nil {
			return done, st.lost(unsure, err)
		}
	}
}

// isUnsure says that an answer leaves open whether the records are stored.
func isUnsure(c kafka.ErrorCode) bool {
	switch c {
	case kafka.NetworkException, kafka.RequestTimedOut, kafka.NotLeaderOrFollower, kafka.NotEnoughReplicasAfterAppend, kafka.KafkaStorageError, kafka.UnknownServerError:
		return true
	}
	return false
}

// lost is the error of records that were given up. What follows goes by another producer if they may be stored: their sequence is not known to be
// free.
func (st *stream) lost(unsure bool, err error) error {
	if !unsure {
		return err
	}
	st.producer = kafka.NoProducer
	if c := kafka.CodeOf(err); c == kafka.RequestTimedOut || c == kafka.NetworkException {
		return kafka.Errorf(c, "the records may be stored or not: %w", err)
	}
	return kafka.Errorf(kafka.RequestTimedOut, "the records may be stored or not: %w", err)
}

// identify gets a producer id if there is none.
func (st *stream) identify(ctx context.Context) error {
	if st.producer != kafka.NoProducer {
		return nil
	}
	id, epoch, err := st.v.InitProducerID(ctx, &broker.Session{Door: "route"}, broker.InitProducerIDRequest{Version: 5, ProducerID: kafka.NoProducer, Epoch: -1})
	if err != nil {
		return err
	}
	st.producer, st.epoch, st.sequence = id, epoch, 0
	return nil
}

// attempt sends records once.
func (st *stream) attempt(ctx context.Context, where place, s *broker.Session, recs []record.Record) (broker.ProduceResult, error) {
	if where.leader == kafka.NoBroker {
		return broker.ProduceResult{}, errNoLeader
	}
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = st.producer, st.epoch, st.sequence
	batch, err := record.Build(nil, o, recs) // anew each time: offsets and times are written into it
	if err != nil {
		return broker.ProduceResult{}, err
	}
	deadline, _ := ctx.Deadline()
	timeout := max(time.Until(deadline), time.Millisecond)
	if where.leader == st.v.opts.NodeID {
		results := st.v.Local.Produce(s, &broker.ProduceRequest{
			Acks: -1, Timeout: timeout, Partitions: []broker.ProducePartition{{Topic: st.at.Topic, Partition: st.at.Partition, Records: batch}},
		}).Wait(ctx)
		if len(results) != 1 {
			return broker.ProduceResult{}, strange(where.leader)
		}
		return results[0], results[0].Err
	}
	return st.produceAt(ctx, where.leader, timeout, batch)
}

// produceAt has another broker store a batch.
func (st *stream) produceAt(ctx context.Context, to kafka.BrokerID, timeout time.Duration, batch []byte) (r broker.ProduceResult, err error) {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = produceVersion, -1, int32(timeout.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = st.at.Partition, batch
	t.Topic, t.Partitions = st.at.Topic, append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	resp, err := st.v.opts.Peers.Kafka(ctx, to, q)
	if err != nil {
		if kafka.CodeOf(err) == kafka.BrokerNotAvailable { // it was not sent
			return r, kafka.Errorf(kafka.BrokerNotAvailable, "broker %d, which leads %s, cannot be reached: %w", to, st.at, err)
		}
		return r, unreached(to, err)
	}
	a, ok := resp.(*kmsg.ProduceResponse)
	if !ok || len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
		return r, strange(to)
	}
	got := &a.Topics[0].Partitions[0]
	r = broker.ProduceResult{
		BaseOffset: kafka.Offset(got.BaseOffset), LogAppendTime: kafka.Timestamp(got.LogAppendTime), LogStart: kafka.Offset(got.LogStartOffset),
		Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch,
	}
	if got.ErrorCode == 0 {
		return r, nil
	}
	for _, e := range got.ErrorRecords {
		one := broker.RecordError{Index: e.RelativeOffset}
		if e.ErrorMessage != nil {
			one.Message = *e.ErrorMessage
		}
		r.RecordErrors = append(r.RecordErrors, one)
	}
	if got.ErrorMessage != nil && *got.ErrorMessage != "" {
		return r, kafka.Errorf(kafka.ErrorCode(got.ErrorCode), "%s", *got.ErrorMessage)
	}
	return r, kafka.ErrorCode(got.ErrorCode)
}
