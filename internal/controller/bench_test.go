package controller_test

import (
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// large is three brokers with 10,000 partitions of three replicas, as loaded from a snapshot.
func large(b *testing.B) (*controller.Env, *metadata.Image) {
	b.Helper()
	env, img := minISR(2), three(b)
	records, answers := controller.CreateTopics(env, img, []controller.NewTopic{{Name: "big", Partitions: 10_000, Replication: 3}})
	if answers[0].Err != nil {
		b.Fatal(answers[0].Err)
	}
	return env, fold(b, img, records)
}

func BenchmarkFenceBrokerOf10000Partitions(b *testing.B) {
	env, img := large(b)
	b.ReportAllocs()
	for b.Loop() {
		if records := controller.FenceBroker(env, img, 2); len(records) != 10_001 {
			b.Fatal(len(records))
		}
	}
}

func BenchmarkFenceBrokerOf10000PartitionsAndFold(b *testing.B) {
	env, img := large(b)
	b.ReportAllocs()
	for b.Loop() {
		if next := fold(b, img, controller.FenceBroker(env, img, 2)); !next.Brokers[2].Fenced {
			b.Fatal("not fenced")
		}
	}
}

func BenchmarkCreate10000PartitionsOfThreeReplicas(b *testing.B) {
	env, img := testEnv(), three(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, answers := controller.CreateTopics(env, img, []controller.NewTopic{{Name: "big", Partitions: 10_000, Replication: 3}}); answers[0].Err != nil {
			b.Fatal(answers[0].Err)
		}
	}
}

// The usual case: every partition is looked at, and nothing is to do.
func BenchmarkUpkeepOf10000Partitions(b *testing.B) {
	env, img := large(b)
	b.ReportAllocs()
	for b.Loop() {
		if records, why := controller.Upkeep(env, img, 10); records != nil {
			b.Fatal(why)
		}
	}
}

func BenchmarkAlterPartitionOf1000Partitions(b *testing.B) {
	env, img := large(b)
	t := img.Topics.ByName("big")
	var changes []controller.ISRChange
	for i, p := range t.Partitions {
		if p.Leader == 1 && len(changes) < 1000 {
			changes = append(changes, controller.ISRChange{TopicID: t.ID, Partition: int32(i), ISR: []controller.ISRMember{{ID: 1, Epoch: 11}, {ID: 2, Epoch: 12}}})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if records, errs := controller.AlterPartition(env, img, 1, 11, changes); len(records) != 1000 || kafka.CodeOf(errs[0]) != kafka.None {
			b.Fatal(len(records), errs[0])
		}
	}
}
