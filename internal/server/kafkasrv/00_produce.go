package kafkasrv

import (
	"context"
	"errors"
	"sync"
	"time"
	"unsafe"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/wire"
)

// Produce: v3-13
//
// Behaviour: appended while the reader holds the connection, in the order of requests; answered when as durable as asked. The frame goes
// back to its pool as soon as the append is done, before the answer, because Records are borrowed only until Produce returns. The first batch
// of a transaction in a partition makes the reader wait for the transaction's coordinator.
// v4 storage errors · v5 log start offset · v6 throttle after · v7 zstd · v8 record errors · v9 flexible · v10 current leader and node
// endpoints · v11 TRANSACTION_ABORTABLE, v12 adds partitions to transactions by writing to them (KIP-890) · v13 topic ids
// Left out: nothing. The throttle time is 0.

// zstdCodec in the attributes of a batch.
const zstdCodec record.Codec = 4

// errFailedUnacked closes the connection of a client that asked for no answer and must get to know of an error all the same (SRV-5).
var errFailedUnacked = errors.New("a produce with acks=0 was refused")

// produceCall is a produce on its way. Pooled; the slices keep their room.
type produceCall struct {
	req    broker.ProduceRequest
	topics []produceTopic
	await  broker.Await[[]broker.ProduceResult]
	done   bool // Wait returned what was asked for: the broker has forgotten req
}

// produceTopic says how many of the request's partitions, in order, are of a topic.
type produceTopic struct {
	name       string
	id         kafka.UUID
	partitions int
}

var producePool = sync.Pool{New: func() any { return new(produceCall) }}

func (p *produceCall) free() {
	if !p.done || cap(p.req.Partitions) > 4096 {
		return
	}
	clear(p.topics)
	clear(p.req.Partitions)
	*p = produceCall{topics: p.topics[:0], req: broker.ProduceRequest{Partitions: p.req.Partitions[:0]}}
	producePool.Put(p)
}

// startProduce decodes and appends.
func startProduce(r *request) error {
	p := producePool.Get().(*produceCall)
	r.produce = p
	s := r.conn.srv
	if err := p.parse(r, s.broker.Image(), s.partitionLimit()); err != nil {
		return err
	}
	if r.version < 7 && p.hasZstd() {
		p.await = refused{len(p.req.Partitions), kafka.UnsupportedCompressionType}
	} else {
		p.await = s.broker.Produce(r.session, &p.req)
	}
	for i := range p.req.Partitions {
		p.req.Partitions[i].Records = nil // no longer ours to show
	}
	r.releaseFrame()
	return nil
}

// parse decodes the body. Records alias the frame; names are the image's own or copies.
func (p *produceCall) parse(r *request, img *metadata.Image, limit int) error {
	flexible := r.flexible
	in := wire.NewReader(r.body)
	p.req.TransactionalID = string(in.NullableString(flexible))
	switch {
	case r.version >= 12:
		p.req.Transactions = broker.TransactionsImplicit
	case r.version >= 11:
		p.req.Transactions = broker.TransactionsAbortable
	}
	p.req.Acks = in.Int16()
	p.req.Timeout = time.Duration(in.Int32()) * time.Millisecond
	for range in.Count(flexible, 3) {
		t := produceTopic{}
		if r.version >= 13 {
			t.id = in.UUID()
		} else {
			t.name = topicName(img, in.String(flexible))
		}
		t.partitions = in.Count(flexible, 6)
		limit -= 1 + t.partitions
		if limit < 0 || in.Err() != nil {
			return wire.ErrMalformed
		}
		for range t.partitions {
			part := broker.ProducePartition{Topic: t.name, TopicID: t.id, Partition: in.Int32()}
			part.Records = record.Batches(in.NullableBytes(flexible))
			if flexible {
				in.SkipTags()
			}
			p.req.Partitions = append(p.req.Partitions, part)
		}
		if flexible {
			in.SkipTags()
		}
		p.topics = append(p.topics, t)
	}
	if flexible {
		in.SkipTags()
	}
	return in.Err()
}

func (p *produceCall) hasZstd() bool {
	for i := range p.req.Partitions {
		if h, ok := record.ParseHeader(p.req.Partitions[i].Records); ok && h.Codec() == zstdCodec {
			return true
		}
	}
	return false
}

// answerProduce waits for the effects and writes the answer.
func (r *request) answerProduce(o *out) error {
	p := r.produce
	results := p.await.Wait(r.conn.ctx)
	if r.conn.ctx.Err() != nil {
		return errClosed
	}
	p.done = true
	if len(results) != len(p.req.Partitions) {
		return errors.New("the broker answered another number of partitions than was asked")
	}
	if p.req.Acks == 0 {
		for i := range results {
			if results[i].Err != nil {
				return errFailedUnacked
			}
		}
		return nil
	}
	start := len(o.buf)
	b := wire.BeginResponse(o.buf, r.correlation, r.flexible)
	b = wire.AppendCount(b, len(p.topics), r.flexible)
	at := 0
	for i := range p.topics {
		t := &p.topics[i]
		if r.version >= 13 {
			b = append(b, t.id[:]...)
		} else {
			b = wire.AppendString(b, t.name, r.flexible)
		}
		b = wire.AppendCount(b, t.partitions, r.flexible)
		for range t.partitions {
			b = appendProduceResult(b, r, p.req.Partitions[at].Partition, &results[at])
			at++
		}
		b = wire.AppendNoTags(b, r.flexible)
	}
	b = wire.AppendInt32(b, 0) // throttle
	if r.flexible {
		var to leaders
		if r.version >= 10 {
			for i := range results {
				to.add(results[i].Err, results[i].Leader)
			}
		}
		b = to.appendTag(b, r)
	}
	wire.EndResponse(b, start, 0)
	o.buf = b
	return nil
}

func appendProduceResult(b []byte, r *request, partition int32, res *broker.ProduceResult) []byte {
	b = wire.AppendInt32(b, partition)
	b = wire.AppendInt16(b, int16(kafka.CodeOf(res.Err)))
	base, appended, logStart := res.BaseOffset, res.LogAppendTime, res.LogStart
	if res.Err != nil {
		base, appended = kafka.NoOffset, kafka.NoTimestamp
	}
	b = wire.AppendInt64(b, int64(base))
	b = wire.AppendInt64(b, int64(appended))
	if r.version >= 5 {
		b = wire.AppendInt64(b, int64(logStart))
	}
	if r.version >= 8 {
		b = wire.AppendCount(b, len(res.RecordErrors), r.flexible)
		for i := range res.RecordErrors {
			b = wire.AppendInt32(b, res.RecordErrors[i].Index)
			b = appendMessage(b, res.RecordErrors[i].Message, r.flexible)
			b = wire.AppendNoTags(b, r.flexible)
		}
		if res.Err == nil { // MessageOf allocates, even for nil
			b = wire.AppendNull(b, r.flexible)
		} else {
			b = appendMessage(b, kafka.MessageOf(res.Err), r.flexible)
		}
	}
	if r.flexible {
		if r.version >= 10 && knowsLeader(res.Err, res.Leader) {
			b = wire.AppendUvarint(b, 1)
			b = appendLeader(b, 0, res.Leader, res.LeaderEpoch)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

// appendMessage appends an error message; none is null.
func appendMessage(b []byte, message string, flexible bool) []byte {
	if message == "" {
		return wire.AppendNull(b, flexible)
	}
	return wire.AppendString(b, message, flexible)
}

// refused answers every partition with an error, without having asked the broker.
type refused struct {
	partitions int
	err        error
}

// Ready is always true.
func (f refused) Ready() bool { return true }

// Wait never waits.
func (f refused) Wait(context.Context) []broker.ProduceResult {
	all := make([]broker.ProduceResult, f.partitions)
	for i := range all {
		all[i] = broker.ProduceResult{Err: f.err, BaseOffset: kafka.NoOffset, LogAppendTime: kafka.NoTimestamp, LogStart: kafka.NoOffset, Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch}
	}
	return all
}

// topicName is name as a string that may be kept: the image's own, which costs nothing, or else a copy.
func topicName(img *metadata.Image, name []byte) string {
	if len(name) == 0 {
		return ""
	}
	// The string lives for the look-up only, while the bytes do not change.
	if t := img.Topics.ByName(unsafe.String(&name[0], len(name))); t != nil {
		return t.Name
	}
	return string(name)
}
