package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/histogram"
)

// stampSize is what each value of the latency benchmark begins with: the run (8 bytes) and when the record was due (8 bytes).
const stampSize = 16

func newBenchLatency(b *benchOptions) *cobra.Command {
	var rate float64 // not b's: the benchmarks have different defaults
	cmd := &cobra.Command{
		Use:   "latency",
		Short: "Measure the time from sending a record to receiving it",
		Long: `Measure the time from sending a record to receiving it, at a steady rate, in one process: producers send, one consumer
reads at the same time. Time counts from the moment a record was due, so a stall is charged for all that it delayed.`,
		Example: `  rafka bench latency --rate 5000 --duration 30s
  rafka bench latency --rate 100 --records 1000 --acks 1 --format json`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.rate = rate
			if err := b.validate(cmd); err != nil {
				return err
			}
			if b.rate == 0 || b.recordSize < stampSize {
				return usagef("--rate must be more than 0 and --record-size at least %d", stampSize)
			}
			return b.withTopic(cmd.Context(), func(topic string) error {
				report, err := b.benchLatency(cmd, topic)
				if err != nil {
					return err
				}
				return b.print(cmd.OutOrStdout(), report, func(tb *table) { printReport(tb, report) })
			})
		},
	}
	b.registerLimits(cmd, "10s if no limit is given")
	b.registerProducer(cmd)
	cmd.Flags().IntVarP(&b.clients, "clients", "c", 1, "producing clients with connections of their own")
	cmd.Flags().Float64Var(&rate, "rate", 1000, "records per second over all clients")
	return cmd
}

func (b *benchOptions) benchLatency(cmd *cobra.Command, topic string) (*benchReport, error) {
	producers, closeAll, err := b.openClients(cmd.Context(), b.clients, b.producerOptions(topic)...)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	consumer, partitions, err := b.openAtEnd(cmd.Context(), topic)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()

	base := time.Now()
	l := &load{total: b.records, rate: b.rate, value: stampedValues(b.recordSize, base)}
	receiveCtx, stopReceiving := context.WithCancel(cmd.Context())
	defer stopReceiving()
	var endToEnd histogram.Histogram
	var received atomic.Int64
	receiveDone := make(chan error, 1)
	go func() { receiveDone <- receive(receiveCtx, consumer, base, &endToEnd, &received) }()

	runCtx, cancel := b.runContext(cmd.Context())
	defer cancel()
	stop := liveLine(cmd.ErrOrStderr(), throughputLine("sent", l.records.Load, l.bytes.Load))
	err = l.run(runCtx, producers, b.timeout+30*time.Second)
	took := time.Since(l.start)
	// What is acknowledged arrives soon, or not at all.
	for deadline := time.Now().Add(b.timeout); err == nil && received.Load() < l.records.Load() && time.Now().Before(deadline) && cmd.Context().Err() == nil; {
		time.Sleep(time.Millisecond)
	}
	stopReceiving()
	err = firstError(err, <-receiveDone)
	stop()
	if err != nil {
		return nil, fmt.Errorf("measure latency on %s: %w", topic, err)
	}
	if lost := l.records.Load() - received.Load(); lost > 0 && b.acks.value != "0" && cmd.Context().Err() == nil {
		return nil, fmt.Errorf("%d of %d acknowledged records did not arrive within %s", lost, l.records.Load(), b.timeout)
	}
	r := &benchReport{Benchmark: "latency", Topic: topic, Partitions: partitions, Clients: b.clients, Acks: b.acks.value, Compression: b.compression.value}
	r.measured(l.records.Load(), l.bytes.Load(), took)
	r.Latency = []latencyView{viewLatency("end to end", &endToEnd), viewLatency("produce", &l.acks)}
	return r, nil
}

// openAtEnd opens a consumer that reads what is written from now on: it starts at offsets asked for before the first record.
func (b *benchOptions) openAtEnd(ctx context.Context, topic string) (*kgo.Client, int, error) {
	var logs []partitionLog
	err := b.withAdmin(ctx, func(ctx context.Context, adm *admin) (err error) {
		logs, err = loadLogs(ctx, adm, []string{topic}, nil, kgo.ReadUncommitted())
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	parts := make(map[int32]kgo.Offset)
	for _, l := range logs {
		parts[l.partition] = kgo.NewOffset().At(l.end)
	}
	cl, err := b.open(ctx, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: parts}))
	return cl, len(logs), err
}

// receive measures the records of this run until ctx is done; those of others on the same topic are passed over.
func receive(ctx context.Context, cl *kgo.Client, base time.Time, h *histogram.Histogram, received *atomic.Int64) error {
	run := uint64(base.UnixNano())
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetchError(fetches); err != nil {
			return err
		}
		now := time.Since(base)
		fetches.EachRecord(func(r *kgo.Record) {
			if len(r.Value) < stampSize || binary.BigEndian.Uint64(r.Value) != run {
				return
			}
			h.Record(now - time.Duration(binary.BigEndian.Uint64(r.Value[8:])))
			received.Add(1)
		})
	}
}

// stampedValues puts the run and the time since base in front of each value.
func stampedValues(size int, base time.Time) func(due time.Time) []byte {
	rest := hexValues(size)
	return func(due time.Time) []byte {
		v := append([]byte(nil), rest()...)
		binary.BigEndian.PutUint64(v, uint64(base.UnixNano()))
		binary.BigEndian.PutUint64(v[8:], uint64(due.Sub(base)))
		return v
	}
}
