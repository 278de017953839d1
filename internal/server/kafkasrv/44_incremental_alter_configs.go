package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/metadata"
)

// IncrementalAlterConfigs: v0-1
//
// Behaviour: sets, deletes, appends to or subtracts from single settings, per resource all or nothing. A resource or a setting named twice,
// an unknown operation and a missing value are INVALID_REQUEST.
// v1 flexible
// Left out: nothing.
func incrementalAlterConfigs(ctx context.Context, r *request, q *kmsg.IncrementalAlterConfigsRequest, a *kmsg.IncrementalAlterConfigsResponse) {
	all := make([]broker.AlterResource, len(q.Resources))
	for i := range q.Resources {
		ask := &q.Resources[i]
		all[i].Resource = metadata.Resource{Type: metadata.ResourceType(ask.ResourceType), Name: ask.ResourceName}
		for j := range ask.Configs {
			c := &ask.Configs[j]
			all[i].Changes = append(all[i].Changes, broker.ConfigChange{Name: c.Name, Op: broker.ConfigOp(c.Op), Value: c.Value})
		}
	}
	errs := r.alter(ctx, all, q.ValidateOnly)
	for i := range q.Resources {
		m := kmsg.NewIncrementalAlterConfigsResponseResource()
		m.ResourceType, m.ResourceName = q.Resources[i].ResourceType, q.Resources[i].ResourceName
		m.ErrorCode, m.ErrorMessage = codeAndMessage(errs[i])
		a.Resources = append(a.Resources, m)
	}
}
