package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/histogram"
)

// defaultFill is how many bytes are written to be read, where no limit is given.
const defaultFill = 256 << 20

func newBenchConsume(b *benchOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consume",
		Short: "Measure how fast records are read",
		Long: `Measure how fast records are read: those of --topic from its start to its end, or of a topic that is made and filled
first (which is not measured). The latency is that of single fetch requests.`,
		Example: `  rafka bench consume --bytes 1GiB --partitions 4 --clients 2
  rafka bench consume --topic orders`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.validate(cmd); err != nil {
				return err
			}
			return b.withTopic(cmd.Context(), func(topic string) error {
				if b.topic == "" {
					if err := b.fill(cmd, topic); err != nil {
						return err
					}
				}
				report, err := b.benchConsume(cmd, topic)
				if err != nil {
					return err
				}
				return b.print(cmd.OutOrStdout(), report, func(tb *table) { printReport(tb, report) })
			})
		},
	}
	b.registerLimits(cmd, "default: until all is read")
	b.registerProducer(cmd)
	cmd.Flags().IntVarP(&b.clients, "clients", "c", 1, "clients with connections of their own; the partitions are divided among them")
	return cmd
}

// fill writes the records that are to be read.
func (b *benchOptions) fill(cmd *cobra.Command, topic string) error {
	clients, closeAll, err := b.openClients(cmd.Context(), 1, b.producerOptions(topic)...)
	if err != nil {
		return err
	}
	defer closeAll()
	total := b.records
	if total == 0 {
		total = max(int64(defaultFill/b.recordSize), 1)
	}
	value := hexValues(b.recordSize)
	l := &load{total: total, value: func(time.Time) []byte { return value() }}
	defer liveLine(cmd.ErrOrStderr(), throughputLine("filling the topic:", l.records.Load, l.bytes.Load))()
	if err := l.run(cmd.Context(), clients, b.timeout+30*time.Second); err != nil {
		return fmt.Errorf("fill %s: %w", topic, err)
	}
	return cmd.Context().Err()
}

// fetchTimes records how long fetch requests took; the client calls it from several goroutines.
type fetchTimes struct {
	mu sync.Mutex
	histogram.Histogram
}

// OnBrokerE2E is called by the client after each request.
func (f *fetchTimes) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	const fetch = 1
	if key != fetch || e2e.Err() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Record(e2e.DurationE2E())
}

func (b *benchOptions) benchConsume(cmd *cobra.Command, topic string) (*benchReport, error) {
	var logs []partitionLog
	err := b.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) (err error) {
		logs, err = loadLogs(ctx, adm, []string{topic}, nil, kgo.ReadUncommitted())
		return err
	})
	if err != nil {
		return nil, err
	}
	clients := min(b.clients, len(logs)) // more would have nothing to read
	times := &fetchTimes{}
	open, closeAll, err := b.openClients(cmd.Context(), clients, kgo.WithHooks(times), kgo.FetchMaxPartitionBytes(8<<20))
	if err != nil {
		return nil, err
	}
	defer closeAll()
	var records, bytes, left atomic.Int64
	for _, l := range logs {
		left.Add(l.end - l.start)
	}
	if b.records > 0 {
		left.Store(min(left.Load(), b.records))
	}
	if left.Load() == 0 {
		return nil, fmt.Errorf("topic %s is empty: there is nothing to read", topic)
	}
	limit := b.duration
	if limit == 0 {
		limit = math.MaxInt64
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	stop := liveLine(cmd.ErrOrStderr(), throughputLine("consumed", records.Load, bytes.Load))
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	started := time.Now()
	for i, cl := range open {
		wg.Go(func() {
			parts := make(map[int32]kgo.Offset)
			for j := i; j < len(logs); j += clients {
				parts[logs[j].partition] = kgo.NewOffset().At(logs[j].start)
			}
			cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: parts})
			if err := drain(ctx, cl, &records, &bytes, &left, cancel); err != nil {
				failure.CompareAndSwap(nil, &err)
				cancel()
			}
		})
	}
	wg.Wait()
	took := time.Since(started)
	stop()
	if err := failure.Load(); err != nil {
		return nil, *err
	}
	r := &benchReport{Benchmark: "consume", Topic: topic, Partitions: len(logs), Clients: clients}
	r.measured(records.Load(), bytes.Load(), took)
	times.mu.Lock()
	defer times.mu.Unlock()
	r.Latency = []latencyView{viewLatency("fetch request", &times.Histogram)}
	return r, nil
}

// drain counts records until none is left for any client (it then stops the others) or ctx is done.
func drain(ctx context.Context, cl *kgo.Client, records, bytes, left *atomic.Int64, stop func()) error {
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetchError(fetches); err != nil {
			return err
		}
		var n, b int64
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			b += int64(len(r.Value))
		})
		records.Add(n)
		bytes.Add(b)
		if left.Add(-n) <= 0 {
			stop()
		}
	}
	return nil
}
