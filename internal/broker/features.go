package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/controller"
)

// FeatureUpdate asks for a level of a feature of the cluster.
type FeatureUpdate = controller.FeatureUpdate

// UpdateFeatures raises or lowers features, all of them or none. With validateOnly nothing changes. One error or nil for each, in order.
//
// Codes: InvalidUpdateVersion, InvalidRequest, FeatureUpdateFailed; RequestTimedOut, NotController, KafkaStorageError as CreateTopics.
func (a *admin) UpdateFeatures(ctx context.Context, _ *Session, updates []FeatureUpdate, validateOnly bool) []error {
	return a.opts.Controller.UpdateFeatures(ctx, updates, validateOnly)
}
