package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ShareAcknowledge: v1-2
//
// Behaviour: acknowledges, releases, rejects or renews records of a share group.
// v2 renews locks (KIP-1222)
// Left out: the throttle time is 0.
func shareAcknowledge(ctx context.Context, r *request, q *kmsg.ShareAcknowledgeRequest, a *kmsg.ShareAcknowledgeResponse) {
	*a = *r.conn.srv.broker.ShareAcknowledge(ctx, r.shareSession(), q)
	var to leaders
	for i := range a.Topics {
		for j := range a.Topics[i].Partitions {
			p := &a.Topics[i].Partitions[j]
			to.add(kafka.ErrorCode(p.ErrorCode), kafka.BrokerID(p.CurrentLeader.LeaderID))
		}
	}
	to.each(r, func(b *metadata.Broker, at endpoint) {
		n := kmsg.NewShareAcknowledgeResponseNodeEndpoint()
		n.NodeID, n.Host, n.Port, n.Rack = int32(b.ID), at.host, at.port, optional(b.Rack)
		a.NodeEndpoints = append(a.NodeEndpoints, n)
	})
}
