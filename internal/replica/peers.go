package replica

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Peers reaches other brokers.
type Peers interface {
	// Dial opens a connection of the caller's own. It gives up when ctx ends, or earlier.
	Dial(ctx context.Context, to kafka.BrokerID) (FetchConn, error)
}

// FetchConn is a connection to a broker that leads partitions. One goroutine uses it at a time.
type FetchConn interface {
	// Fetch sends q, which is borrowed until it returns, and waits for the answer to it. After an error, that of ctx included, the connection
	// is of no more use and is closed.
	Fetch(ctx context.Context, q *kmsg.FetchRequest) (FetchFrame, error)
	Close() error
}

// FetchFrame is an answer in memory that is given back.
type FetchFrame interface {
	// Answer is valid until Release, its records too.
	Answer() *kmsg.FetchResponse
	Release()
}
