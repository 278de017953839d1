package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// AlterConfigs: v0-2
//
// Behaviour: puts new settings in place of all of a resource's; what is not named goes back to its default. A resource named twice is
// INVALID_REQUEST both times.
// v2 flexible
// Left out: nothing. (Deprecated in Kafka for IncrementalAlterConfigs, and still sent by many clients.)
func alterConfigs(ctx context.Context, r *request, q *kmsg.AlterConfigsRequest, a *kmsg.AlterConfigsResponse) {
	all := make([]broker.AlterResource, len(q.Resources))
	for i := range q.Resources {
		ask := &q.Resources[i]
		all[i] = broker.AlterResource{
			Resource: metadata.Resource{Type: metadata.ResourceType(ask.ResourceType), Name: ask.ResourceName},
			Replace:  true,
		}
		for j := range ask.Configs {
			all[i].Changes = append(all[i].Changes, broker.ConfigChange{Name: ask.Configs[j].Name, Op: broker.OpSet, Value: ask.Configs[j].Value})
		}
	}
	errs := r.alter(ctx, all, q.ValidateOnly)
	for i := range q.Resources {
		m := kmsg.NewAlterConfigsResponseResource()
		m.ResourceType, m.ResourceName = q.Resources[i].ResourceType, q.Resources[i].ResourceName
		m.ErrorCode, m.ErrorMessage = codeAndMessage(errs[i])
		a.Resources = append(a.Resources, m)
	}
}

// alter asks the broker to change those resources that are named once and whose changes make sense, and returns an error for each.
func (r *request) alter(ctx context.Context, all []broker.AlterResource, validateOnly bool) []error {
	errs := make([]error, len(all))
	named := make(map[metadata.Resource]int, len(all))
	for i := range all {
		named[all[i].Resource]++
	}
	var wanted []broker.AlterResource
	var places []int
	for i := range all {
		if errs[i] = checkChanges(&all[i]); named[all[i].Resource] > 1 {
			errs[i] = kafka.Errorf(kafka.InvalidRequest, "%s is named more than once in the request", all[i].Resource)
		}
		if errs[i] == nil {
			wanted, places = append(wanted, all[i]), append(places, i)
		}
	}
	if len(wanted) > 0 {
		for i, err := range r.conn.srv.broker.AlterConfigs(ctx, r.session, wanted, validateOnly) {
			errs[places[i]] = err
		}
	}
	return errs
}

// checkChanges refuses what the request gets wrong whatever the settings are.
func checkChanges(a *broker.AlterResource) error {
	seen := make(map[string]bool, len(a.Changes))
	for _, c := range a.Changes {
		switch {
		case seen[c.Name]:
			return kafka.Errorf(kafka.InvalidRequest, "the setting %q of %s is given twice", c.Name, a.Resource)
		case c.Op < broker.OpSet || c.Op > broker.OpSubtract:
			return kafka.Errorf(kafka.InvalidRequest, "unknown operation %d for the setting %q of %s", c.Op, c.Name, a.Resource)
		case c.Value == nil && c.Op != broker.OpDelete:
			return kafka.Errorf(kafka.InvalidRequest, "no value is given for the setting %q of %s", c.Name, a.Resource)
		}
		seen[c.Name] = true
	}
	return nil
}
