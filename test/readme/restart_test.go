package readme

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

func TestRestart(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	broker := rafkatest.StartOnDisk(t, dir)
	send(t, broker.Addr, "before")
	if err := broker.Server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	broker = rafkatest.StartOnDisk(t, dir) // goes on where the first one was
	send(t, broker.Addr, "after")
}

func send(t *testing.T, addr, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
