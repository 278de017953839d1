package rafka_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
)

// A broker in memory, and a client of Kafka's protocol that uses it.
func Example() {
	ctx := context.Background()
	server, err := rafka.Start(ctx, rafka.InMemory(), rafka.WithKafkaAddr("127.0.0.1:0"))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Shutdown(ctx)

	client, err := kgo.NewClient(kgo.SeedBrokers(server.Addr()), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("greetings"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "greetings", Value: []byte("hello, world")}).FirstErr(); err != nil {
		log.Fatal(err)
	}
	for _, r := range client.PollFetches(ctx).Records() {
		fmt.Printf("%s[%d]@%d %s\n", r.Topic, r.Partition, r.Offset, r.Value)
	}
	// Output: greetings[0]@0 hello, world
}

// What is on disk is there after a restart.
func ExampleServer_Shutdown() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "rafka-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		server, err := rafka.Start(ctx, rafka.WithDataDir(dir), rafka.WithKafkaAddr("127.0.0.1:0"))
		if err != nil {
			log.Fatal(err)
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(server.Addr()), kgo.AllowAutoTopicCreation())
		if err != nil {
			log.Fatal(err)
		}
		r := &kgo.Record{Topic: "starts", Value: []byte("started")}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			log.Fatal(err)
		}
		fmt.Println("stored at offset", r.Offset)
		client.Close()
		if err := server.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// stored at offset 0
	// stored at offset 1
}

// Any key of the configuration can be given; a wrong one is refused with what was perhaps meant.
func ExampleWithSetting() {
	_, err := rafka.Start(context.Background(), rafka.InMemory(), rafka.WithSetting("num.partition", "6"))
	fmt.Println(err)
	// Output: rafka: the program: unknown key num.partition: did you mean num.partitions?
}
