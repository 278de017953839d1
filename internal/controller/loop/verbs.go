package loop

import (
	"context"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ask submits a decision that has an answer. The answer is looked at only when there is no error: after one the decision may still
// be running and writing it.
func ask[A any](ctx context.Context, l *Loop, decide func(*metadata.Image) ([]metadata.Record, A)) (A, error) {
	var answer A
	err := l.submit(ctx, func(img *metadata.Image) (records []metadata.Record) {
		records, answer = decide(img)
		return records
	})
	if err != nil {
		var none A
		return none, err
	}
	return answer, nil
}

// CreateTopics creates topics, or with validateOnly says what would come of it. One answer for each, in order.
func (l *Loop) CreateTopics(ctx context.Context, topics []controller.NewTopic, validateOnly bool) []controller.CreatedTopic {
	answers, err := ask(ctx, l, func(img *metadata.Image) ([]metadata.Record, []controller.CreatedTopic) {
		records, answers := controller.CreateTopics(&l.opts.Env, img, topics)
		return unless(validateOnly, records), answers
	})
	if err != nil {
		answers = make([]controller.CreatedTopic, len(topics))
		for i := range answers {
			answers[i] = controller.CreatedTopic{Err: err, Name: topics[i].Name, Partitions: -1, Replication: -1}
		}
	}
	return answers
}

// DeleteTopics deletes topics. One answer for each, in order.
func (l *Loop) DeleteTopics(ctx context.Context, topics []controller.TopicRef) []controller.DeletedTopic {
	answers, err := ask(ctx, l, func(img *metadata.Image) ([]metadata.Record, []controller.DeletedTopic) {
		return controller.DeleteTopics(&l.opts.Env, img, topics)
	})
	if err != nil {
		answers = make([]controller.DeletedTopic, len(topics))
		for i, t := range topics {
			answers[i] = controller.DeletedTopic{Err: err, Name: t.Name, ID: t.ID}
		}
	}
	return answers
}

// CreatePartitions adds partitions, or with validateOnly says what would come of it. One error or nil for each, in order.
func (l *Loop) CreatePartitions(ctx context.Context, topics []controller.MorePartitions, validateOnly bool) []error {
	errs, err := ask(ctx, l, func(img *metadata.Image) ([]metadata.Record, []error) {
		records, errs := controller.CreatePartitions(&l.opts.Env, img, topics)
		return unless(validateOnly, records), errs
	})
	if err != nil {
		errs = repeat(err, len(topics))
	}
	return errs
}

// AlterConfigs changes settings, or with validateOnly says what would come of it. One error or nil for each, in order.
func (l *Loop) AlterConfigs(ctx context.Context, resources []controller.AlterResource, validateOnly bool) []error {
	errs, err := ask(ctx, l, func(img *metadata.Image) ([]metadata.Record, []error) {
		records, errs := controller.AlterConfigs(&l.opts.Env, img, resources)
		return unless(validateOnly, records), errs
	})
	if err != nil {
		errs = repeat(err, len(resources))
	}
	return errs
}

// AllocateProducerIDs returns the ids [first, first+count), which nobody had before and nobody gets again, also after a restart.
func (l *Loop) AllocateProducerIDs(ctx context.Context) (first kafka.ProducerID, count int32, err error) {
	type block struct {
		first kafka.ProducerID
		err   error
	}
	b, err := ask(ctx, l, func(img *metadata.Image) ([]metadata.Record, block) {
		records, first, err := controller.AllocateProducerIDs(img)
		return records, block{first, err}
	})
	if err == nil {
		err = b.err
	}
	if err != nil {
		return kafka.NoProducer, 0, err
	}
	return b.first, controller.ProducerIDBlock, nil
}

func unless(validateOnly bool, records []metadata.Record) []metadata.Record {
	if validateOnly {
		return nil
	}
	return records
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
