package loop

import (
	"context"
	"encoding/json"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxISRChanges is how many changes of ISRs go into one request, some 200 bytes each; more are several requests.
const maxISRChanges = 5000

// isrChanges is what a leader asks of the controller.
type isrChanges struct {
	By      kafka.BrokerID
	ByEpoch int64
	Changes []controller.ISRChange
}

// failedReplicas is what a broker says whose disk has failed, or is full.
type failedReplicas struct {
	By      kafka.BrokerID
	ByEpoch int64
	List    []controller.FailedReplica
}

type election struct {
	Kind       int8
	Partitions []kafka.TopicPartition // nil: all
}

type reassignments struct {
	List  []controller.Reassignment
	Allow bool // the number of replicas may change
}

var (
	// A change names the partition epoch that it goes on from, so a second one is refused if the first has happened. This node has seen
	// that by the time it hears of the refusal, because it has waited for the controller's image.
	alterPartition = verb[isrChanges, failures]{
		name: "controller.alterPartition", again: true,
		decide: func(l *Loop, img *metadata.Image, q isrChanges) ([]metadata.Record, failures) {
			records, errs := controller.AlterPartition(&l.opts.Env, img, q.By, q.ByEpoch, q.Changes)
			return records, errs
		},
	}
	// The second time there is nothing left to do.
	failReplicas = verb[failedReplicas, failure]{
		name: "controller.failReplicas", again: true,
		decide: func(l *Loop, img *metadata.Image, q failedReplicas) ([]metadata.Record, failure) {
			records, err := controller.FailReplicas(&l.opts.Env, img, q.By, q.ByEpoch, q.List)
			return records, failure{err}
		},
	}
	// The second time there is nothing left to do.
	stepOut = verb[failedReplicas, failure]{
		name: "controller.stepOut", again: true,
		decide: func(l *Loop, img *metadata.Image, q failedReplicas) ([]metadata.Record, failure) {
			records, err := controller.StepOut(&l.opts.Env, img, q.By, q.ByEpoch, q.List)
			return records, failure{err}
		},
	}
	// A second election answers that none is needed, which is true.
	electLeaders = verb[election, electedPartitions]{
		name: "controller.electLeaders", again: true,
		decide: func(l *Loop, img *metadata.Image, q election) ([]metadata.Record, electedPartitions) {
			records, elected := controller.ElectLeaders(&l.opts.Env, img, q.Kind, q.Partitions)
			return records, elected
		},
	}
	// Not asked again: somebody may have cancelled it, or asked for another one, in between.
	alterReassignments = verb[reassignments, failures]{
		name: "controller.alterReassignments",
		decide: func(l *Loop, img *metadata.Image, q reassignments) ([]metadata.Record, failures) {
			records, errs := controller.AlterReassignments(&l.opts.Env, img, q.List, q.Allow)
			return append(records, controller.PlacedByHand(img, q.List, errs)...), errs
		},
	}
)

// AlterPartition changes the in-sync replicas of partitions that this broker leads. One error or nil for each, in order: with
// kafka.RequestTimedOut it is unknown whether it has happened, any other is a refusal for good, and nil has happened and is in this
// node's image.
func (l *Loop) AlterPartition(ctx context.Context, changes []controller.ISRChange) []error {
	var all []error
	for len(changes) > 0 {
		n := min(len(changes), maxISRChanges)
		errs, err := alterPartition.ask(ctx, l, isrChanges{By: l.opts.Node, ByEpoch: l.BrokerEpoch(), Changes: changes[:n]})
		all, changes = append(all, each(errs, err, n)...), changes[n:]
	}
	return all
}

// FailReplicas tells the controller that the logs of partitions have failed on this broker, so that others lead them and it counts as in sync no more.
func (l *Loop) FailReplicas(ctx context.Context, list []controller.FailedReplica) error {
	return l.takeOut(ctx, &failReplicas, list)
}

// StepOut tells the controller that this broker has no room for partitions, so that others lead them and it counts as in sync no more. It has what it has.
func (l *Loop) StepOut(ctx context.Context, list []controller.FailedReplica) error {
	return l.takeOut(ctx, &stepOut, list)
}

func (l *Loop) takeOut(ctx context.Context, v *verb[failedReplicas, failure], list []controller.FailedReplica) error {
	for len(list) > 0 {
		n := min(len(list), maxISRChanges)
		refused, err := v.ask(ctx, l, failedReplicas{By: l.opts.Node, ByEpoch: l.BrokerEpoch(), List: list[:n]})
		if err == nil {
			err = refused.error
		}
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// Fail ends the broker: it can do nothing more that is of use, and err says why.
func (l *Loop) Fail(err error) { l.fail(err) }

// ElectLeaders elects leaders: controller.PreferredElection or controller.UncleanElection. nil: of all partitions.
func (l *Loop) ElectLeaders(ctx context.Context, kind int8, partitions []kafka.TopicPartition) ([]controller.ElectedPartition, error) {
	return electLeaders.ask(ctx, l, election{Kind: kind, Partitions: partitions})
}

// AlterReassignments begins or cancels moves of replicas; without allow their number must stay. One error or nil for each, in order.
func (l *Loop) AlterReassignments(ctx context.Context, list []controller.Reassignment, allow bool) []error {
	errs, err := alterReassignments.ask(ctx, l, reassignments{List: list, Allow: allow})
	return each(errs, err, len(list))
}

type electedPartitions []controller.ElectedPartition

type wireElected struct {
	kafka.TopicPartition
	Err failure `json:",omitzero"`
}

// MarshalJSON implements json.Marshaler.
func (e electedPartitions) MarshalJSON() ([]byte, error) {
	return json.Marshal(wrap(e, func(p controller.ElectedPartition) wireElected { return wireElected{p.TopicPartition, failure{p.Err}} }))
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *electedPartitions) UnmarshalJSON(b []byte) error {
	return unwrap(b, (*[]controller.ElectedPartition)(e), func(w wireElected) controller.ElectedPartition {
		return controller.ElectedPartition{TopicPartition: w.TopicPartition, Err: w.Err.error}
	})
}
