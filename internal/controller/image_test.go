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
