package kafkasrv

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// InitProducerId: v0-5
//
// Behaviour: gives an idempotent producer its id. A transactional id that is empty but not null is INVALID_REQUEST.
// v2 flexible · v3 the producer's present id and epoch (KIP-360) · v5 transactions (KIP-890)
// Left out: v6, which Kafka 4.4 keeps unstable (two-phase commit).
func initProducerID(ctx context.Context, r *request, q *kmsg.InitProducerIDRequest, a *kmsg.InitProducerIDResponse) {
	a.ProducerID, a.ProducerEpoch = int64(kafka.NoProducer), -1
	if q.TransactionalID != nil && *q.TransactionalID == "" || (q.ProducerID == -1) != (q.ProducerEpoch == -1) {
		a.ErrorCode = int16(kafka.InvalidRequest)
		return
	}
	id, epoch, err := r.conn.srv.broker.InitProducerID(ctx, r.session, broker.InitProducerIDRequest{
		Version:         r.version,
		TransactionalID: q.TransactionalID,
		Timeout:         time.Duration(q.TransactionTimeoutMillis) * time.Millisecond,
		ProducerID:      kafka.ProducerID(q.ProducerID),
		Epoch:           kafka.ProducerEpoch(q.ProducerEpoch),
	})
	if err != nil {
		a.ErrorCode = int16(kafka.CodeOf(err))
		return
	}
	a.ProducerID, a.ProducerEpoch = int64(id), int16(epoch)
}
