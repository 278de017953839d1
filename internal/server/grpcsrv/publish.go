package grpcsrv

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Publish appends one message and answers when it is stored (RPC-1).
func (s *Server) Publish(ctx context.Context, req *rafkapb.PublishRequest) (*rafkapb.PublishResponse, error) {
	m, err := message(req)
	if err != nil {
		return nil, s.fail(err)
	}
	at, err := s.publisher.Publish(ctx, session(ctx, req.GetProducerId()), m)
	if err != nil {
		return nil, s.fail(err)
	}
	s.counts.published.Add(1)
	return &rafkapb.PublishResponse{
		MessageId: messageID(m.Topic, at.Partition, at.Offset), Success: true, Message: "stored",
		Partition: at.Partition, Offset: int64(at.Offset),
	}, nil
}

// message translates a request. Its slices alias the request.
func message(req *rafkapb.PublishRequest) (*broker.Message, error) {
	r := record.Record{Timestamp: kafka.NoTimestamp}
	switch {
	case req.GetTopic() == "":
		return nil, status.Error(codes.InvalidArgument, "name a topic")
	case req.KeyBytes != nil && req.GetKey() != "":
		return nil, status.Error(codes.InvalidArgument, "set key or key_bytes, not both")
	case req.PayloadBytes != nil && req.GetPayload() != "":
		return nil, status.Error(codes.InvalidArgument, "set payload or payload_bytes, not both")
	case req.GetTombstone() && (req.PayloadBytes != nil || req.GetPayload() != ""):
		return nil, status.Error(codes.InvalidArgument, "a tombstone has no payload")
	case req.TimestampMs != nil && req.GetTimestampMs() < 0:
		return nil, status.Errorf(codes.InvalidArgument, "timestamp_ms is %d; leave it out for now", req.GetTimestampMs())
	}
	if r.Key = req.KeyBytes; req.GetKey() != "" {
		r.Key = []byte(req.GetKey())
	}
	switch {
	case req.GetTombstone():
	case req.PayloadBytes != nil:
		r.Value = req.PayloadBytes
	default:
		r.Value = append([]byte{}, req.GetPayload()...)
	}
	for _, h := range req.GetHeaders() {
		r.Headers = append(r.Headers, record.RecordHeader{Key: h.GetKey(), Value: h.Value})
	}
	if req.TimestampMs != nil {
		r.Timestamp = kafka.Timestamp(req.GetTimestampMs())
	}
	m := &broker.Message{Topic: req.GetTopic(), Partition: broker.AutoPartition, Records: []record.Record{r}}
	if req.Partition != nil {
		if m.Partition = req.GetPartition(); m.Partition < 0 {
			return nil, status.Errorf(codes.InvalidArgument, "partition is %d; leave it out to have one chosen", m.Partition)
		}
	}
	switch req.GetPartitioner() {
	case rafkapb.Partitioner_PARTITIONER_MURMUR2:
		m.Partitioner = broker.ByMurmur2
	case rafkapb.Partitioner_PARTITIONER_SUM_OF_BYTES:
		m.Partitioner = broker.BySum
	default:
		return nil, status.Errorf(codes.InvalidArgument, "this broker knows no partitioner %d; use PARTITIONER_MURMUR2 or PARTITIONER_SUM_OF_BYTES", req.GetPartitioner())
	}
	return m, nil
}

func messageID(topic string, partition int32, offset kafka.Offset) string {
	return fmt.Sprintf("%s-%d-%d", topic, partition, offset)
}

// session says who calls.
func session(ctx context.Context, client string) *broker.Session {
	s := &broker.Session{Door: "grpc", ClientID: client}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		s.Host = p.Addr.String()
		if host, _, err := net.SplitHostPort(s.Host); err == nil {
			s.Host = host
		}
	}
	return s
}
