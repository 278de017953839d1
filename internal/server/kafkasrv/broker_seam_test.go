package kafkasrv

import "github.com/rafka-io/rafka/internal/broker"

// The real broker has the verbs that this door calls.
var _ Broker = (*broker.Broker)(nil)
