package loop

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// BrokerStatus is what the controller knows of a broker's life.
type BrokerStatus struct {
	ID           kafka.BrokerID
	Epoch        int64
	Fenced       bool
	ShuttingDown bool
	Draining     bool
	// Silent is how long ago its last heartbeat came, or the controller began if none has come since.
	Silent time.Duration
	// Offset is how far its metadata was at its last heartbeat; -1: none has come to this controller.
	Offset metadata.Offset
}

type registered struct {
	Epoch int64
	Err   failure `json:",omitzero"`
}

type stopped struct{ Done bool }

// leave is said by a broker that is about to end, or ends now. What a process said that has ended meanwhile is not taken for its successor's wish:
// that has another epoch.
type leave struct {
	ID    kafka.BrokerID
	Epoch int64
}

type drain struct {
	ID kafka.BrokerID
	On bool
}

var (
	// The same process gets the same epoch again.
	registerBroker = verb[controller.Registration, registered]{
		name: "controller.register", again: true,
		decide: func(l *Loop, img *metadata.Image, q controller.Registration) ([]metadata.Record, registered) {
			records, epoch, err := register(&l.opts.Env, img, q)
			return records, registered{Epoch: epoch, Err: failure{err}}
		},
	}
	// It is asked until it is done anyway.
	stopBroker = verb[leave, stopped]{
		name: "controller.stopBroker", again: true,
		decide: func(l *Loop, img *metadata.Image, q leave) ([]metadata.Record, stopped) {
			if b := img.Brokers[q.ID]; b == nil || b.Epoch != q.Epoch {
				return nil, stopped{Done: true}
			}
			records, done := controller.StopBroker(&l.opts.Env, img, q.ID)
			return records, stopped{Done: done}
		},
	}
	// Nothing is left to do the second time.
	leaveCluster = verb[leave, struct{}]{
		name: "controller.leave", again: true,
		decide: func(l *Loop, img *metadata.Image, q leave) ([]metadata.Record, struct{}) {
			if b := img.Brokers[q.ID]; b == nil || b.Epoch != q.Epoch || b.Fenced {
				return nil, struct{}{}
			}
			return controller.FenceBroker(&l.opts.Env, img, q.ID), struct{}{}
		},
	}
	// Not asked again: it would answer that there is no such broker.
	unregisterBroker = verb[kafka.BrokerID, failures]{
		name: "controller.unregisterBroker",
		decide: func(l *Loop, img *metadata.Image, id kafka.BrokerID) ([]metadata.Record, failures) {
			records, err := controller.UnregisterBroker(&l.opts.Env, img, id)
			return records, failures{err}
		},
	}
	// Not asked again: somebody may have said the opposite in between.
	drainBroker = verb[drain, failures]{
		name: "controller.drainBroker",
		decide: func(l *Loop, img *metadata.Image, q drain) ([]metadata.Record, failures) {
			records, err := controller.DrainBroker(&l.opts.Env, img, q.ID, q.On)
			return records, failures{err}
		},
	}
	// Not asked again, as settings are not.
	updateFeatures = verb[asked[controller.FeatureUpdate], failures]{
		name: "controller.updateFeatures",
		decide: func(l *Loop, img *metadata.Image, q asked[controller.FeatureUpdate]) ([]metadata.Record, failures) {
			records, errs := controller.UpdateFeatures(&l.opts.Env, img, q.List)
			return unless(q.ValidateOnly, records), errs
		},
	}
	brokers = verb[struct{}, []BrokerStatus]{
		name: "controller.brokers", again: true,
		decide: func(l *Loop, img *metadata.Image, _ struct{}) ([]metadata.Record, []BrokerStatus) {
			return nil, l.leases.status(l.opts.Now(), img)
		},
	}
)

// register registers a broker; the first one of a cluster names it and finalizes what its release understands.
func register(env *controller.Env, img *metadata.Image, q controller.Registration) ([]metadata.Record, int64, error) {
	var founding []metadata.Record
	if img.ClusterID == "" && q.ClusterID != "" {
		founding = append(founding, &metadata.ClusterRecord{ID: q.ClusterID})
		if level := q.Features[metadata.FeatureVersion]; level > 0 && len(img.Features) == 0 {
			founding = append(founding, &metadata.FeatureLevelRecord{Name: metadata.FeatureVersion, Level: level})
		}
	}
	img, _, err := metadata.Fold(img, founding)
	if err != nil {
		return nil, -1, err
	}
	records, epoch, err := controller.RegisterBroker(env, img, q)
	if err != nil {
		return nil, -1, err
	}
	return append(founding, records...), epoch, nil
}

// UnregisterBroker forgets a broker that is fenced and has no replicas left.
func (l *Loop) UnregisterBroker(ctx context.Context, id kafka.BrokerID) error {
	errs, err := unregisterBroker.ask(ctx, l, id)
	return each(errs, err, 1)[0]
}

// DrainBroker has the controller move all replicas away from a broker, or leaves what is still there.
func (l *Loop) DrainBroker(ctx context.Context, id kafka.BrokerID, on bool) error {
	errs, err := drainBroker.ask(ctx, l, drain{ID: id, On: on})
	return each(errs, err, 1)[0]
}

// UpdateFeatures finalizes levels of features, or with validateOnly says what would come of it. One error or nil for each, in order.
func (l *Loop) UpdateFeatures(ctx context.Context, updates []controller.FeatureUpdate, validateOnly bool) []error {
	errs, err := updateFeatures.ask(ctx, l, asked[controller.FeatureUpdate]{List: updates, ValidateOnly: validateOnly})
	return each(errs, err, len(updates))
}

// Brokers lists all brokers as the controller sees them, by id.
func (l *Loop) Brokers(ctx context.Context) ([]BrokerStatus, error) {
	return brokers.ask(ctx, l, struct{}{})
}
