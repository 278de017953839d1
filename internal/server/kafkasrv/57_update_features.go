package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Kinds of updates of a feature.
const (
	featureUpgrade       = 1
	featureSafeDowngrade = 2
)

// UpdateFeatures: v0-2
//
// Behaviour: all updates happen, or none and the first error is that of the whole answer.
// v1 kinds of updates, validate only · v2 no results of their own
// Left out: nothing. The throttle time is 0.
func updateFeatures(ctx context.Context, r *request, q *kmsg.UpdateFeaturesRequest, a *kmsg.UpdateFeaturesResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	updates := make([]broker.FeatureUpdate, len(q.FeatureUpdates))
	for i := range q.FeatureUpdates {
		u := &q.FeatureUpdates[i]
		updates[i] = broker.FeatureUpdate{Name: u.Feature, Level: u.MaxVersionLevel, Kind: u.UpgradeType}
		switch {
		case r.version >= 1:
		case u.AllowDowngrade:
			updates[i].Kind = featureSafeDowngrade
		default:
			updates[i].Kind = featureUpgrade
		}
	}
	var errs []error
	if len(updates) > 0 {
		errs = r.conn.srv.broker.UpdateFeatures(ctx, r.session, updates, r.version >= 1 && q.ValidateOnly)
	}
	for i, err := range errs {
		if err != nil {
			a.ErrorCode, a.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.CodeOf(err),
				"The update failed for all features since the following feature had an error: %s: %s", updates[i].Name, kafka.MessageOf(err)))
			return
		}
	}
	for i := range updates {
		one := kmsg.NewUpdateFeaturesResponseResult()
		one.Feature = updates[i].Name
		a.Results = append(a.Results, one)
	}
}
