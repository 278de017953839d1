package loop

import (
	"context"
	"encoding/json"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// asked is a list of things to do, or with ValidateOnly to be tried.
type asked[T any] struct {
	List         []T
	ValidateOnly bool `json:",omitempty"`
}

// None of these is asked again when it is unknown what came of it: a second create answers that the topic exists, a second delete may
// take a topic that somebody has made since, and a setting may have been changed by others in between.
var (
	createTopics = verb[asked[controller.NewTopic], createdTopics]{
		name: "controller.createTopics",
		decide: func(l *Loop, img *metadata.Image, q asked[controller.NewTopic]) ([]metadata.Record, createdTopics) {
			records, answers := controller.CreateTopics(&l.opts.Env, img, q.List)
			return unless(q.ValidateOnly, records), answers
		},
	}
	deleteTopics = verb[[]controller.TopicRef, deletedTopics]{
		name: "controller.deleteTopics",
		decide: func(l *Loop, img *metadata.Image, q []controller.TopicRef) ([]metadata.Record, deletedTopics) {
			records, answers := controller.DeleteTopics(&l.opts.Env, img, q)
			return records, answers
		},
	}
	createPartitions = verb[asked[controller.MorePartitions], failures]{
		name: "controller.createPartitions",
		decide: func(l *Loop, img *metadata.Image, q asked[controller.MorePartitions]) ([]metadata.Record, failures) {
			records, errs := controller.CreatePartitions(&l.opts.Env, img, q.List)
			return unless(q.ValidateOnly, records), errs
		},
	}
	alterConfigs = verb[asked[controller.AlterResource], failures]{
		name: "controller.alterConfigs",
		decide: func(l *Loop, img *metadata.Image, q asked[controller.AlterResource]) ([]metadata.Record, failures) {
			records, errs := controller.AlterConfigs(&l.opts.Env, img, q.List)
			return unless(q.ValidateOnly, records), errs
		},
	}
	// A second block wastes the first one.
	allocateProducerIDs = verb[struct{}, producerIDs]{
		name: "controller.allocateProducerIDs", again: true,
		decide: func(_ *Loop, img *metadata.Image, _ struct{}) ([]metadata.Record, producerIDs) {
			records, first, err := controller.AllocateProducerIDs(img)
			return records, producerIDs{First: first, Err: failure{err}}
		},
	}
)

// CreateTopics creates topics, or with validateOnly says what would come of it. One answer for each, in order.
func (l *Loop) CreateTopics(ctx context.Context, topics []controller.NewTopic, validateOnly bool) []controller.CreatedTopic {
	answers, err := createTopics.ask(ctx, l, asked[controller.NewTopic]{List: topics, ValidateOnly: validateOnly})
	if err = complete(err, len(answers), len(topics)); err != nil {
		answers = make(createdTopics, len(topics))
		for i := range answers {
			answers[i] = controller.CreatedTopic{Err: err, Name: topics[i].Name, Partitions: -1, Replication: -1}
		}
	}
	return answers
}

// DeleteTopics deletes topics. One answer for each, in order.
func (l *Loop) DeleteTopics(ctx context.Context, topics []controller.TopicRef) []controller.DeletedTopic {
	answers, err := deleteTopics.ask(ctx, l, topics)
	if err = complete(err, len(answers), len(topics)); err != nil {
		answers = make(deletedTopics, len(topics))
		for i, t := range topics {
			answers[i] = controller.DeletedTopic{Err: err, Name: t.Name, ID: t.ID}
		}
	}
	return answers
}

// CreatePartitions adds partitions, or with validateOnly says what would come of it. One error or nil for each, in order.
func (l *Loop) CreatePartitions(ctx context.Context, topics []controller.MorePartitions, validateOnly bool) []error {
	errs, err := createPartitions.ask(ctx, l, asked[controller.MorePartitions]{List: topics, ValidateOnly: validateOnly})
	return each(errs, err, len(topics))
}

// AlterConfigs changes settings, or with validateOnly says what would come of it. One error or nil for each, in order.
func (l *Loop) AlterConfigs(ctx context.Context, resources []controller.AlterResource, validateOnly bool) []error {
	errs, err := alterConfigs.ask(ctx, l, asked[controller.AlterResource]{List: resources, ValidateOnly: validateOnly})
	return each(errs, err, len(resources))
}

// producerIDs is a block of them, or why there is none.
type producerIDs struct {
	First kafka.ProducerID
	Err   failure `json:",omitzero"`
}

// AllocateProducerIDs returns the ids [first, first+count), which nobody had before and nobody gets again, also after a restart.
func (l *Loop) AllocateProducerIDs(ctx context.Context) (first kafka.ProducerID, count int32, err error) {
	block, err := allocateProducerIDs.ask(ctx, l, struct{}{})
	if err == nil {
		err = block.Err.error
	}
	if err != nil {
		return kafka.NoProducer, 0, err
	}
	return block.First, controller.ProducerIDBlock, nil
}

func unless(validateOnly bool, records []metadata.Record) []metadata.Record {
	if validateOnly {
		return nil
	}
	return records
}

// each is one error or nil for each of n parts of a request: what was answered, or err for all.
func each(errs []error, err error, n int) []error {
	if err = complete(err, len(errs), n); err == nil {
		return errs
	}
	errs = make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// complete refuses an answer of another node that does not go with the request.
func complete(err error, answers, n int) error {
	if err == nil && answers != n {
		return kafka.Errorf(kafka.UnknownServerError, "the controller has answered %d parts of a request of %d; are all nodes of releases that work together?", answers, n)
	}
	return err
}

// createdTopics and deletedTopics cross the wire with their errors.
type (
	createdTopics []controller.CreatedTopic
	deletedTopics []controller.DeletedTopic
)

type wireCreated struct {
	controller.CreatedTopic
	Err failure `json:",omitzero"` // hides the embedded one
}

// MarshalJSON implements json.Marshaler.
func (c createdTopics) MarshalJSON() ([]byte, error) {
	return json.Marshal(wrap(c, func(t controller.CreatedTopic) wireCreated { return wireCreated{t, failure{t.Err}} }))
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *createdTopics) UnmarshalJSON(b []byte) error {
	return unwrap(b, (*[]controller.CreatedTopic)(c), func(w wireCreated) controller.CreatedTopic {
		w.CreatedTopic.Err = w.Err.error
		return w.CreatedTopic
	})
}

type wireDeleted struct {
	controller.DeletedTopic
	Err failure `json:",omitzero"`
}

// MarshalJSON implements json.Marshaler.
func (d deletedTopics) MarshalJSON() ([]byte, error) {
	return json.Marshal(wrap(d, func(t controller.DeletedTopic) wireDeleted { return wireDeleted{t, failure{t.Err}} }))
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *deletedTopics) UnmarshalJSON(b []byte) error {
	return unwrap(b, (*[]controller.DeletedTopic)(d), func(w wireDeleted) controller.DeletedTopic {
		w.DeletedTopic.Err = w.Err.error
		return w.DeletedTopic
	})
}
