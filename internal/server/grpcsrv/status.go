package grpcsrv

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rafka-io/rafka/internal/kafka"
)

// statusOf turns an error of the broker into a gRPC status. Kafka's name of the error begins the message, for who must tell them apart.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	if _, isStatus := status.FromError(err); isStatus {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	code := kafka.CodeOf(err)
	return status.Errorf(codeOf(code), "%s: %s", code.Name(), err.Error())
}

func codeOf(c kafka.ErrorCode) codes.Code {
	switch c {
	case kafka.UnknownTopicOrPartition, kafka.UnknownTopicID, kafka.UnknownMemberID:
		return codes.NotFound
	case kafka.OffsetOutOfRange:
		return codes.OutOfRange
	case kafka.InvalidTopicException, kafka.InvalidRecord, kafka.InvalidTimestamp, kafka.MessageTooLarge, kafka.RecordListTooLarge, kafka.InvalidPartitions, kafka.InvalidRequest,
		kafka.InvalidGroupID, kafka.InvalidSessionTimeout:
		return codes.InvalidArgument
	case kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed:
		return codes.PermissionDenied
	case kafka.RequestTimedOut:
		return codes.DeadlineExceeded
	case kafka.CorruptMessage:
		return codes.DataLoss
	case kafka.PolicyViolation, kafka.InconsistentGroupProtocol:
		return codes.FailedPrecondition
	case kafka.IllegalGeneration, kafka.RebalanceInProgress, kafka.FencedInstanceID:
		return codes.Aborted
	case kafka.GroupMaxSizeReached:
		return codes.ResourceExhausted
	case kafka.UnknownServerError:
		return codes.Internal
	}
	if c.Retriable() {
		return codes.Unavailable
	}
	return codes.Unknown
}

// fail counts a failed call and returns its status.
func (s *Server) fail(err error) error {
	s.counts.failures.Add(1)
	return statusOf(err)
}
