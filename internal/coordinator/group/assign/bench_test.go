package assign_test

import (
	"fmt"
	"testing"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// 10,000 partitions of 100 topics, 1,000 members: from nothing, and after one member has joined. In a mixed group every tenth member subscribes
// to half of the topics.
func BenchmarkAssign(b *testing.B) {
	topics := assign.Counts{}
	var ids []kafka.UUID
	for i := range 100 {
		ids = append(ids, topicID(i))
		topics[topicID(i)] = 100
	}
	for _, bench := range []struct {
		name  string
		f     assignor
		mixed bool
	}{{"uniform", assign.Uniform, false}, {"uniform-mixed", assign.Uniform, true}, {"range", assign.Range, false}, {"simple", assign.Simple, false}} {
		members := make([]assign.Member, 1000)
		for i := range members {
			members[i] = assign.Member{ID: fmt.Sprintf("member-%04d", i), Topics: ids}
			if bench.mixed && i%10 == 0 {
				members[i].Topics = ids[:50]
			}
		}
		b.Run(bench.name+"/first", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.f(members, topics)
			}
		})
		had := bench.f(members[:999], topics)
		for i := range had {
			members[i].Had = had[i]
		}
		b.Run(bench.name+"/one-joins", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.f(members, topics)
			}
		})
	}
}
