package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// adoptEvery is how often a consumer that follows looks for partitions that were added since.
const adoptEvery = 10 * time.Second

// adopt adds partitions (and, with --regex, topics) that appeared after the start, from their first record on: all of it is
// new. A look that fails is no failure of the consumer; the next one may succeed.
func (o *consumeOptions) adopt(ctx context.Context, cl *kgo.Client, open map[topicPartition]*reading) {
	ctx, cancel := context.WithTimeout(ctx, adoptEvery)
	defer cancel()
	logs, err := o.plan(ctx, newAdmin(cl))
	if err != nil {
		return
	}
	for _, l := range logs {
		tp := topicPartition{l.topic, l.partition}
		if open[tp] == nil {
			open[tp] = &reading{l, l.start, -1}
			cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{l.topic: {l.partition: kgo.NewOffset().At(l.start)}})
		}
	}
}
