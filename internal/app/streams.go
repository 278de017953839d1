package app

import (
	"context"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
)

// openStreamsTopics makes who creates the topics of streams groups. Groups ask it from their first operation on, which comes with the controller's
// first image.
func (a *App) openStreamsTopics() {
	a.streamsTopics = broker.NewStreamsTopics(broker.StreamsTopicsOptions{
		Create: func(ctx context.Context, topics []broker.NewTopic) []error {
			created := a.loop.CreateTopics(ctx, topics, false)
			errs := make([]error, len(created))
			for i := range created {
				errs[i] = created[i].Err
			}
			return errs
		},
		Tell: func(ctx context.Context, name string, fn func(*group.Shard, *coordinator.Op)) error {
			_, err := coordinator.Ask(ctx, a.groups, name, func(s *group.Shard, op *coordinator.Op) struct{} {
				fn(s, op)
				return struct{}{}
			})
			return err
		},
		Logger: a.opts.Logger,
	})
	a.onStop("topics of streams groups", func(context.Context) error { a.streamsTopics.Close(); return nil })
}

// onGroupEffect hands on what groups want to happen. It does not block.
func (a *App) onGroupEffect(_ int32, e any) {
	if topics, ok := e.(group.CreateStreamsTopics); ok {
		a.streamsTopics.Add(topics)
		return
	}
	a.queues.OnGroupEffect(e)
}
