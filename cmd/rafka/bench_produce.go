package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

const defaultBenchDuration = 10 * time.Second

func newBenchProduce(b *benchOptions) *cobra.Command {
	var rate float64 // not b's: the benchmarks have different defaults
	cmd := &cobra.Command{
		Use:   "produce",
		Short: "Measure how fast records are accepted",
		Example: `  rafka bench produce --duration 30s --clients 4 --partitions 8
  rafka bench produce --records 1000000 --record-size 100 --acks 1 -z lz4
  rafka bench produce --rate 5000 --duration 1m --format json`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.rate = rate
			if err := b.validate(cmd); err != nil {
				return err
			}
			return b.withTopic(cmd.Context(), func(topic string) error {
				report, err := b.benchProduce(cmd, topic)
				if err != nil {
					return err
				}
				return b.print(cmd.OutOrStdout(), report, func(tb *table) { printReport(tb, report) })
			})
		},
	}
	b.registerLimits(cmd, "10s if no limit is given")
	b.registerProducer(cmd)
	cmd.Flags().IntVarP(&b.clients, "clients", "c", 1, "clients with connections of their own")
	cmd.Flags().Float64Var(&rate, "rate", 0, "records per second over all clients; 0: as many as possible")
	return cmd
}

func (b *benchOptions) benchProduce(cmd *cobra.Command, topic string) (*benchReport, error) {
	ctx := cmd.Context()
	clients, closeAll, err := b.openClients(ctx, b.clients, b.producerOptions(topic)...)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	partitions, err := b.countPartitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	value := hexValues(b.recordSize)
	l := &load{total: b.records, rate: b.rate, value: func(time.Time) []byte { return value() }}
	runCtx, cancel := b.runContext(ctx)
	defer cancel()
	stop := liveLine(cmd.ErrOrStderr(), throughputLine("produced", l.records.Load, l.bytes.Load))
	err = l.run(runCtx, clients, b.timeout+30*time.Second)
	took := time.Since(l.start)
	stop()
	if err != nil {
		return nil, fmt.Errorf("produce to %s: %w", topic, err)
	}
	r := &benchReport{Benchmark: "produce", Topic: topic, Partitions: partitions, Clients: b.clients, Acks: b.acks.value, Compression: b.compression.value}
	r.measured(l.records.Load(), l.bytes.Load(), took)
	r.Latency = []latencyView{viewLatency("produce", &l.acks)}
	return r, nil
}

// runContext ends after --duration; without any limit, after the default.
func (b *benchOptions) runContext(ctx context.Context) (context.Context, context.CancelFunc) {
	d := b.duration
	if d == 0 && b.records == 0 {
		d = defaultBenchDuration
	}
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// openClients opens n clients; closeAll closes those that were opened.
func (b *benchOptions) openClients(ctx context.Context, n int, opts ...kgo.Opt) (clients []*kgo.Client, closeAll func(), err error) {
	closeAll = func() {
		for _, cl := range clients {
			cl.Close()
		}
	}
	for range n {
		cl, err := b.open(ctx, opts...)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		clients = append(clients, cl)
	}
	return clients, closeAll, nil
}

func (b *benchOptions) countPartitions(ctx context.Context, topic string) (n int, err error) {
	err = b.withAdmin(ctx, func(ctx context.Context, adm *admin) error {
		topics, err := loadTopics(ctx, adm, topic)
		if err == nil {
			n = len(topics[0].Partitions)
		}
		return err
	})
	return n, err
}
