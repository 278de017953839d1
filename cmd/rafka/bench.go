package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// benchOptions are the flags of all benchmarks; each registers those that it obeys.
type benchOptions struct {
	connection
	output

	topic      string // "": one of our own
	partitions int32
	replicas   int16
	keep       bool

	records    int64
	bytesText  string
	duration   time.Duration
	recordSize int
	clients    int
	rate       float64 // records per second over all clients; 0: as fast as it goes

	acks        choice
	compression choice
	idempotent  bool
	linger      time.Duration
}

func newBenchCommand(getenv func(string) string) *cobra.Command {
	cmd := group("bench", "Measure throughput and latency of a cluster")
	cmd.Long = `Measure throughput and latency of a cluster, this one or any other that speaks Kafka's protocol.

Without --topic each benchmark makes a topic of its own and deletes it afterwards (--keep keeps it). Values are random
hexadecimal digits, so compression halves them. The figures end up in a table, or with --format json in JSON.`
	b := &benchOptions{connection: connection{getenv: getenv}, acks: acksChoice(), compression: compressionChoice()}
	b.connection.register(cmd)
	b.output.register(cmd)
	f := cmd.PersistentFlags()
	f.StringVarP(&b.topic, "topic", "t", "", "use this topic and leave it as it is")
	f.Int32VarP(&b.partitions, "partitions", "p", 1, "partitions of the topic that is made")
	f.Int16VarP(&b.replicas, "replicas", "r", -1, "replication factor of the topic that is made; -1: the broker's default")
	f.BoolVar(&b.keep, "keep", false, "do not delete the topic that was made")
	cmd.AddCommand(newBenchProduce(b), newBenchConsume(b), newBenchLatency(b))
	return cmd
}

// registerLimits adds the flags that say how long a run is.
func (b *benchOptions) registerLimits(cmd *cobra.Command, unlimited string) {
	f := cmd.Flags()
	f.Int64VarP(&b.records, "records", "n", 0, "stop after this many records")
	f.StringVar(&b.bytesText, "bytes", "", "stop after this many `BYTES` of values, such as 500MiB or 2G")
	f.DurationVarP(&b.duration, "duration", "d", 0, "stop after this long ("+unlimited+")")
}

// registerProducer adds the flags about records and how they are sent.
func (b *benchOptions) registerProducer(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVarP(&b.recordSize, "record-size", "s", 1024, "bytes of each value")
	f.VarP(&b.compression, "compression", "z", "compression of batches")
	f.Var(&b.acks, "acks", "wait for: all in-sync replicas, 1 (the leader), 0 (nothing)")
	f.BoolVar(&b.idempotent, "idempotent", true, "idempotent producers; they need --acks all and are off with others")
	f.DurationVar(&b.linger, "linger", 0, "wait this long for a batch to fill")
}

// validate checks what the flags say together and fills in what they imply.
func (b *benchOptions) validate(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case b.topic != "" && (b.keep || changed("partitions") || changed("replicas")):
		return usagef("--topic names a topic that exists: --partitions, --replicas and --keep are for one that is made")
	case b.partitions < 1, b.clients < 1, b.recordSize < 1:
		return usagef("--partitions, --clients and --record-size must be at least 1")
	case b.records < 0, b.duration < 0, b.rate < 0, b.linger < 0:
		return usagef("--records, --duration, --rate and --linger must not be negative")
	case b.acks.value != "all" && changed("idempotent") && b.idempotent:
		return usagef("--idempotent needs --acks all")
	case b.records > 0 && b.bytesText != "":
		return usagef("--records and --bytes exclude each other")
	}
	if b.bytesText != "" {
		n, err := parseBytes(b.bytesText)
		if err != nil {
			return usagef("--bytes: %w", err)
		}
		b.records = max(n/int64(b.recordSize), 1)
	}
	return nil
}

func (b *benchOptions) producerOptions(topic string) []kgo.Opt {
	return append(acksOption(b.acks.value, b.idempotent), codecOption(b.compression.value), kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(b.linger), kgo.MaxBufferedBytes(16<<20), // deeper queues only add to the latency
		kgo.ProducerBatchMaxBytes(int32(min(max(b.recordSize, defaultMaxMessage)+1024, 1<<30))))
}

// withTopic runs fn with the topic to use: the user's, or one that is made for it and deleted afterwards.
func (b *benchOptions) withTopic(ctx context.Context, fn func(topic string) error) error {
	if b.topic != "" {
		return fn(b.topic)
	}
	name := "rafka-bench-" + rand.Text()[:8]
	err := b.withAdmin(ctx, func(ctx context.Context, adm *admin) error {
		resp, err := adm.CreateTopic(ctx, b.partitions, b.replicas, nil, name)
		if err != nil {
			return fmt.Errorf("create topic %s: %w", name, describe(err, resp.ErrMessage))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = fn(name)
	if b.keep {
		return err
	}
	// Also after an interruption: the topic is ours.
	deleteErr := b.withAdmin(context.WithoutCancel(ctx), func(ctx context.Context, adm *admin) error {
		if _, err := adm.DeleteTopic(ctx, name); err != nil {
			return fmt.Errorf("delete topic %s: %w", name, describe(err, ""))
		}
		return nil
	})
	return firstError(err, deleteErr)
}
