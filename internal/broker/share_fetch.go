package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ShareFetch acknowledges records of a share group and gives the member more of them to hold, waiting as long as asked: see
// queue.Manager.ShareFetch. The answer's records stay charged to the connection until ShareFetchWritten.
func (b *Broker) ShareFetch(ctx context.Context, s *Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	if b.opts.Queues == nil {
		return &kmsg.ShareFetchResponse{Version: q.Version, ErrorCode: noQueues}
	}
	return b.opts.Queues.ShareFetch(ctx, s, q)
}

// ShareFetchWritten says that the last answer of ShareFetch to a connection was written: its records count against the memory for answers until
// then.
func (b *Broker) ShareFetchWritten(s *Session) {
	if b.opts.Queues != nil {
		b.opts.Queues.AnswerWritten(s)
	}
}

// SessionClosed says that a connection has ended: what its members of share groups hold is given back at once. A door calls it once for each
// Session that it made.
func (b *Broker) SessionClosed(s *Session) {
	if b.opts.Queues != nil {
		b.opts.Queues.ConnectionClosed(s)
	}
}
