package e2e

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// BenchmarkMillionDelayed has a million records of 100 bytes wait in one partition, restarts the broker, and consumes them while their times come, at
// random within 100 seconds. It says how late they reach the consumer, and how long it took after the restart until what waits was known. It takes
// four minutes: run it with -benchtime 1x.
func BenchmarkMillionDelayed(b *testing.B) {
	const records, spread = 1_000_000, 100 * time.Second
	for b.Loop() {
		dir := rafka.WithDataDir(b.TempDir())
		broker := rafkatest.StartOnDisk(b, dir)
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
		connect := func(opts ...kgo.Opt) *kgo.Client {
			cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(broker.Addr), kgo.Dialer(broker.Dial)}, opts...)...)
			if err != nil {
				b.Fatal(err)
			}
			return cl
		}
		producer := connect(kgo.ProducerLinger(20 * time.Millisecond))
		on := "true"
		if _, err := kadm.NewClient(producer).CreateTopic(ctx, 1, -1, map[string]*string{"rafka.delivery.delay.enable": &on}, "later"); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		first := began.Add(75 * time.Second)
		payload := value(0, 100)
		for range records {
			due := first.Add(time.Duration(rand.Int64N(int64(spread)))).UnixMilli()
			at := strconv.AppendInt(nil, due, 10)
			producer.Produce(ctx, &kgo.Record{Topic: "later", Key: at, Value: payload, Headers: []kgo.RecordHeader{{Key: "rafka-deliver-at", Value: at}}}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := producer.Flush(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-to-produce")
		producer.Close()
		began = time.Now()
		if err := broker.Server.Shutdown(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-to-stop")
		began = time.Now()
		broker = rafkatest.StartOnDisk(b, dir)
		consumer := connect(kgo.ConsumeTopics("later"), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(100*time.Millisecond))
		if _, err := kadm.NewClient(consumer).ListEndOffsets(ctx, "later"); err != nil { // it needs what is known of the partition
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-to-start")
		if time.Now().After(first) {
			b.Fatalf("it took %v too long until the records waited", time.Since(first))
		}
		var late []time.Duration
		for len(late) < records {
			fetches := consumer.PollFetches(ctx)
			now := time.Now()
			if err := fetches.Err(); err != nil {
				b.Fatalf("%d records came: %v", len(late), err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				due, _ := strconv.ParseInt(string(r.Key), 10, 64)
				late = append(late, now.Sub(time.UnixMilli(due)))
			})
		}
		b.ReportMetric(float64(len(late)), "records")
		consumer.Close()
		cancel()
		slices.Sort(late)
		for _, q := range []struct {
			name string
			at   float64
		}{{"ms-p50", 0.5}, {"ms-p99", 0.99}, {"ms-p99.9", 0.999}} {
			b.ReportMetric(float64(late[int(float64(len(late)-1)*q.at)].Microseconds())/1000, q.name)
		}
		b.ReportMetric(float64(late[len(late)-1].Microseconds())/1000, "ms-max")
	}
}
