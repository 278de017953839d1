package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeShareGroupOffsets says from where on share groups have something to read: see queue.Manager.DescribeShareGroupOffsets.
func (b *Broker) DescribeShareGroupOffsets(ctx context.Context, _ *Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse {
	if b.opts.Queues != nil {
		return b.opts.Queues.DescribeShareGroupOffsets(ctx, q)
	}
	resp := &kmsg.DescribeShareGroupOffsetsResponse{Version: q.Version}
	for _, g := range q.Groups {
		resp.Groups = append(resp.Groups, kmsg.DescribeShareGroupOffsetsResponseGroup{GroupID: g.GroupID, ErrorCode: noQueues})
	}
	return resp
}

// AlterShareGroupOffsets makes a share group without members begin at other offsets: see queue.Manager.AlterShareGroupOffsets.
func (b *Broker) AlterShareGroupOffsets(ctx context.Context, _ *Session, q *kmsg.AlterShareGroupOffsetsRequest) *kmsg.AlterShareGroupOffsetsResponse {
	if b.opts.Queues == nil {
		return &kmsg.AlterShareGroupOffsetsResponse{Version: q.Version, ErrorCode: noQueues}
	}
	return b.opts.Queues.AlterShareGroupOffsets(ctx, q)
}

// DeleteShareGroupOffsets makes a share group without members forget topics: see queue.Manager.DeleteShareGroupOffsets.
func (b *Broker) DeleteShareGroupOffsets(ctx context.Context, _ *Session, q *kmsg.DeleteShareGroupOffsetsRequest) *kmsg.DeleteShareGroupOffsetsResponse {
	if b.opts.Queues == nil {
		return &kmsg.DeleteShareGroupOffsetsResponse{Version: q.Version, ErrorCode: noQueues}
	}
	return b.opts.Queues.DeleteShareGroupOffsets(ctx, q)
}
