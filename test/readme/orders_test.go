package readme

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/rafkatest"
)

func TestOrders(t *testing.T) {
	broker := rafkatest.Start(t) // a real broker on a free port, stopped by the test's end
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("two coffees")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
