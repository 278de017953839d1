package broker

import (
	"context"
	"errors"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// EnsureTopics creates those of the topics that do not exist, as first use does: with num.partitions and default.replication.factor,
// if auto.create.topics.enable allows it. It is no error that a topic exists or that somebody else has just created it: first uses at
// the same time create it once. A name may come several times. One error or nil for each name, in order.
//
// Codes: UnknownTopicOrPartition when first use creates nothing or the topic is one of the cluster's own, InvalidTopicException for a
// name that cannot be, and those of CreateTopics.
func (a *admin) EnsureTopics(ctx context.Context, s *Session, names []string) []error {
	errs := make([]error, len(names))
	var missing []NewTopic
	index := map[string]int{} // name to its place in missing
	img := a.opts.Controller.Image()
	for i, name := range names {
		if img.Topics.ByName(name) != nil {
			continue
		}
		if errs[i] = a.mayCreate(img, name); errs[i] != nil {
			continue
		}
		if _, known := index[name]; !known {
			index[name] = len(missing)
			missing = append(missing, NewTopic{Name: name, Partitions: -1, Replication: -1})
		}
	}
	if len(missing) == 0 {
		return errs
	}
	created := a.opts.Controller.CreateTopics(ctx, missing, false)
	for i, name := range names {
		at, asked := index[name]
		if asked && !errors.Is(created[at].Err, kafka.TopicAlreadyExists) {
			errs[i] = created[at].Err
		}
	}
	return errs
}

// mayCreate reports why first use does not create a topic of that name.
func (a *admin) mayCreate(img *metadata.Image, name string) error {
	if err := controller.CheckTopicName(name); err != nil {
		return err
	}
	if !a.autoCreate(img) || controller.IsInternal(name) {
		return kafka.UnknownTopicOrPartition
	}
	return nil
}
