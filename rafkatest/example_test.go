package rafkatest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// A test takes a broker in one call; t is the test's *testing.T.
func ExampleStart() {
	t := newT()
	defer t.end()

	broker := rafkatest.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("two coffees")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, r := range client.PollFetches(t.Context()).Records() {
		fmt.Printf("%d: %s\n", r.Offset, r.Value)
	}
	// Output: 0: two coffees
}

// Without any port: the client dials the broker in memory.
func ExampleStartInMemory() {
	t := newT()
	defer t.end()

	broker := rafkatest.StartInMemory(t, rafka.WithSetting("num.partitions", "3"))
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.Dialer(broker.Dial), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r := &kgo.Record{Topic: "orders", Value: []byte("two coffees")}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	fmt.Println("stored at offset", r.Offset)
	// Output: stored at offset 0
}

// exampleT stands in for the *testing.T that an example does not have.
type exampleT struct {
	testing.TB
	ctx  context.Context
	stop context.CancelFunc
	done []func()
}

func newT() *exampleT {
	ctx, stop := context.WithCancel(context.Background())
	return &exampleT{ctx: ctx, stop: stop}
}

func (t *exampleT) Helper()                      {}
func (t *exampleT) Context() context.Context     { return t.ctx }
func (t *exampleT) Output() io.Writer            { return os.Stderr }
func (t *exampleT) Cleanup(f func())             { t.done = append(t.done, f) }
func (t *exampleT) Fatal(args ...any)            { log.Fatal(args...) }
func (t *exampleT) Errorf(f string, args ...any) { log.Printf(f, args...) }

func (t *exampleT) end() {
	t.stop()
	for i := len(t.done) - 1; i >= 0; i-- {
		t.done[i]()
	}
}
