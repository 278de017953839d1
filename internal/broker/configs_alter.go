package broker

import (
	"context"
	"slices"
	"strconv"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ConfigOp with Kafka's codes (IncrementalAlterConfigs).
type ConfigOp = controller.ConfigOp

// What a ConfigChange does to its setting. OpAppend and OpSubtract add and remove elements of settings that are lists.
const (
	OpSet      = controller.OpSet
	OpDelete   = controller.OpDelete
	OpAppend   = controller.OpAppend
	OpSubtract = controller.OpSubtract
)

// ConfigChange is one operation on a setting.
type ConfigChange = controller.ConfigChange

// AlterResource changes one resource, all or nothing. Replace: what is not named goes back to its default (AlterConfigs).
type AlterResource = controller.AlterResource

// AlterConfigs changes settings; each resource succeeds or fails on its own and as a whole, and when it returns those that succeeded are
// in force here. With validateOnly nothing changes. One error or nil for each, in order.
//
// Codes: InvalidConfig, InvalidRequest (a name or resource twice, no value, a broker's setting that needs a restart, another broker),
// UnknownTopicOrPartition; RequestTimedOut, NotController, KafkaStorageError as CreateTopics.
func (a *admin) AlterConfigs(ctx context.Context, _ *Session, resources []AlterResource, validateOnly bool) []error {
	errs := make([]error, len(resources))
	times := map[metadata.Resource]int{}
	for i := range resources {
		times[resources[i].Resource]++
	}
	var forController []AlterResource
	var index []int // of forController in resources
	for i := range resources {
		r := &resources[i]
		switch {
		case times[r.Resource] > 1:
			errs[i] = kafka.Errorf(kafka.InvalidRequest, "Each resource must appear at most once.")
		case r.Type == metadata.ResourceBrokerLogger:
			errs[i] = a.alterLoggers(r, validateOnly)
		case r.Type == metadata.ResourceBroker && r.Name != "" && r.Name != a.nodeName() && !a.drains(r):
			errs[i] = kafka.Errorf(kafka.InvalidRequest, "Unexpected broker id, expected %s or empty string, but received %s", a.nodeName(), r.Name)
		default:
			forController, index = append(forController, *r), append(index, i)
		}
	}
	if len(forController) == 0 {
		return errs
	}
	for at, err := range a.opts.Controller.AlterConfigs(ctx, forController, validateOnly) {
		errs[index[at]] = err
	}
	return errs
}

// drains reports whether all that is asked about another broker is that it be drained, or no longer: that is for the controller to do, and must be
// possible for one that is dead.
func (a *admin) drains(r *AlterResource) bool {
	id, err := strconv.ParseInt(r.Name, 10, 32)
	if err != nil || r.Replace || len(r.Changes) == 0 || a.opts.Controller.Image().Brokers[kafka.BrokerID(id)] == nil {
		return false
	}
	return !slices.ContainsFunc(r.Changes, func(c controller.ConfigChange) bool { return c.Name != "rafka.broker.drain" })
}
