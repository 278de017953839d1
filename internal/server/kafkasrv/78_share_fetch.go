package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ShareFetch: v1-2
//
// Behaviour: acknowledges records of a share group and acquires more of them, waiting for some as long as asked. A drain of the connection ends
// the wait.
// v2 renews locks, acquires single records or batches (KIP-1206, KIP-1222)
// Left out: the throttle time is 0.
func shareFetch(ctx context.Context, r *request, q *kmsg.ShareFetchRequest, a *kmsg.ShareFetchResponse) {
	r.beginWait()
	*a = *r.conn.srv.broker.ShareFetch(r.conn.polls.of(ctx), r.shareSession(), q)
	r.endWait()
	var to leaders
	for i := range a.Topics {
		for j := range a.Topics[i].Partitions {
			p := &a.Topics[i].Partitions[j]
			to.add(kafka.ErrorCode(p.ErrorCode), kafka.BrokerID(p.CurrentLeader.LeaderID))
		}
	}
	to.each(r, func(b *metadata.Broker, at endpoint) {
		n := kmsg.NewShareFetchResponseNodeEndpoint()
		n.NodeID, n.Host, n.Port, n.Rack = int32(b.ID), at.host, at.port, optional(b.Rack)
		a.NodeEndpoints = append(a.NodeEndpoints, n)
	})
}
