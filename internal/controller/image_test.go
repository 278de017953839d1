package controller_test

import (
	"fmt"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// cluster is an image with brokers 1..n, of which those in fenced are fenced.
func cluster(t testing.TB, n int, fenced ...kafka.BrokerID) *metadata.Image {
	t.Helper()
	var records []metadata.Record
	for id := range n {
		records = append(records, &metadata.BrokerRecord{Broker: metadata.Broker{ID: kafka.BrokerID(id + 1), Epoch: 1}})
	}
	for _, id := range fenced {
		records = append(records, &metadata.BrokerRecord{Broker: metadata.Broker{ID: id, Epoch: 1, Fenced: true}})
	}
	return fold(t, metadata.Empty(), records)
}

func fold(t testing.TB, img *metadata.Image, records []metadata.Record) *metadata.Image {
	t.Helper()
	next, _, err := metadata.Fold(img, records)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// testEnv gives ids that count up, so that the same requests give the same records.
func testEnv() *controller.Env {
	var n byte
	return &controller.Env{
		Partitions: 3, Replication: 1, DeleteTopics: true,
		NewTopicID: func() kafka.UUID { n++; return kafka.UUID{0: n, 15: 1} },
		Inherited:  func(*metadata.Image, metadata.Resource, string) string { return "" },
	}
}

// create makes a topic of that many partitions.
func create(t testing.TB, env *controller.Env, img *metadata.Image, name string, partitions int32) *metadata.Image {
	t.Helper()
	records, answers := controller.CreateTopics(env, img, []controller.NewTopic{{Name: name, Partitions: partitions, Replication: -1}})
	if answers[0].Err != nil {
		t.Fatal(answers[0].Err)
	}
	return fold(t, img, records)
}

// said is an error as a client sees it.
func said(err error) string {
	if err == nil {
		return "ok"
	}
	return fmt.Sprintf("%s: %s", kafka.CodeOf(err).Name(), kafka.MessageOf(err))
}

type ids = []kafka.BrokerID

// brokers is an image of these brokers and nothing else; Epoch 0 becomes 1.
func brokers(t testing.TB, list ...metadata.Broker) *metadata.Image {
	t.Helper()
	var records []metadata.Record
	for _, b := range list {
		b.Epoch = max(b.Epoch, 1)
		records = append(records, &metadata.BrokerRecord{Broker: b})
	}
	return fold(t, metadata.Empty(), records)
}

// topic adds a topic whose partitions are in these states.
func topic(t testing.TB, img *metadata.Image, name string, partitions ...metadata.Partition) *metadata.Image {
	t.Helper()
	id := kafka.UUID{7, byte(img.Topics.Len())}
	return fold(t, img, []metadata.Record{&metadata.TopicRecord{ID: id, Name: name, Internal: controller.IsInternal(name), Partitions: metadata.Runs(partitions)}})
}

// state of the first partition of a topic.
func state(img *metadata.Image, name string) metadata.Partition {
	return img.Topics.ByName(name).Partitions[0]
}

// led is a healthy partition at leader epoch 3 and partition epoch 5; all are in sync unless isr says who.
func led(replicas ids, isr ...kafka.BrokerID) metadata.Partition {
	if isr == nil {
		isr = replicas
	}
	return metadata.Partition{Replicas: replicas, ISR: isr, Leader: isr[0], LeaderEpoch: 3, PartitionEpoch: 5}
}

// minISR is an Env in which every topic has that min.insync.replicas.
func minISR(n int) *controller.Env {
	env := testEnv()
	env.MinISR = func(*metadata.Image, string) int { return n }
	return env
}

// wantState compares what counts in a test.
func wantState(t testing.TB, what string, got, want metadata.Partition) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
