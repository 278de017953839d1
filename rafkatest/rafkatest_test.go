package rafkatest_test

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/porttest"
	"github.com/rafka-io/rafka/rafkatest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// roundTrip produces a record through Dial and reads it back.
func roundTrip(t *testing.T, b *rafkatest.Broker) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.Dialer(b.Dial), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("hello")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		if r := fetches.Records(); len(r) > 0 {
			if string(r[0].Value) != "hello" {
				t.Errorf("read %q", r[0].Value)
			}
			return
		}
	}
}

// Each kind of broker starts in one call and serves a client. The times are for the reader: they are to be well under 50 ms.
func TestEachKindServes(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...rafka.Option) *rafkatest.Broker{
		"Start": rafkatest.Start, "StartOnDisk": rafkatest.StartOnDisk, "StartInMemory": rafkatest.StartInMemory,
	} {
		t.Run(name, func(t *testing.T) {
			t0 := time.Now()
			b := start(t)
			t.Logf("%s took %v", name, time.Since(t0))
			roundTrip(t, b)
		})
	}
}

// A broker in memory has no port: nothing of it can be reached from outside the test.
func TestInMemoryHasNoPort(t *testing.T) {
	b := rafkatest.StartInMemory(t)
	c, err := b.Dial(t.Context(), "tcp", "anything")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.LocalAddr().Network() != "pipe" {
		t.Errorf("connected by %s", c.LocalAddr().Network())
	}
	if err := b.Server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Dial(t.Context(), "", ""); err == nil {
		t.Error("connected to a broker that was stopped")
	}
}

// The end of the test that started it ends a broker, and brokers of one test do not see each other.
func TestBrokersEndWithTheirTest(t *testing.T) {
	free := porttest.Free(t, 1)[0]
	t.Run("inner", func(t *testing.T) {
		b, other := rafkatest.Start(t, rafka.WithKafkaAddr(free)), rafkatest.Start(t)
		if b.Addr == other.Addr {
			t.Error("two brokers have one address")
		}
		roundTrip(t, b)
		roundTrip(t, other)
	})
	if c, err := net.Dial("tcp", free); err == nil {
		c.Close()
		t.Error("the broker outlived its test")
	}
}

// Options go to the broker, settings of the configuration too, and a data directory makes Start one on disk.
func TestOptionsReachTheBroker(t *testing.T) {
	dir := t.TempDir()
	b := rafkatest.Start(t, rafka.WithDataDir(dir), rafka.WithSetting("num.partitions", "3"), rafka.WithHTTPAddr("127.0.0.1:0"))
	if b.Server.HTTPAddr() == "" {
		t.Error("the HTTP door is closed")
	}
	roundTrip(t, b)
	if files, err := os.ReadDir(dir); err != nil || len(files) == 0 {
		t.Errorf("the data directory has %d files, error %v", len(files), err)
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		rafkatest.Start(b)
	}
}

func BenchmarkStartOnDisk(b *testing.B) {
	for b.Loop() {
		rafkatest.StartOnDisk(b)
	}
}
