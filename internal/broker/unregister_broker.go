package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
)

// UnregisterBroker forgets a broker that has gone for good.
//
// Codes: BrokerIDNotRegistered, InvalidRequest while it is alive or partitions have replicas there; RequestTimedOut, NotController,
// KafkaStorageError as CreateTopics.
func (a *admin) UnregisterBroker(ctx context.Context, _ *Session, id kafka.BrokerID) error {
	return a.opts.Controller.UnregisterBroker(ctx, id)
}
