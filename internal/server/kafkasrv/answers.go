package kafkasrv

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// codeAndMessage is an error as answers have it; no message is null.
func codeAndMessage(err error) (int16, *string) {
	return int16(kafka.CodeOf(err)), optional(kafka.MessageOf(err))
}

// withTimeout bounds a request's wait by what its client asked for; nothing and less is no time of its own.
func withTimeout(ctx context.Context, timeoutMs int32) (context.Context, context.CancelFunc) {
	if timeoutMs <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(timeoutMs)*time.Millisecond)
}

// brokerIDs are integers as broker ids.
func brokerIDs(list []int32) []kafka.BrokerID {
	ids := make([]kafka.BrokerID, len(list))
	for i, id := range list {
		ids[i] = kafka.BrokerID(id)
	}
	return ids
}

// partitionsCost is what an answer about any of the cluster's partitions costs at most.
func partitionsCost(r *request) int64 {
	return int64(r.conn.srv.broker.Image().Topics.PartitionCount()) * metadataPartitionCost
}

// groupCost is what an answer that lists or describes groups is taken to cost, in bytes; how much it is nobody knows before.
const groupCost = 256 << 10

// groupsCost keeps the number of such answers that are being made at a time within bounds.
func groupsCost(*request) int64 { return groupCost }
