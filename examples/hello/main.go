package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
)

func main() {
	dir := flag.String("data-dir", "", "keep the records in this directory; without it they are in memory only")
	flag.Parse()
	if err := hello(context.Background(), *dir); err != nil {
		log.Fatal(err)
	}
}

func hello(ctx context.Context, dir string) error {
	storage := rafka.InMemory()
	if dir != "" {
		storage = rafka.WithDataDir(dir)
	}
	broker, err := rafka.Start(ctx, storage, rafka.WithKafkaAddr("127.0.0.1:0"))
	if err != nil {
		return err
	}
	defer broker.Shutdown(ctx)
	fmt.Println("a broker of this process serves Kafka's protocol")

	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("greetings"))
	if err != nil {
		return err
	}
	defer client.Close()
	for _, name := range []string{"Ada", "Grace", "Barbara"} {
		r := &kgo.Record{Topic: "greetings", Key: []byte(name), Value: []byte("hello, " + name)}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil { // returns when the record is stored
			return err
		}
	}
	for n := 0; n < 3; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			fmt.Printf("%d: %s\n", r.Offset, r.Value)
			n++
		}
	}
	return broker.Shutdown(ctx)
}
