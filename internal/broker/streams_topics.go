package broker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// maxWaitingTopics is how many groups' requests for topics may wait at once. What does not fit is dropped: a group asks again while its members
// wait.
const maxWaitingTopics = 256

// createTimeout is how long the controller may take to create the topics of a group.
const createTimeout = 30 * time.Second

// StreamsTopicsOptions are what StreamsTopics needs. All but Logger are required.
type StreamsTopicsOptions struct {
	// Create creates topics, one answer for each, in order.
	Create func(ctx context.Context, topics []NewTopic) []error
	// Tell runs an operation on the shard of a group.
	Tell   func(ctx context.Context, group string, fn func(*group.Shard, *coordinator.Op)) error
	Logger *slog.Logger // [slog.Default()]
}

// StreamsTopics creates the topics that streams groups ask for, from one goroutine of its own, which ends with Close. A group hears of new topics as
// every group does, when the metadata changes; that some could not be created it is told.
type StreamsTopics struct {
	opts    StreamsTopicsOptions
	ctx     context.Context
	stop    context.CancelFunc
	queue   chan group.CreateStreamsTopics
	running sync.WaitGroup
}

// NewStreamsTopics starts the goroutine.
func NewStreamsTopics(opts StreamsTopicsOptions) *StreamsTopics {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	t := &StreamsTopics{opts: opts, queue: make(chan group.CreateStreamsTopics, maxWaitingTopics)}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.running.Go(t.run)
	return t
}

// Add takes in what a group asks for. It never blocks.
func (t *StreamsTopics) Add(e group.CreateStreamsTopics) {
	select {
	case t.queue <- e:
	default:
		t.opts.Logger.Warn("too many streams groups ask for topics; this one has to ask again", "group", e.Group)
	}
}

// Close ends the goroutine. What was not created yet is asked for again by the groups' next coordinator.
func (t *StreamsTopics) Close() {
	t.stop()
	t.running.Wait()
}

func (t *StreamsTopics) run() {
	for t.ctx.Err() == nil {
		select {
		case e := <-t.queue:
			t.create(e)
		case <-t.ctx.Done():
		}
	}
}

func (t *StreamsTopics) create(e group.CreateStreamsTopics) {
	ctx, cancel := context.WithTimeout(t.ctx, createTimeout)
	defer cancel()
	topics := make([]NewTopic, len(e.Topics))
	for i, want := range e.Topics {
		topics[i] = NewTopic{Name: want.Name, Partitions: want.Partitions, Replication: want.Replication}
		for k := range want.Configs {
			topics[i].Configs = append(topics[i].Configs, ConfigEntry{Name: want.Configs[k][0], Value: &want.Configs[k][1]})
		}
	}
	var failed []string
	for i, err := range t.opts.Create(ctx, topics) {
		// That somebody else was faster is what was wanted; whether it is the right topic the group sees.
		if err != nil && kafka.CodeOf(err) != kafka.TopicAlreadyExists {
			failed = append(failed, topics[i].Name+" ("+reasonOf(err)+")")
		}
	}
	if len(failed) == 0 || t.ctx.Err() != nil {
		return
	}
	why := strings.Join(failed, ", ")
	t.opts.Logger.Warn("topics of a streams group could not be created", "group", e.Group, "topics", why)
	err := t.opts.Tell(ctx, e.Group, func(s *group.Shard, op *coordinator.Op) { s.StreamsTopicsFailed(op, e.Group, why) })
	if err != nil {
		t.opts.Logger.Debug("the group is coordinated elsewhere by now", "group", e.Group, "err", err)
	}
}

// reasonOf is the message of an error, or the name of its code where it has none.
func reasonOf(err error) string {
	if text := kafka.MessageOf(err); text != "" {
		return text
	}
	return kafka.CodeOf(err).Error()
}
