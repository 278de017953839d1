package broker

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Topics are created with what the group asks for; that somebody else was faster is no failure, and of others the group is told.
func TestStreamsTopicsAreCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []NewTopic
		answers := []error{nil, kafka.TopicAlreadyExists, kafka.Errorf(kafka.InvalidConfig, "no such setting")}
		told := ""
		s := NewStreamsTopics(StreamsTopicsOptions{
			Create: func(_ context.Context, topics []NewTopic) []error {
				asked = append(asked, topics...)
				return answers[:len(topics)]
			},
			Tell: func(_ context.Context, group string, _ func(*group.Shard, *coordinator.Op)) error {
				told += group
				return kafka.NotCoordinator
			},
		})
		s.Add(group.CreateStreamsTopics{Group: "g", Topics: []group.StreamsTopic{{Name: "a", Partitions: 3, Replication: -1, Configs: [][2]string{{"cleanup.policy", "compact"}}}, {Name: "b"}}})
		synctest.Wait()
		if len(asked) != 2 || asked[0].Name != "a" || asked[0].Partitions != 3 || asked[0].Replication != -1 || *asked[0].Configs[0].Value != "compact" || told != "" {
			t.Errorf("asked for %+v, told %q", asked, told)
		}
		s.Add(group.CreateStreamsTopics{Group: "h", Topics: make([]group.StreamsTopic, 3)})
		synctest.Wait()
		if told != "h" {
			t.Errorf("told %q", told)
		}
		s.Close()
	})
}

// A controller that does not answer holds up nobody, and what does not fit is dropped.
func TestStreamsTopicsNeverBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		created := 0
		s := NewStreamsTopics(StreamsTopicsOptions{
			Create: func(ctx context.Context, topics []NewTopic) []error {
				created++
				<-ctx.Done()
				return []error{ctx.Err()}
			},
			Tell: func(context.Context, string, func(*group.Shard, *coordinator.Op)) error { return nil },
		})
		for range 2 * maxWaitingTopics {
			s.Add(group.CreateStreamsTopics{Group: "g", Topics: make([]group.StreamsTopic, 1)})
		}
		synctest.Wait()
		s.Close()
		if created != 1 {
			t.Errorf("%d were tried at once", created)
		}
	})
}
