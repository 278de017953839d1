package grpcsrv

import (
	"context"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

var errShutdown = status.Error(codes.Unavailable, "the broker is shutting down; call again in a moment, from the offset after the last message")

// Consume replays a topic and follows it (RPC-2). It pulls from the log only as fast as the client takes messages.
func (s *Server) Consume(req *rafkapb.ConsumeRequest, stream rafkapb.BrokerService_ConsumeServer) error {
	s.counts.streams.Add(1)
	defer s.counts.streams.Add(-1)
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(errShutdown) })()
	switch err := s.consume(ctx, cancel, req, stream); {
	case err == nil:
		return nil
	case stream.Context().Err() != nil:
		return statusOf(err) // the client has left: no failure
	default:
		return s.fail(err)
	}
}

func (s *Server) consume(ctx context.Context, end context.CancelCauseFunc, req *rafkapb.ConsumeRequest, stream rafkapb.BrokerService_ConsumeServer) error {
	opts, err := s.tailOptions(ctx, req)
	if err != nil {
		return err
	}
	if req.GetGroupId() != "" {
		stop, err := s.forGroup(ctx, end, req, &opts)
		if err != nil {
			return err
		}
		defer stop()
	}
	tail, err := broker.OpenTail(ctx, s.verbs, session(ctx, req.GetId()), opts)
	if err != nil {
		return err
	}
	defer tail.Close()
	left := req.GetLimit()
	for tail.Next(ctx) {
		for r := range tail.Records() {
			if err := stream.Send(response(tail.Topic(), &r, req.GetBinary())); err != nil {
				return err
			}
			s.counts.delivered.Add(1)
			s.counts.deliveredBytes.Add(int64(len(r.Key) + len(r.Value)))
			if left--; left == 0 {
				return nil
			}
		}
	}
	return tail.Err()
}

func (s *Server) tailOptions(ctx context.Context, req *rafkapb.ConsumeRequest) (broker.TailOptions, error) {
	o := broker.TailOptions{
		Topic: req.GetTopic(), From: broker.FromEarliest, Since: kafka.Timestamp(req.GetStartTimestampMs()),
		Follow: !req.GetStopAtEnd(), Create: !req.GetStopAtEnd(), Now: s.opts.Now, Latency: &s.delivery,
	}
	if o.Topic == "" {
		if o.Topic = connectionOf(ctx).topicOf(req.GetId()); o.Topic == "" {
			return o, status.Error(codes.InvalidArgument, "name a topic, or Subscribe with the same id on this connection first")
		}
	}
	if req.Offset != nil {
		if req.StartTimestampMs != nil {
			return o, status.Error(codes.InvalidArgument, "set offset or start_timestamp_ms, not both")
		}
		o.From = kafka.Offset(req.GetOffset())
	}
	if req.StartTimestampMs != nil && o.Since < 0 {
		return o, status.Errorf(codes.InvalidArgument, "start_timestamp_ms is %d; use milliseconds since 1970", o.Since)
	}
	if req.Partition != nil {
		o.Partitions = []int32{req.GetPartition()}
	}
	if req.GetLimit() < 0 {
		return o, status.Errorf(codes.InvalidArgument, "limit is %d; use 0 for none", req.GetLimit())
	}
	return o, nil
}

var errRebalanced = status.Error(codes.Aborted, "the group has rebalanced; call JoinGroup and SyncGroup again, then Consume goes on where the group is")

// forGroup makes a stream go on where its group is and, for a member, read what it was assigned, until the group rebalances: then end is
// called. stop ends the watch for that.
func (s *Server) forGroup(ctx context.Context, end context.CancelCauseFunc, req *rafkapb.ConsumeRequest, o *broker.TailOptions) (stop func() bool, err error) {
	if req.Offset == nil && req.StartTimestampMs == nil {
		if o.Resume, err = broker.CommittedOffsets(ctx, s.verbs, session(ctx, req.GetId()), req.GetGroupId(), o.Topic); err != nil {
			return nil, err
		}
	}
	stop = func() bool { return true }
	assigned, over, ok := connectionOf(ctx).assignment(req.GetGroupId(), req.GetId(), o.Topic)
	if !ok || req.Partition != nil {
		return stop, nil
	}
	stop = context.AfterFunc(over, func() { end(errRebalanced) })
	if o.Partitions = assigned; len(assigned) > 0 {
		return stop, nil
	}
	if o.Partitions = []int32{}; o.Follow {
		<-ctx.Done() // nothing to read until the group rebalances
		stop()
		return nil, context.Cause(ctx)
	}
	return stop, nil
}

// response translates a record. It copies: gRPC may look at a message after Send.
func response(topic string, r *broker.TailRecord, binary bool) *rafkapb.ConsumeResponse {
	m := &rafkapb.ConsumeResponse{
		MessageId: messageID(topic, r.Partition, r.Offset), Topic: topic, Offset: int64(r.Offset), Partition: r.Partition,
		SentAt: int64(r.Timestamp) / 1000, TimestampMs: int64(r.Timestamp), Tombstone: r.Value == nil, Key: clone(r.Key),
	}
	switch {
	case r.Value == nil:
	case binary || !utf8.Valid(r.Value):
		m.PayloadBytes = clone(r.Value)
	default:
		m.Payload = string(r.Value)
	}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, &rafkapb.Header{Key: utf8Key(h.Key), Value: clone(h.Value)})
	}
	return m
}

// clone keeps apart nil, which is null, and empty.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// utf8Key makes a header's key fit a proto string: Kafka asks for UTF-8 but checks nothing.
func utf8Key(key string) string {
	return strings.ToValidUTF8(key, "\uFFFD")
}
