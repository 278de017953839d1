package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// noQueues is the answer of a broker without share groups.
const noQueues = int16(kafka.UnsupportedVersion)

// ShareAcknowledge says of records that a member holds what is to become of them, durably: see queue.Manager.ShareAcknowledge.
func (b *Broker) ShareAcknowledge(ctx context.Context, s *Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	if b.opts.Queues == nil {
		return &kmsg.ShareAcknowledgeResponse{Version: q.Version, ErrorCode: noQueues}
	}
	return b.opts.Queues.ShareAcknowledge(ctx, s, q)
}
