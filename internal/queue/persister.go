package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Persister keeps the state of share partitions durably: the share coordinator, wherever the partitions of its topic are led. Its verbs are
// Kafka's own (KIP-932); an answer has one entry for each partition that was asked for, and an error is told there. An answer comes when what it
// says is committed.
type Persister interface {
	InitializeShareGroupState(context.Context, *kmsg.InitializeShareGroupStateRequest) *kmsg.InitializeShareGroupStateResponse
	ReadShareGroupState(context.Context, *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse
	WriteShareGroupState(context.Context, *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse
	DeleteShareGroupState(context.Context, *kmsg.DeleteShareGroupStateRequest) *kmsg.DeleteShareGroupStateResponse
	ReadShareGroupStateSummary(context.Context, *kmsg.ReadShareGroupStateSummaryRequest) *kmsg.ReadShareGroupStateSummaryResponse
}

// Persister is the share coordinator of this node: the one that others ask.
func (m *Manager) Persister() Persister { return m.opts.LocalStates }
